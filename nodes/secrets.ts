/** Secret files: made once, complete or not at all, readable by their owner only; locked with a passphrase where there is one. */
import { closeSync, existsSync, fchmodSync, fstatSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { dirname } from 'node:path'
import { fromHex, toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import { isLocked, type Passphrase } from './passphrase.ts'

/**
 * Write a file that must not exist yet: to a temporary name, synced, then linked into place, so that a crash or a second
 * process never leaves half a secret or replaces one.
 * @returns false when the file was already there; it is untouched
 */
export function createSecret (file: string, content: string, passphrase: Passphrase | null = null): boolean {
  makeFolder(dirname(file))
  const temporary = temporaryOf(file)
  try {
    writeSynced(temporary, passphrase?.lock(content) ?? content)
    linkSync(temporary, file)
    syncPath(dirname(file))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    // Where it could not be made it is not there: what counts is why.
    rmSync(temporary, { force: true })
  }
}

/** Another form of the secret in a file that is there: the old one or the new one stands in it, whenever this is stopped. */
export function replaceSecret (file: string, content: string, passphrase: Passphrase | null): void {
  const temporary = temporaryOf(file)
  writeSynced(temporary, passphrase?.lock(content) ?? content)
  renameSync(temporary, file)
  syncPath(dirname(file))
}

function temporaryOf (file: string): string {
  return `${file}.${randomBytes(6).toString('hex')}`
}

export function isTemporary (file: string): boolean {
  return /\.[0-9a-f]{12}$/.test(file)
}

/** The file that a temporary one was to become. */
export function placeOf (temporary: string): string {
  return temporary.replace(/\.[0-9a-f]{12}$/, '')
}

/**
 * Remove a temporary file that was left behind, in a folder that nobody else writes to. Where what it was to become is not there, it
 * may be the only copy, and stays.
 * @returns whether it was removed
 */
export function removeTemporary (temporary: string): boolean {
  const file = placeOf(temporary)
  if (!existsSync(file)) return false
  // Of createSecret's last step both names may be there, of one file: then only the name goes.
  if (statSync(file).ino === statSync(temporary).ino) {
    unlinkSync(temporary)
    syncPath(dirname(temporary))
  } else removeSecret(temporary)
  return true
}

function writeSynced (temporary: string, content: string): void {
  const fd = openSync(temporary, 'wx', 0o600)
  try {
    fchmodSync(fd, 0o600)
    // Writes all of it, or throws: a single write(2) takes what still fits on the disk, and says so only in its result.
    writeFileSync(fd, content)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/**
 * A folder for its owner only, and those above it. One by one: Node's own recursion never ends where the system refuses a
 * folder as if its parent were missing (/proc).
 * @throws cannot-make-folder (operator)
 */
export function makeFolder (folder: string): void {
  const there = statSync(folder, { throwIfNoEntry: false })
  if (there?.isDirectory() === true) return
  if (there !== undefined) throw new MixmintError('cannot-make-folder', 'operator', `the folder ${folder} cannot be made: there is a file of that name`)
  if (dirname(folder) !== folder) makeFolder(dirname(folder))
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return
    throw new MixmintError('cannot-make-folder', 'operator', `the folder ${folder} cannot be made: ${(cause as Error).message}`, { cause })
  }
}

/** What a file holds, or the names in a folder, are on disk. */
export function syncPath (path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/**
 * @returns null when there is no such file
 * @throws key-file-open (operator) when others may read it; passphrase-wanted, passphrase-wrong (operator)
 */
export function readSecret (file: string, passphrase: Passphrase | null = null): string | null {
  let mode: number
  try {
    mode = statSync(file).mode
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  if ((mode & 0o077) !== 0) {
    throw new MixmintError('key-file-open', 'operator', `${file} can be read by others: run \`chmod 600 ${file}\`, and replace the key if they may have`)
  }
  const content = readFileSync(file, 'utf8')
  if (!isLocked(content)) return content
  if (passphrase === null) throw new MixmintError('passphrase-wanted', 'operator', `${file} is locked: name the file of its passphrase in MIXMINT_PASSPHRASE_FILE, or start at a terminal`)
  return passphrase.unlock(file, content)
}

/** Overwrite a file where it lies, and remove it; what that does not reach, see THREATS.md, *Keys*. One that is not there is no error. */
export function removeSecret (file: string): void {
  let fd: number
  try {
    fd = openSync(file, 'r+')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  try {
    writeFileSync(fd, Buffer.alloc(fstatSync(fd).size))
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  unlinkSync(file)
  syncPath(dirname(file))
}

/** 32 random bytes kept as hexadecimal. @throws key-file-broken, and those of readSecret (operator) */
export function loadOrCreateSeed (file: string, passphrase: Passphrase | null = null): Uint8Array {
  const fresh = toHex(randomBytes(32))
  const content = readSecret(file, passphrase) ?? (createSecret(file, `${fresh}\n`, passphrase) ? fresh : readSecret(file, passphrase)) ?? ''
  if (!/^[0-9a-f]{64}$/.test(content.trim())) {
    throw new MixmintError('key-file-broken', 'operator', `${file} does not hold a key of 64 hexadecimal digits: restore it from a backup`)
  }
  return fromHex(content.trim())
}
