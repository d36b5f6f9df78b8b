/**
 * The tags seen under a node's mix keys, on disk, so that a packet taken before a crash is refused after it: one file an
 * epoch, 32 bytes a tag, in the order they came. A tag is written before its packet goes on, which outlives the process
 * whatever ends it; what the system has not put on disk yet is synced within SYNC_AFTER, so that a loss of power can forget
 * the tags of that time and no others.
 */
import { closeSync, fdatasync, fstatSync, ftruncateSync, mkdirSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { concat } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'

const TAG_SIZE = 32
const SYNC_AFTER: Millis = 100

interface OpenFile { readonly fd: number, size: number, syncing: NodeJS.Timeout | undefined }

export class SeenLog {
  readonly #dir: string
  readonly #files = new Map<number, OpenFile>()

  /** @param dir a folder of its own; made when it is first needed */
  constructor (dir: string) {
    this.#dir = dir
  }

  /**
   * What was seen in this epoch before. A last tag that a crash has cut short goes.
   * @throws seen-log-failed (operator)
   */
  load (epoch: number): Uint8Array[] {
    return attempt(() => {
      const file = this.#open(epoch)
      const all = new Uint8Array(file.size)
      for (let at = 0; at < all.length;) {
        const read = readSync(file.fd, all, at, all.length - at, at)
        if (read === 0) throw new Error('the file is shorter than it was')
        at += read
      }
      return Array.from({ length: all.length / TAG_SIZE }, (_, i) => all.subarray(i * TAG_SIZE, (i + 1) * TAG_SIZE))
    })
  }

  /** All of them, or none. @throws seen-log-failed (operator): the disk is full, or broken */
  append (epoch: number, tags: Iterable<Uint8Array>): void {
    attempt(() => {
      const file = this.#open(epoch)
      const bytes = concat(...tags)
      const written = writeSync(file.fd, bytes, 0, bytes.length, file.size)
      if (written < bytes.length) {
        ftruncateSync(file.fd, file.size)
        throw new Error('the disk took only a part of it')
      }
      file.size += written
      file.syncing ??= setTimeout(() => {
        file.syncing = undefined
        if (this.#files.get(epoch) === file) fdatasync(file.fd, () => {})
      }, SYNC_AFTER)
    })
  }

  /** The key of this epoch is destroyed; its tags are of no use to anybody but whoever looks for traffic of the past. */
  remove (epoch: number): void {
    this.#shut(epoch)
    rmSync(this.#path(epoch), { force: true })
  }

  close (): void {
    for (const epoch of [...this.#files.keys()]) this.#shut(epoch)
  }

  #open (epoch: number): OpenFile {
    const existing = this.#files.get(epoch)
    if (existing !== undefined) return existing
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 })
    const fd = openSync(this.#path(epoch), 'a+', 0o600)
    const { size } = fstatSync(fd)
    const whole = size - size % TAG_SIZE
    if (whole < size) ftruncateSync(fd, whole)
    const file: OpenFile = { fd, size: whole, syncing: undefined }
    this.#files.set(epoch, file)
    return file
  }

  #shut (epoch: number): void {
    const file = this.#files.get(epoch)
    if (file === undefined) return
    clearTimeout(file.syncing)
    closeSync(file.fd)
    this.#files.delete(epoch)
  }

  #path (epoch: number): string {
    return join(this.#dir, `${epoch}.tags`)
  }
}

function attempt<T> (work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw new MixmintError('seen-log-failed', 'operator', `the tags of seen packets cannot be kept: ${(cause as Error).message}; check the disk. Until then no packets are taken`, { retry: true, cause })
  }
}
