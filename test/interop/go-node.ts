/** The Go program of this folder: built once into a temporary folder, run as nodes, told what to do over its stdin (main.go). */
import { execFile, execFileSync, spawn, type ChildProcessByStdio } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { MixPoolEntry } from '@mixmint/mixnet'

const SOURCES = fileURLToPath(new URL('.', import.meta.url))
/** On the PATH, or where Go's own installation puts it. */
const GO = ['go', '/usr/local/go/bin/go']
/** Not another version of Go than there is; what go.mod says and nothing newer. */
const ENVIRONMENT = { ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly -buildvcs=false' }

/** @returns the program, or why there is none: no Go, or its modules are neither here nor to be had */
export async function buildGo (folder: string): Promise<{ program: string } | { lacking: string }> {
  const go = GO.find(isThere)
  if (go === undefined) return { lacking: 'there is no Go' }
  const run = async (args: readonly string[], timeout: number): Promise<unknown> => await promisify(execFile)(go, [...args], { cwd: SOURCES, env: ENVIRONMENT, timeout })
  try {
    await run(['list', '-deps', '.'], 120_000) // fetches what it has not
  } catch {
    return { lacking: 'Go is older than go.mod of test/interop wants, or cannot fetch its modules' }
  }
  const program = join(folder, 'interop')
  await run(['build', '-o', program, '.'], 200_000)
  return { program }
}

function isThere (go: string): boolean {
  if (go.startsWith('/')) return existsSync(go)
  try {
    execFileSync(go, ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** A plain request: over these nodes to the last of them, and back over those; bytes in hexadecimal. */
export interface Question {
  readonly there: readonly MixPoolEntry[]
  readonly back: readonly MixPoolEntry[]
  readonly protocol: string
  readonly content: string
  /** Mean at each mix, ms. */
  readonly delay: number
  /** The same packet so many times. Default 1. */
  readonly copies?: number
}

interface Answer { readonly id: number, readonly stats?: Readonly<Record<string, number>>, readonly reply?: string, readonly error?: string }

type Program = ChildProcessByStdio<Writable, Readable, null>

export class GoNode {
  readonly entry: MixPoolEntry
  readonly #program: Program
  readonly #waiting: Map<number, (answer: Answer) => void>
  #asked = 0

  private constructor (program: Program, entry: MixPoolEntry, waiting: Map<number, (answer: Answer) => void>) {
    this.#program = program
    this.entry = entry
    this.#waiting = waiting
  }

  static async start (path: string, args: readonly string[] = []): Promise<GoNode> {
    const program = spawn(path, [...args], { stdio: ['pipe', 'pipe', 'inherit'] })
    const waiting = new Map<number, (answer: Answer) => void>()
    const { promise, resolve, reject } = Promise.withResolvers<MixPoolEntry>()
    let isReady = false
    createInterface({ input: program.stdout }).on('line', line => {
      const said = JSON.parse(line) as MixPoolEntry | Answer
      if ('id' in said) waiting.get(said.id)?.(said)
      else resolve(said)
      isReady = true
    }).on('close', () => {
      if (!isReady) reject(new Error('the Go node has ended'))
      for (const [id, answered] of waiting) answered({ id, error: 'the Go node has ended' })
    })
    return new GoNode(program, await promise, waiting)
  }

  /** How often each thing has happened: received, forwarded, answered, dropped-…, opened, accepted, broken… */
  async count (what: string): Promise<number> {
    return (await this.#do({ do: 'stats' })).stats?.[what] ?? 0
  }

  /** @returns the reply, in hexadecimal */
  async ask (question: Question): Promise<string> {
    return (await this.#do({ do: 'ask', ...question })).reply ?? ''
  }

  /** Random bytes in a frame, on the stream that packets to this node leave on. */
  async garbage (to: MixPoolEntry, size: number): Promise<void> {
    await this.#do({ do: 'garbage', to, size })
  }

  async stop (): Promise<void> {
    const ended = new Promise(resolve => { this.#program.once('exit', resolve) })
    if (this.#program.exitCode !== null) return
    this.#program.stdin.end()
    await ended
  }

  async #do (command: object): Promise<Answer> {
    const id = ++this.#asked
    const answer = await new Promise<Answer>(resolve => {
      this.#waiting.set(id, resolve)
      this.#program.stdin.write(`${JSON.stringify({ id, ...command })}\n`)
    })
    this.#waiting.delete(id)
    if (answer.error !== undefined) throw new Error(answer.error)
    return answer
  }
}
