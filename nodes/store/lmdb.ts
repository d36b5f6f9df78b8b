/**
 * The embedded store: LMDB (Howard Chu; the lmdb package). Batches that wait at the same time share one transaction and
 * one fdatasync (group commit): the data pages are written, fdatasync'ed, and then the meta page that makes them visible
 * is written through a descriptor opened with O_DSYNC; only then are their callers told, and only then can anyone read
 * them. So `overlappingSync`, which shows changes before they are on disk, is off.
 */
import { mkdirSync, statfsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { compare, equal } from '@mixmint/core/kit/bytes'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import type { BatchResult, Entry, Op, Range, Store } from '@mixmint/core/kit/ports'
import { open, type RootDatabase } from 'lmdb'
import { syncPath } from '../secrets.ts'
import { checkStoreFile } from './lmdb-check.ts'
import { checkKey, judge, Queue, takeGroup, type Waiting } from './batch.ts'

/** Errors of LMDB and of the system (errno on Linux) that mean: no room. */
const MAP_FULL = -30792
const NO_ROOM: readonly unknown[] = [MAP_FULL, 28, 122]
/** EIO, which LMDB also answers when the disk took only a part of what it wrote. */
const IO_ERROR = 5

/**
 * Open the store in a folder, which is made if it is not there.
 * @throws store-failed (operator) when the folder cannot be used; store-damaged (operator)
 */
export async function openLmdb (dir: string): Promise<LmdbStore> {
  try {
    const made = mkdirSync(dir, { recursive: true, mode: 0o700 })
    checkStoreFile(dir)
    const db = open<Buffer, Uint8Array>({
      path: dir, encoding: 'binary', keyEncoding: 'binary', cache: false, overlappingSync: false, eventTurnBatching: false
    })
    syncFolders(dir, made)
    return new LmdbStore(dir, db)
  } catch (cause) {
    if (isMixmintError(cause)) throw cause
    throw new MixmintError('store-failed', 'operator', `the store in ${dir} cannot be opened: ${text(cause)}; check that the folder can be written and holds nothing else`, { cause })
  }
}

/** Make the names of the files durable too: fsync the folder, and those above it up to the one that was there before. */
function syncFolders (dir: string, made: string | undefined): void {
  if (process.platform === 'win32') return
  const last = made === undefined ? resolve(dir) : dirname(resolve(made))
  for (let at = resolve(dir); ; at = dirname(at)) {
    syncPath(at)
    if (at === last) return
  }
}

/**
 * A copy of the store as of one moment, while it is worked with; on disk when this resolves.
 * @param to a folder, which is made
 * @throws backup-failed (operator)
 */
export async function copyStore (store: LmdbStore, to: string): Promise<void> {
  try {
    mkdirSync(to, { recursive: true, mode: 0o700 })
    await store.copy(to)
    for (const path of [join(to, 'data.mdb'), to]) syncPath(path)
  } catch (cause) {
    throw new MixmintError('backup-failed', 'operator', `the store was not copied to ${to}: ${text(cause)}`, { cause })
  }
}

export class LmdbStore implements Store {
  readonly #dir: string
  readonly #db: RootDatabase<Buffer, Uint8Array>
  readonly #queue = new Queue(async () => { await this.#commitGroup() })
  #closed: Promise<void> | null = null
  #failed: MixmintError | null = null

  constructor (dir: string, db: RootDatabase<Buffer, Uint8Array>) {
    this.#dir = dir
    this.#db = db
  }

  async get (key: Uint8Array): Promise<Uint8Array | null> {
    this.#check()
    checkKey(key)
    this.#renew()
    return this.#read(key)
  }

  async scan ({ prefix, after, limit }: Range): Promise<Entry[]> {
    this.#check()
    const entries: Entry[] = []
    if (limit <= 0) return entries
    const beyond = after !== undefined && compare(after, prefix) >= 0 ? after : null
    const start = Buffer.from(beyond ?? prefix)
    this.#renew()
    for (const { key, value } of this.#db.getRange({ start: start.length === 0 ? undefined : start })) {
      if (beyond !== null && equal(key, beyond)) continue
      if (!equal(key.subarray(0, prefix.length), prefix)) break
      entries.push({ key: new Uint8Array(key), value: new Uint8Array(value) })
      if (entries.length >= limit) break
    }
    return entries
  }

  async batch (ops: readonly Op[]): Promise<BatchResult> {
    this.#check()
    return await this.#queue.add(ops)
  }

  /** As of the last batch that is on disk; others go on meanwhile. */
  async copy (to: string): Promise<void> {
    this.#check()
    await this.#db.backup(to, true)
  }

  async close (): Promise<void> {
    this.#closed ??= (async () => {
      await this.#queue.ended()
      await this.#db.close()
    })()
    await this.#closed
  }

  #check (): void {
    if (this.#closed !== null) throw new MixmintError('store-closed', 'caller', 'the store has been closed; open it again')
    if (this.#failed !== null) throw this.#failed
  }

  /** Read as of now, not as of the first read in this turn of the event loop: another process may just have told us of a change. */
  #renew (): void {
    this.#db.resetReadTxn()
  }

  /** A copy of what a key holds; within a transaction, as that transaction has it. */
  #read (key: Uint8Array): Uint8Array | null {
    const found = this.#db.getBinary(key)
    return found === undefined ? null : new Uint8Array(found)
  }

  /** One transaction for all that wait. Rejecting any of them for its conditions leaves the others as they are. */
  async #commitGroup (): Promise<void> {
    let group: Waiting[] = []
    let results: BatchResult[] = []
    try {
      if (this.#failed !== null) throw this.#failed
      // A child transaction, because only that is undone when something in it throws.
      await this.#db.childTransaction(() => {
        group = takeGroup(this.#queue.waiting)
        results = group.map(({ ops }) => this.#apply(ops))
      })
    } catch (cause) {
      if (group.length === 0) group = takeGroup(this.#queue.waiting)
      const error = await this.#failure(cause, group)
      for (const { reject } of group) reject(error)
      return
    }
    group.forEach(({ resolve }, i) => { resolve(results[i]) })
  }

  /** Judge a batch; only when all its conditions hold write anything. */
  #apply (ops: readonly Op[]): BatchResult {
    const { result, changes } = judge(ops, key => this.#read(key))
    for (const { key, value } of changes.values()) {
      if (value === null) this.#db.removeSync(key)
      else this.#db.putSync(key, value as Buffer)
    }
    return result
  }

  /** What the callers of a group are told. After anything but a full disk the store stays shut: see fsync(2), ERRORS. */
  async #failure (cause: unknown, group: readonly Waiting[]): Promise<MixmintError> {
    if (cause === this.#failed && this.#failed !== null) return this.#failed
    const error = await commitError(cause)
    const code = (error as { code?: unknown }).code
    const bytes = group.reduce((sum, batch) => sum + batch.bytes, 0)
    if (NO_ROOM.includes(code) || (code === IO_ERROR && this.#free() < 2 * bytes + (1 << 20))) {
      return new MixmintError('store-full', 'operator', `the disk under ${this.#dir} is full; nothing was changed; free some space, then try again`, { cause: error })
    }
    this.#failed = new MixmintError('store-failed', 'operator', `the store in ${this.#dir} failed: ${text(error)}; whether the last change was made is not known; check the disk, then start again`, { cause: error })
    return this.#failed
  }

  /** Bytes free on the disk; without an answer, as if there were plenty. */
  #free (): number {
    try {
      const { bavail, bsize } = statfsSync(this.#dir)
      return bavail * bsize
    } catch {
      return Infinity
    }
  }
}

/** The lmdb package puts the system's error of a failed commit into a promise, which rejects. */
async function commitError (error: unknown): Promise<unknown> {
  const nested = (error as { commitError?: Promise<unknown> }).commitError
  return nested === undefined ? error : await nested.catch((reason: unknown) => reason)
}

function text (error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
