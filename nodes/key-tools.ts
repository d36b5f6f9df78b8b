/** What `mixmint keys` does with the key files of a node: lock, unlock, carry away and bring in, and make anew. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { readSources } from './config-sources.ts'
import { named } from './settings.ts'
import { isLocked, type Passphrase } from './passphrase.ts'
import { keyFiles, keyLeftOvers } from './passphrase-source.ts'
import { createSecret, readSecret, removeSecret, removeTemporary, replaceSecret } from './secrets.ts'
import { withOwnStore } from './store/own-store.ts'
import { isVoteKey, renewVoteKey } from './vote-keys.ts'

const FORMAT = 1
const NAME = /^[a-z0-9-]+\.(key|keys|json)$/

/** What can be made anew: those of mixing at any time, a vote key for rings to come. */
export const ROTATED = ['mix', 'vote'] as const
type Rotated = typeof ROTATED[number]

interface Bundle { readonly format: number, readonly files: Readonly<Record<string, { readonly content: string, readonly locked: boolean }>> }

function isLockedFile (file: string): boolean {
  return isLocked(readFileSync(file, 'utf8'))
}

/** File names: those that were locked or unlocked, and left-overs of an interruption that were removed, or kept as they may be all there is. */
interface Relocked { readonly changed: string[], readonly removed: string[], readonly kept: string[] }

/**
 * @param passphrase asked for where there is something to do; `isNew`: nothing in the folder is locked yet
 * @throws passphrase-wrong, folder-in-use (operator)
 */
export async function setLock (dir: string, lock: boolean, passphrase: (isNew: boolean) => Promise<Passphrase>): Promise<Relocked> {
  return await alone(dir, async () => {
    // Not locked, as a rule: of a process that died while it wrote them.
    const [removed, kept] = [true, false].map(gone => keyLeftOvers(dir).filter(file => removeTemporary(file) === gone))
    const [locked, open] = [true, false].map(wanted => keyFiles(dir).filter(file => isLockedFile(file) === wanted))
    const files = lock ? open : locked
    const known = files.length === 0 ? null : await passphrase(lock && locked.length === 0)
    // All that are locked are read before the first is changed: a wrong passphrase changes nothing, and a folder has one.
    for (const file of locked) if (known !== null) readSecret(file, known)
    const contents = files.map(file => readSecret(file, known) ?? '')
    files.forEach((file, i) => { replaceSecret(file, contents[i], lock ? known : null) })
    return { changed: files.map(file => basename(file)), removed: removed.map(file => basename(file)), kept: kept.map(file => basename(file)) }
  })
}

/** From one passphrase to another; stopped half-way, it is done by doing it again. */
export async function changePassphrase (dir: string, before: Passphrase, after: Passphrase): Promise<string[]> {
  return await alone(dir, async () => {
    const files = keyFiles(dir).filter(isLockedFile)
    const contents = files.map(file => readEither(file, before, after))
    const open = files.flatMap((file, i) => contents[i].wasNew ? [] : [{ file, content: contents[i].content }])
    for (const { file, content } of open) replaceSecret(file, content, after)
    return open.map(({ file }) => basename(file))
  })
}

function readEither (file: string, before: Passphrase, after: Passphrase): { content: string, wasNew: boolean } {
  try {
    return { content: readSecret(file, before) ?? '', wasNew: false }
  } catch (error) {
    try {
      return { content: readSecret(file, after) ?? '', wasNew: true }
    } catch {
      throw error
    }
  }
}

/**
 * All key files of a node in one, locked with the passphrase.
 * @returns their names, and those that were left
 * @throws file-exists (caller); those of readSecret (operator)
 */
export function exportKeys (dir: string, to: string, passphrase: Passphrase): { exported: string[], left: string[] } {
  const [left, files] = [true, false].map(isVote => keyFiles(dir).filter(file => isVoteKey(basename(file)) === isVote))
  const bundle: Bundle = {
    format: FORMAT,
    files: Object.fromEntries(files.map(file => [basename(file), { content: readSecret(file, passphrase) ?? '', locked: isLockedFile(file) }]))
  }
  if (!createSecret(to, JSON.stringify(bundle), passphrase)) throw new MixmintError('file-exists', 'caller', `${to} is there already, and nothing was written over it`)
  return { exported: files.map(file => basename(file)), left: left.map(file => basename(file)) }
}

/**
 * Key files from what exportKeys wrote: those that are there already have to be the same.
 * @throws no-such-file, key-export-broken, and those of Passphrase.unlock (operator); key-exists (caller): then nothing was written
 */
export function importKeys (file: string, dir: string, passphrase: Passphrase): string[] {
  const text = readSecret(file, passphrase)
  if (text === null) throw new MixmintError('no-such-file', 'operator', `there is no file ${file}`)
  const files = Object.entries(parse(file, text).files)
  const others = files.filter(([name, { content }]) => existsSync(join(dir, name)) && readSecret(join(dir, name), passphrase) !== content)
  if (others.length > 0) throw new MixmintError('key-exists', 'caller', `${dir} has another ${others[0][0]}: a key is not written over; use a folder of its own`)
  return files.flatMap(([name, { content, locked }]) => createSecret(join(dir, name), content, locked ? passphrase : null) ? [name] : [])
}

function parse (file: string, text: string): Bundle {
  const broken = (cause?: unknown): MixmintError => new MixmintError('key-export-broken', 'operator', `${file} is not what \`mixmint keys export\` writes`, { cause })
  let bundle: Partial<Bundle>
  try {
    bundle = JSON.parse(text) as Partial<Bundle>
  } catch (cause) {
    throw broken(cause)
  }
  const { format, files } = bundle
  if (format !== FORMAT || typeof files !== 'object' || files === null) throw broken()
  const isWhole = ([name, each]: [string, Partial<Bundle['files'][string]> | null]): boolean => NAME.test(name) && !isVoteKey(name) && typeof each?.content === 'string' && typeof each.locked === 'boolean'
  if (!Object.entries(files).every(isWhole)) throw broken()
  return { format, files }
}

/**
 * New keys in place of those that others may have, at a node that is stopped.
 * @returns what its operator has to do now
 * @throws folder-in-use, wrong-role (operator)
 */
export async function rotateKeys (dir: string, what: Rotated, passphrase: Passphrase | null): Promise<string> {
  const { role } = readSources(join(dir, 'config.toml'))
  if ((what === 'vote') !== (role === 'center') || role === 'authority') throw new MixmintError('wrong-role', 'operator', `${dir} holds ${named(role)}, which has no ${what} keys`)
  return await alone(dir, async () => what === 'mix' ? destroyMixKeys(dir) : await newVoteKey(dir, passphrase))
}

/** Keys, and the tags that were seen under them; a node makes new ones when it starts. */
function destroyMixKeys (dir: string): string {
  const files = ['mix-keys', 'seen'].map(name => join(dir, name)).filter(existsSync).flatMap(folder => readdirSync(folder).map(name => join(folder, name)))
  for (const file of files) removeSecret(file)
  return `${files.length} files were overwritten and removed; start the node: it is in the directory with new keys from the next document on, and opens no packets until then`
}

async function newVoteKey (dir: string, passphrase: Passphrase | null): Promise<string> {
  const { publicKey } = renewVoteKey(await defaultSuite(), dir, passphrase)
  return `the vote key is ${toHex(publicKey)} now: hand \`mixmint ring entry --dir ${dir}\` to the bank, and have the old one revoked, if others have it, by \`mixmint ring retire\``
}

/** With the folder's lock, where it was ever run: a running node writes keys. @throws folder-in-use (operator) */
async function alone<T> (dir: string, act: () => Promise<T>): Promise<T> {
  return existsSync(join(dir, 'store')) ? await withOwnStore(dir, act) : await act()
}
