/**
 * A network of processes on this machine: each node is `mixmint run --dir …`, started, waited for, stopped or killed by
 * name. A child ends when its standard input closes, so that none outlives its parent, however the parent ends.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { MixmintError } from '@mixmint/core/kit/errors'
import { PROGRAM } from './program.ts'

/** What a daemon prints on standard output when it serves. */
export const READY = 'mixmint ready'

/** A network of processes starts all at once, and on a busy machine that takes its time. */
const START_TIMEOUT = 180_000

/** More than a node takes that drains to its limit. Most have nothing to drain. */
const STOP_TIMEOUT = 80_000

interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<void>
}

export class Supervisor {
  readonly #dir: string
  readonly #running = new Map<string, Running>()
  readonly #onEnd: (name: string, expected: boolean) => void
  readonly #within: (name: string) => readonly string[]
  readonly #expected = new Set<string>()
  #closed = false

  /**
   * @param dir the network's folder; node `name` lives in `dir/name`
   * @param within words before a node's command that say where it runs (`ip netns exec …`)
   */
  constructor (dir: string, onEnd: (name: string, expected: boolean) => void = () => {}, within: (name: string) => readonly string[] = () => []) {
    this.#dir = dir
    this.#onEnd = onEnd
    this.#within = within
  }

  names (): string[] {
    return [...this.#running.keys()]
  }

  /** @throws not-running (caller) */
  pid (name: string): number {
    const pid = this.#running.get(name)?.child.pid
    if (pid === undefined) throw new MixmintError('not-running', 'caller', `${name} is not running`)
    return pid
  }

  /** Start a node and wait until it says that it is ready. @throws node-failed (operator) naming its log */
  async start (name: string, timeout = START_TIMEOUT): Promise<void> {
    if (this.#closed) throw new MixmintError('stopping', 'operator', 'the network is being stopped')
    if (this.#running.has(name)) throw new MixmintError('already-running', 'caller', `${name} is running`)
    const log = join(this.#dir, name, 'log.jsonl')
    const fd = openSync(log, 'a', 0o600)
    const [program, ...words] = [...this.#within(name), process.execPath, PROGRAM, 'run', '--dir', join(this.#dir, name), '--supervised']
    const child = spawn(program, words, { stdio: ['pipe', 'pipe', fd] })
    closeSync(fd)
    const ended = new Promise<void>(resolve => child.once('exit', () => {
      this.#running.delete(name)
      this.#onEnd(name, this.#expected.delete(name))
      resolve()
    }))
    this.#running.set(name, { child, ended })
    const failed = new MixmintError('node-failed', 'operator', `${name} ended before it was ready: see the end of ${log}`)
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => { reject(new MixmintError('node-failed', 'operator', `${name} was not ready in ${timeout / 1000} s: see ${log}`)) }, timeout)
      let said = ''
      child.stdout?.on('data', (chunk: Buffer) => {
        said += chunk.toString('utf8')
        if (said.includes(READY)) {
          clearTimeout(timer)
          said = ''
          resolve()
        }
      })
      void ended.then(() => {
        clearTimeout(timer)
        reject(failed)
      })
    })
  }

  /** SIGTERM, and SIGKILL to what has not drained in time. */
  async stop (name: string): Promise<void> {
    await this.#end(name, 'SIGTERM', STOP_TIMEOUT)
  }

  /** SIGKILL: no drain, no goodbye. */
  async kill (name: string): Promise<void> {
    await this.#end(name, 'SIGKILL', STOP_TIMEOUT)
  }

  /** Stop every node; none can be started any more. */
  async stopAll (): Promise<void> {
    this.#closed = true
    await Promise.all(this.names().map(async name => { await this.stop(name) }))
  }

  async #end (name: string, signal: 'SIGTERM' | 'SIGKILL', timeout: number): Promise<void> {
    const running = this.#running.get(name)
    if (running === undefined) return
    this.#expected.add(name)
    running.child.kill(signal)
    const timer = setTimeout(() => { running.child.kill('SIGKILL') }, timeout)
    await running.ended
    clearTimeout(timer)
  }
}
