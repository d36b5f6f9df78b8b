/**
 * Is the file of an LMDB store whole? LMDB maps it into memory and believes what it says: of one that was cut short, or is
 * something else, the process would die without a word. So its ends are looked at before it is opened: the two meta pages
 * (lmdb.h, MDB_meta, of the version in the lmdb package), and whether the file is as long as the newer one says.
 *
 *   page 0, 1   24 bytes of header ‖ magic 4 ‖ version 4 ‖ address 8 ‖ map size 8 ‖ free pages 48 ‖ entries 48 ‖ last page 8 ‖ transaction 8
 *                                                                               └ begins with the page size, 4
 */
import { spawnSync } from 'node:child_process'
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { MixmintError } from '@mixmint/core/kit/errors'
import { PROGRAM } from '../program.ts'

const MAGIC = 0xbeefc0de
const [MAGIC_AT, PAGE_SIZE_AT, LAST_PAGE_AT, TRANSACTION_AT, META_END] = [24, 48, 144, 152, 160]
const LONGEST_PAGE = 1 << 16

/** Reads everything there is, in a process of its own. */
const WALK = 'import { open } from "lmdb"; const db = open({ path: process.argv[1], readOnly: true, encoding: "binary", keyEncoding: "binary", cache: false }); for (const { value } of db.getRange({})) value.at(-1); await db.close()'

/** @param dir of the store; one without a file is new. @throws store-damaged (operator) */
export function checkStoreFile (dir: string): void {
  const file = join(dir, 'data.mdb')
  let fd: number
  try {
    fd = openSync(file, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  let size: number
  let needed: number | null
  try {
    size = fstatSync(fd).size
    needed = sizeSaid(fd)
  } finally {
    closeSync(fd)
  }
  if (needed === null) throw damaged(file, 'it is none, or its beginning is destroyed')
  // Pages at the end that a transaction gave back need not have been written; then all that is there can be read.
  if (size < needed && spawnSync(process.execPath, ['--input-type=module', '-e', WALK, dir], { cwd: dirname(PROGRAM), stdio: 'ignore' }).status !== 0) throw damaged(file, `it is cut short: ${size} bytes of ${needed}`)
}

/** What the newer of the meta pages says, bytes; null: there is none. */
function sizeSaid (fd: number): number | null {
  const first = metaAt(fd, 0)
  // Where the first is destroyed, the second is at the end of a page of some size.
  const sizes = first === null ? [4096, 8192, 16_384, 32_768, LONGEST_PAGE] : [first.pageSize]
  const metas = [first, ...sizes.map(size => metaAt(fd, size))].filter(meta => meta !== null)
  const newest = metas.reduce<typeof first>((best, meta) => best === null || meta.transaction > best.transaction ? meta : best, null)
  return newest === null ? null : (newest.lastPage + 1) * newest.pageSize
}

function metaAt (fd: number, at: number): { pageSize: number, lastPage: number, transaction: bigint } | null {
  const page = Buffer.alloc(META_END)
  if (readSync(fd, page, 0, META_END, at) < META_END || page.readUInt32LE(MAGIC_AT) !== MAGIC) return null
  const pageSize = page.readUInt32LE(PAGE_SIZE_AT)
  if (pageSize < 256 || pageSize > LONGEST_PAGE) return null
  return { pageSize, lastPage: Number(page.readBigUInt64LE(LAST_PAGE_AT)), transaction: page.readBigUInt64LE(TRANSACTION_AT) }
}

function damaged (file: string, why: string): MixmintError {
  return new MixmintError('store-damaged', 'operator', `${file} is not a whole store: ${why}; keep it as it is, check the disk, and see docs/backup.md for what may come back in its place`)
}
