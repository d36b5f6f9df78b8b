/**
 * The tags seen under a node's mix keys, on disk, so that a packet that was taken is refused after a crash, a kill and a loss
 * of power: one file an epoch, `<epoch>.tags`, which is made with the key and goes with it.
 *
 *   header   32 bytes   magic 8 ‖ known 8 ‖ owner 12 ‖ CRC-32 of these
 *   record   36 bytes   tag 32 ‖ CRC-32 of it                              in the order in which the tags came
 *
 *   known    so many records are on disk (big-endian): those of all earlier appends, and after `close` all there are
 *   owner    the beginning of HMAC-SHA-256(mix key, what this file is ‖ epoch): the tags of one key are none of another's
 *
 * Only what the latest append wrote can be lost or torn when the machine stops, and no packet of it had gone on: such a
 * tail is cut off. Anything else that is missing or damaged is an error, and the key is not used, for a tag that is
 * forgotten is a replay accepted.
 */
import { createHmac } from 'node:crypto'
import { closeSync, existsSync, fdatasync, fsyncSync, ftruncateSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, write, writeSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { crc32 } from 'node:zlib'
import { concat, equal, u32, u64, utf8 } from '@mixmint/core/kit/bytes'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'

const TAG_SIZE = 32
const RECORD_SIZE = TAG_SIZE + 4
const MAGIC = utf8('mixtags1')
const OWNER_SIZE = 12
const HEADER_SIZE = 32
const FILE = /^(\d+)\.tags(\.new)?$/

const writeTo = promisify(write)
const syncData = promisify(fdatasync)

interface OpenFile {
  readonly fd: number
  readonly owner: Uint8Array
  /** Records that are certainly on disk, and how many of them the header says. */
  count: number
  known: number
  /** The latest write, well or not. */
  busy: Promise<void>
}

export class SeenLog {
  readonly #dir: string
  readonly #files = new Map<number, OpenFile>()

  /** @param dir a folder of its own; made when it is first needed */
  constructor (dir: string) {
    this.#dir = dir
  }

  /**
   * Before a key is used for the first time: an empty file for it, on disk when this returns; where there is one, nothing.
   * @throws seen-log-failed (operator)
   */
  create (epoch: number, privateKey: Uint8Array): void {
    attempt(() => {
      const path = this.#path(epoch)
      if (existsSync(path)) return
      mkdirSync(this.#dir, { recursive: true, mode: 0o700 })
      const fd = openSync(`${path}.new`, 'w', 0o600)
      try {
        const header = headerOf(0, ownerOf(epoch, privateKey))
        if (writeSync(fd, header) < header.length) throw new Error('the disk is full')
        fsyncSync(fd)
      } finally {
        closeSync(fd)
      }
      renameSync(`${path}.new`, path)
      const dir = openSync(this.#dir, 'r')
      fsyncSync(dir)
      closeSync(dir)
    })
  }

  /**
   * What was seen under this key before: tags of 32 bytes. From now on `append` adds to them.
   * @throws seen-log-damaged (operator): tags are missing or not to be trusted. seen-log-failed (operator)
   */
  load (epoch: number, privateKey: Uint8Array): Iterable<Uint8Array> {
    return attempt(() => {
      const path = this.#path(epoch)
      if (!existsSync(path)) throw damaged(epoch, 'is missing')
      const bytes = readFileSync(path)
      const owner = ownerOf(epoch, privateKey)
      const known = readHeader(epoch, bytes, owner)
      const count = goodRecords(epoch, bytes, known)
      const fd = openSync(path, 'r+')
      ftruncateSync(fd, HEADER_SIZE + count * RECORD_SIZE)
      this.#shut(epoch)
      this.#files.set(epoch, { fd, owner, count, known, busy: Promise.resolve() })
      return tagsOf(bytes, count)
    })
  }

  /**
   * All of them or, until it is tried again, none. Resolves when they are on disk; at once for a key that was removed.
   * One call at a time for an epoch.
   * @throws seen-log-failed (operator): the disk is full, or broken
   */
  async append (epoch: number, tags: Iterable<Uint8Array>): Promise<void> {
    const file = this.#files.get(epoch)
    if (file === undefined) return
    const work = this.#write(file, recordsOf([...tags]))
    file.busy = work.catch(() => {})
    try {
      await work
    } catch (cause) {
      throw failed(cause)
    }
  }

  /** The key of this epoch is destroyed: its tags, and any left of earlier ones, are of use only to who looks for traffic of the past. */
  remove (epoch: number): void {
    attempt(() => {
      this.#shut(epoch)
      if (!existsSync(this.#dir)) return
      for (const name of readdirSync(this.#dir)) {
        const of = FILE.exec(name)?.[1]
        if (of !== undefined && Number(of) <= epoch) rmSync(join(this.#dir, name), { force: true })
      }
    })
  }

  /** Once nothing is being appended any more. @throws seen-log-failed (operator): all the same, nothing is lost */
  async close (): Promise<void> {
    const open = [...this.#files]
    const results = await Promise.allSettled(open.map(async ([epoch]) => { await this.append(epoch, []) })) // for the headers
    for (const [epoch, file] of open) {
      this.#shut(epoch)
      await file.busy
    }
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }

  /**
   * At its place, whatever lies there: after a failure the same records are written once more, for the system may take
   * what it could not sync as written.
   */
  async #write (file: OpenFile, records: Uint8Array): Promise<void> {
    const { fd, owner, count } = file
    if (file.known < count) await writeAll(fd, headerOf(count, owner), 0)
    await writeAll(fd, records, HEADER_SIZE + count * RECORD_SIZE)
    await syncData(fd)
    file.known = count
    file.count = count + records.length / RECORD_SIZE
  }

  #shut (epoch: number): void {
    const file = this.#files.get(epoch)
    if (file === undefined) return
    this.#files.delete(epoch)
    // Not under a write: its number may be another file's at once.
    file.busy = file.busy.then(() => { closeSync(file.fd) })
  }

  #path (epoch: number): string {
    return join(this.#dir, `${epoch}.tags`)
  }
}

async function writeAll (fd: number, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await writeTo(fd, bytes, done, bytes.length - done, at + done)
    if (bytesWritten === 0) throw new Error('the disk took only a part of it')
    done += bytesWritten
  }
}

function ownerOf (epoch: number, privateKey: Uint8Array): Uint8Array {
  return new Uint8Array(createHmac('sha256', privateKey).update('mixmint/seen-log/1').update(u64(epoch)).digest()).subarray(0, OWNER_SIZE)
}

function headerOf (known: number, owner: Uint8Array): Uint8Array {
  const body = concat(MAGIC, u64(known), owner)
  return concat(body, u32(crc32(body)))
}

/** How many records are known to be there. */
function readHeader (epoch: number, bytes: Buffer, owner: Uint8Array): number {
  const checked = HEADER_SIZE - 4
  if (bytes.length < HEADER_SIZE || !equal(bytes.subarray(0, MAGIC.length), MAGIC) || crc32(bytes.subarray(0, checked)) !== bytes.readUInt32BE(checked)) {
    throw damaged(epoch, 'does not begin as such files do')
  }
  if (!equal(bytes.subarray(checked - OWNER_SIZE, checked), owner)) throw damaged(epoch, 'was written under another key')
  return Number(bytes.readBigUInt64BE(MAGIC.length))
}

/** How many records stand before the end or the first that does not hold. */
function goodRecords (epoch: number, bytes: Buffer, known: number): number {
  let count = 0
  for (let at = HEADER_SIZE; at + RECORD_SIZE <= bytes.length; at += RECORD_SIZE) {
    if (crc32(bytes.subarray(at, at + TAG_SIZE)) !== bytes.readUInt32BE(at + TAG_SIZE)) break
    count += 1
  }
  if (count < known) throw damaged(epoch, `has ${count} good tags, and had ${known}`)
  return count
}

function * tagsOf (bytes: Uint8Array, count: number): Generator<Uint8Array> {
  for (let i = 0; i < count; i++) yield bytes.subarray(HEADER_SIZE + i * RECORD_SIZE, HEADER_SIZE + i * RECORD_SIZE + TAG_SIZE)
}

function recordsOf (tags: readonly Uint8Array[]): Uint8Array {
  const records = Buffer.alloc(tags.length * RECORD_SIZE)
  tags.forEach((tag, i) => {
    records.set(tag, i * RECORD_SIZE)
    records.writeUInt32BE(crc32(tag), i * RECORD_SIZE + TAG_SIZE)
  })
  return records
}

function attempt<T> (work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw isMixmintError(error) ? error : failed(error)
  }
}

function failed (cause: unknown): MixmintError {
  return new MixmintError('seen-log-failed', 'operator', `the tags of seen packets cannot be kept: ${(cause as Error).message}; check the disk. Until then no packets are taken`, { retry: true, cause })
}

function damaged (epoch: number, how: string): MixmintError {
  return new MixmintError('seen-log-damaged', 'operator',
    `the file of the packets seen in epoch ${epoch} ${how}: the mix key of that epoch is not used, for packets could be replayed under it. Check the disk, and bring the file back if you can; the keys of later epochs are not concerned`)
}
