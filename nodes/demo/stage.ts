/** Where the demo plays: the network's processes, and the program's own commands as people would type them. */
import { execFile, type ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { MixmintError, type Fault } from '@mixmint/core/kit/errors'
import { callControl, type JsonObject } from '../control.ts'
import { nodeNames, type NetworkPlan } from '../layout.ts'
import { PROGRAM } from '../program.ts'
import { Supervisor } from '../supervisor.ts'

const COMMAND_TIMEOUT = 90_000

/** Where people type their commands. */
export interface Terminal {
  /** The folder with network.toml and their wallet. */
  readonly net: string
  /** Words before a command that say where it runs. */
  readonly within: readonly string[]
}

export class Stage {
  readonly dir: string
  readonly plan: NetworkPlan
  readonly supervisor: Supervisor
  readonly terminal: Terminal
  readonly #fallen: string[] = []
  readonly #commands = new Set<ChildProcess>()
  #stopped = false

  /** @param within as the supervisor takes it */
  constructor (dir: string, plan: NetworkPlan, within?: (name: string) => readonly string[], terminal: Terminal = { net: dir, within: [] }) {
    this.dir = dir
    this.plan = plan
    this.terminal = terminal
    this.supervisor = new Supervisor(dir, (name, expected) => { if (!expected) this.#fallen.push(name) }, within)
  }

  /** Nodes that ended without being told to. */
  get fallen (): readonly string[] {
    return this.#fallen
  }

  get centers (): string[] {
    return nodeNames(this.plan).money.filter(name => name.startsWith('center-'))
  }

  /** Run one command of the program in a process of its own. @throws what it refused with */
  async command (...args: string[]): Promise<JsonObject> {
    const [group, ...rest] = args
    const result = await this.attempt(group, ...rest)
    const error = result.error as { code: string, fault: Fault, message: string } | undefined
    if (error !== undefined) throw new MixmintError(error.code, error.fault, `mixmint ${args.slice(0, 2).join(' ')}: ${error.message}`)
    return result
  }

  /** As `command`, but a refusal is a result, under `error`. */
  async attempt (...args: string[]): Promise<JsonObject> {
    if (this.#stopped) throw interrupted()
    const withNet = ['wallet', 'bank', 'merchant'].includes(args[0]) ? [args[0], '--net', this.terminal.net, ...args.slice(1)] : args
    const [program, ...words] = [...this.terminal.within, process.execPath, PROGRAM, ...withNet, '--json']
    const out = await new Promise<string>((resolve, reject) => {
      const child = execFile(program, words, { timeout: COMMAND_TIMEOUT, maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
        this.#commands.delete(child)
        if (stdout.trim() === '') reject(new MixmintError('command-failed', 'us', `mixmint ${args.join(' ')}: ${stderr.trim() === '' ? String(error) : stderr.trim()}`))
        else resolve(stdout)
      })
      this.#commands.add(child)
    })
    return JSON.parse(out) as JsonObject
  }

  /** One operation of a running daemon, over its control socket: what `mixmint bank …` and `mixmint merchant …` call. */
  async control (node: string, operation: string, input: JsonObject = {}): Promise<JsonObject> {
    if (this.#stopped) throw interrupted()
    return await callControl(join(this.dir, node), operation, input) as JsonObject
  }

  /** What a daemon says of itself. */
  async status (name: string): Promise<JsonObject> {
    return await this.control(name, 'status')
  }

  /** What a daemon has logged, over its restarts. */
  log (name: string): JsonObject[] {
    return readFileSync(join(this.dir, name, 'log.jsonl'), 'utf8').split('\n').filter(line => line.startsWith('{')).map(line => JSON.parse(line) as JsonObject)
  }

  /** Everything that the daemons have logged. */
  logs (): string {
    return readdirSync(this.dir, { recursive: true, encoding: 'utf8' }).filter(name => basename(name) === 'log.jsonl')
      .map(name => readFileSync(join(this.dir, name), 'utf8')).join('\n')
  }

  async stop (): Promise<void> {
    this.#stopped = true
    for (const child of this.#commands) child.kill('SIGKILL')
    await this.supervisor.stopAll()
  }
}

function interrupted (): MixmintError {
  return new MixmintError('interrupted', 'operator', 'interrupted')
}
