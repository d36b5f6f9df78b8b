/**
 * A mark outside the store, in the node's folder: the latest time that the store was seen to know. A store that knows less
 * when the node starts is one of before: restored from a copy, or a standby that had not heard of all. A copy of folder and
 * store together does not show; its operator has to say so (docs/bank.md).
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { MixmintError, type Fault } from '@mixmint/core/kit/errors'
import type { Log, Millis } from '@mixmint/core/kit/ports'
import { asMixmintError } from '@mixmint/core/kit/saga'

const FILE = 'store.mark'

/**
 * @param known the latest time that the store knows (cash/steady-clock.ts)
 * @param restoredAt what the operator says: data of before may be missing; 0: nothing is
 * @throws store-older, mark-broken (operator)
 */
export function checkMark (dir: string, known: Millis, restoredAt: Millis): void {
  const mark = readMark(join(dir, FILE))
  if (known >= mark || restoredAt >= mark) return
  throw older(`the store knows nothing after ${iso(known)}, but it did until ${iso(mark)}: it was restored from a copy, or is another`, mark)
}

function older (what: string, mark: Millis): MixmintError {
  return new MixmintError('store-older', 'operator', `${what}; bring the right one, or, if its data is lost, say so: restoredAt = "${iso(Math.max(mark, Date.now()))}" (docs/bank.md)`)
}

/**
 * @param restoredAt as checkMark has it; without that it is never taken back
 * @throws those of checkMark
 */
export function writeMark (dir: string, known: Millis, restoredAt: Millis = 0): void {
  checkMark(dir, known, restoredAt)
  replaceMark(dir, known)
}

/** How often the folder takes down what the store knows, ms. */
const EVERY = 10_000

interface MarkOptions {
  readonly dir: string
  /** The latest time that the store knows, asked of it. */
  readonly known: () => Promise<Millis>
  readonly restoredAt: Millis
  /** Write into the store, for good, that data of before may be missing. It refuses a time that has not come yet. */
  readonly declare: (restoredAt: Millis) => Promise<void>
  readonly log: Log
  /** Ends the node. */
  readonly fail: (error: MixmintError) => void
}

/** The mark of a node at work. Where the store is found put back under it the node ends, and does not start again on that store. */
export class StoreMark {
  readonly #options: MarkOptions
  readonly #timer: NodeJS.Timeout

  private constructor (options: MarkOptions) {
    this.#options = options
    this.#timer = setInterval(() => { void this.look() }, EVERY)
  }

  /**
   * The mark is one of before only when the store holds what was lost: until then it is all that remembers.
   * @throws those of checkMark, of `known` and of `declare`
   */
  static async open (options: MarkOptions): Promise<StoreMark> {
    const { dir, known, restoredAt, declare } = options
    checkMark(dir, await known(), restoredAt)
    if (restoredAt > 0) await declare(restoredAt)
    writeMark(dir, await known(), restoredAt)
    return new StoreMark(options)
  }

  /** Hold the store against the mark, and write it anew. */
  async look (): Promise<void> {
    const { dir, known, restoredAt, log } = this.#options
    try {
      writeMark(dir, await known(), restoredAt)
    } catch (error) {
      const failure = asMixmintError(error)
      if (failure.code === 'store-older') this.#end(failure)
      else log.warn('the mark of the store was not written', { code: failure.code })
    }
  }

  /**
   * What an engine refused with, or failed with: `store-older` ends the node, unless another's store is meant, whose refusal was passed on.
   * @param seen the latest time that it saw the store know, which the next start will ask for
   */
  judge ({ code, fault }: { readonly code: string, readonly fault: Fault }, seen: Millis): void {
    if (code !== 'store-older' || fault !== 'operator') return
    const { dir } = this.#options
    const mark = Math.max(seen, readMark(join(dir, FILE)))
    replaceMark(dir, mark)
    this.#end(older(`the store was put back under the running node, to before ${iso(mark)}`, mark))
  }

  stop (): void {
    clearInterval(this.#timer)
  }

  #end (failure: MixmintError): void {
    this.stop()
    this.#options.fail(failure)
  }
}

/** Replaced whole, and on disk. */
function replaceMark (dir: string, known: Millis): void {
  const file = join(dir, FILE)
  const temporary = `${file}.new`
  const fd = openSync(temporary, 'w', 0o600)
  try {
    writeFileSync(fd, `${iso(known)}\n`)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(temporary, file)
  const folder = openSync(dirname(file), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

function readMark (file: string): Millis {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0
    throw error
  }
  const mark = Date.parse(text.trim())
  if (Number.isNaN(mark)) throw new MixmintError('mark-broken', 'operator', `${file} does not hold a date: if the store is the latest one, remove the file`)
  return mark
}

function iso (time: Millis): string {
  return new Date(time).toISOString()
}
