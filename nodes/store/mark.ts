/**
 * A mark outside the store, in the node's folder: the latest time that the store was seen to know. A store that knows less
 * when the node starts is one of before: restored from a copy, or a standby that had not heard of all. A copy of folder and
 * store together does not show; its operator has to say so (docs/bank.md).
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'

const FILE = 'store.mark'

/**
 * @param known the latest time that the store knows (cash/steady-clock.ts)
 * @param restoredAt what the operator says: data of before may be missing; 0: nothing is
 * @throws store-older, mark-broken (operator)
 */
export function checkMark (dir: string, known: Millis, restoredAt: Millis): void {
  const mark = readMark(join(dir, FILE))
  if (known >= mark || restoredAt >= mark) return
  throw new MixmintError('store-older', 'operator', `the store knows nothing after ${iso(known)}, but it did until ${iso(mark)}: it was restored from a copy, or is another; bring the right one, or, if its data is lost, say so: restoredAt = "${iso(Math.max(mark, Date.now()))}" (docs/bank.md)`)
}

/**
 * Replaced whole, and on disk.
 * @param restoredAt as checkMark has it; without that it is never taken back
 * @throws those of checkMark
 */
export function writeMark (dir: string, known: Millis, restoredAt: Millis = 0): void {
  checkMark(dir, known, restoredAt)
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
