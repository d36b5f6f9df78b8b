/**
 * Looks at the mix keys of nodes on the disk all the time, and holds each under a second name, so that what was written
 * over it is seen when it is gone. What must never be, it notes: a key that changes, goes before its time, or comes back.
 */
import { linkSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { epochAt, epochEnd, type Schedule } from '@mixmint/mixnet/directory/epoch'

const SECRET_SIZE = 32
/** Runs of a secret by which it would be found again: such a run comes by chance once in 2^64. */
const RUN = 8
const LOOK = 25

interface Seen { readonly secret: Buffer, readonly held: string, gone: boolean }

export class KeyWatch {
  readonly #dir: string
  readonly #nodes: readonly string[]
  readonly #schedule: Schedule
  /** By node, then by epoch. */
  readonly #seen = new Map<string, Map<number, Seen>>()
  readonly #timer: NodeJS.Timeout
  /** What must never be. */
  readonly violations: string[] = []

  /** @param dir the network's folder */
  constructor (dir: string, nodes: readonly string[], schedule: Schedule) {
    this.#dir = dir
    this.#nodes = nodes
    this.#schedule = schedule
    for (const node of nodes) mkdirSync(join(dir, 'held', node), { recursive: true })
    this.#timer = setInterval(() => { for (const node of nodes) this.#look(node) }, LOOK)
  }

  stop (): void {
    clearInterval(this.#timer)
  }

  /** The secret of this epoch's key, if it was ever seen. */
  secret (node: string, epoch: number): Uint8Array | null {
    const found = this.#seen.get(node)?.get(epoch)
    return found === undefined ? null : new Uint8Array(found.secret)
  }

  /** Of all nodes: the keys that were seen, and are gone. */
  gone (): Array<{ readonly node: string, readonly epoch: number }> {
    return this.#nodes.flatMap(node => [...this.#seen.get(node) ?? []].filter(([, { gone }]) => gone).map(([epoch]) => ({ node, epoch })))
  }

  /** Does anything of the secret stand where the file lay? */
  isLegible (node: string, epoch: number): boolean {
    const { secret, held } = this.#seen.get(node)?.get(epoch) as Seen
    const left = readFileSync(held)
    return Array.from({ length: SECRET_SIZE - RUN + 1 }, (_, i) => secret.subarray(i, i + RUN)).some(run => left.includes(run))
  }

  /** Are there the keys that there should be now, and nothing beside them? */
  isRight (node: string): boolean {
    const before = this.#due(Date.now())
    const found = this.files(node)
    return before.join() === this.#due(Date.now()).join() && found.join() === before.join()
  }

  /** Are there the keys that there should be now, whatever else there is? */
  hasDue (node: string): boolean {
    const found = this.files(node)
    return this.#due(Date.now()).every(name => found.includes(name))
  }

  /** Every file among a node's mix keys. */
  files (node: string): string[] {
    return names(join(this.#dir, node, 'mix-keys'))
  }

  /** The epochs of whose keys the seen tags are on the disk. */
  tags (node: string): number[] {
    return names(join(this.#dir, node, 'seen')).map(name => Number.parseInt(name))
  }

  /** From the epoch whose grace is not over to the one after the next. */
  #due (now: number): string[] {
    const epoch = epochAt(this.#schedule, now)
    const first = now <= epochEnd(this.#schedule, epoch - 1) ? epoch - 1 : epoch
    return Array.from({ length: epoch + 2 - first + 1 }, (_, i) => `${first + i}.key`).sort()
  }

  #look (node: string): void {
    const seen = this.#seen.get(node) ?? new Map<number, Seen>()
    this.#seen.set(node, seen)
    const there = new Set(this.files(node).filter(name => name.endsWith('.key')).map(name => Number.parseInt(name)))
    for (const [epoch, key] of seen) {
      if (there.has(epoch) || key.gone) continue
      key.gone = true
      if (Date.now() <= epochEnd(this.#schedule, epoch)) this.violations.push(`${node} destroyed the key of epoch ${epoch} before its time`)
    }
    for (const epoch of there) this.#note(node, epoch, seen)
  }

  #note (node: string, epoch: number, seen: Map<number, Seen>): void {
    const file = join(this.#dir, node, 'mix-keys', `${epoch}.key`)
    const known = seen.get(epoch)
    try {
      const secret = readFileSync(file).subarray(0, SECRET_SIZE)
      if (known === undefined) {
        const held = join(this.#dir, 'held', node, String(epoch))
        linkSync(file, held)
        seen.set(epoch, { secret, held, gone: false })
      } else if (known.gone) this.violations.push(`${node} has the key of epoch ${epoch} again`)
      else if (!known.secret.equals(secret)) this.violations.push(`${node} has another key of epoch ${epoch}`)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
}

function names (dir: string): string[] {
  try {
    return readdirSync(dir).sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
