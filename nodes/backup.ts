/**
 * Backups of a node, taken while it runs, and what comes back of one. Keys and settings come back as they were. A store comes
 * back only where its role can live with what it has forgotten since, and then the node is told that it has:
 *
 *   bank, merchant     the store; whoever restores it has lost data, and the configuration says when (docs/bank.md)
 *   center             neither store nor vote keys: it would vote a second time. It comes back with a new key
 *   authority          not the store: it would contradict itself. It is silent about epochs of which it may have spoken
 *   gateway, mix       no mix keys, seen tags or packets: they are made anew
 *
 * Money in PostgreSQL is that server's to keep; then vote keys are kept, too, since the votes are.
 */
import { createHash } from 'node:crypto'
import { chmodSync, constants, copyFileSync, createReadStream, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import { epochAt } from '@mixmint/mixnet/directory/epoch'
import { networkFile, readNode, type NodeConfig } from './config.ts'
import { setInConfig } from './config-edit.ts'
import type { Given } from './config-sources.ts'
import { callControl } from './control.ts'
import { createSecret, makeFolder, replaceSecret, syncPath } from './secrets.ts'
import { SETTINGS, variableOf } from './settings.ts'
import { copyStore } from './store/lmdb.ts'
import { withOwnStore } from './store/own-store.ts'
import { writeMark } from './store/mark.ts'
import { isVoteKey } from './vote-keys.ts'

const FORMAT = 1
const MANIFEST = 'backup.json'
const CONFIG = 'config.toml'
const NETWORK = 'network.toml'
const MARK = 'store.mark'
const STORE = join('store', 'data.mdb')
const KEPT = /^(config\.toml|store\.mark|ring[a-z0-9-]*\.json|[a-z0-9-]+\.key|(lost-)?keyset-[0-9a-f]+\.json|lost-sealed-[0-9a-f]+\.json|sealed-[0-9]+-[0-9a-f]+\.(json|keys))$/
/** A large store on a slow disk takes its time. */
const COPY_TIMEOUT = 3_600_000

interface Manifest { readonly format: number, readonly role: string, readonly taken: string, readonly files: Readonly<Record<string, string>> }

export interface Taken {
  readonly files: readonly string[]
  readonly store: boolean
  /** What may never come back. */
  readonly left: readonly string[]
  /** What the configuration names and lies outside the node's folder: for the operator to keep. */
  readonly outside: readonly string[]
}

/** Does this node's own store hold what comes back with `restoredAt`? */
export function copiesStore ({ role, postgresFile }: NodeConfig): boolean {
  return (role === 'bank' || role === 'merchant') && postgresFile === ''
}

/**
 * A folder with all that comes back, complete or not there.
 * @param given as readNode takes it
 * @throws backup-exists (caller), backup-failed, and those of readNode and of the store (operator)
 */
export async function takeBackup (dir: string, to: string, now: Millis, given?: Given): Promise<Taken> {
  if (existsSync(to)) throw new MixmintError('backup-exists', 'caller', `${to} is there already: give each backup a folder of its own`)
  const config = readNode(dir, given)
  const partial = `${resolve(to)}.partial`
  rmSync(partial, { recursive: true, force: true })
  makeFolder(partial)
  try {
    // The store first: keys that are made meanwhile are in the copy of the folder, and nothing in the store is without its key.
    const store = copiesStore(config)
    if (store) await takeStore(dir, join(partial, 'store'))
    const names = readdirSync(dir).filter(name => KEPT.test(name))
    const left = names.filter(name => config.role === 'center' && config.postgresFile === '' && isVoteKey(name))
    // The mark goes with the store: where that comes back as a copy, or not at all, it would only keep the node from starting.
    const own = names.filter(name => !left.includes(name) && !(config.postgresFile === '' && name === MARK))
    const named = namedFiles(config)
    const inside = named.filter(name => isInside(name))
    const files = [...new Set([...own, ...inside])]
    for (const name of files) writeUnder(partial, name, readFileSync(join(dir, name), 'utf8'))
    writeUnder(partial, NETWORK, readFileSync(networkFile(dir, given), 'utf8'))
    const all = [...files, NETWORK, ...store ? [STORE] : []].sort()
    const hashes = Object.fromEntries(await Promise.all(all.map(async name => [name, await hashOf(join(partial, name))] as const)))
    createSecret(join(partial, MANIFEST), `${JSON.stringify({ format: FORMAT, role: config.role, taken: new Date(now).toISOString(), files: hashes } satisfies Manifest, null, 1)}\n`)
    syncPath(partial)
    renameSync(partial, to)
    syncPath(dirname(resolve(to)))
    return { files: all, store, left, outside: named.filter(name => !isInside(name)).map(name => resolve(dir, name)) }
  } catch (cause) {
    rmSync(partial, { recursive: true, force: true })
    throw isMixmintError(cause) ? cause : new MixmintError('backup-failed', 'operator', `the backup was not made: ${(cause as Error).message}`, { cause })
  }
}

/** What a configuration names by a path of the operator's choice, as seen from the node's folder, where it is there. */
function namedFiles ({ dir, role, ringFile, postgresFile }: NodeConfig): string[] {
  return [...role === 'bank' ? [ringFile] : [], ...postgresFile === '' ? [] : [postgresFile]].filter(file => existsSync(file)).map(file => relative(dir, file))
}

/** Does a path stay in the folder from which it is seen? */
function isInside (name: string): boolean {
  return !isAbsolute(name) && name.split(sep).every(part => part !== '' && part !== '.' && part !== '..')
}

function writeUnder (dir: string, name: string, text: string): void {
  const folder = dirname(join(dir, name))
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  createSecret(join(dir, name), text)
  syncPath(folder)
}

/** By the daemon, while it works; of one that is stopped, by ourselves. */
async function takeStore (dir: string, to: string): Promise<void> {
  try {
    await callControl(dir, 'backup', { to }, COPY_TIMEOUT)
  } catch (error) {
    if (!isMixmintError(error, 'daemon-not-running')) throw error
    await withOwnStore(dir, async store => { await copyStore(store, to) })
  }
}

export interface Restored { readonly role: string, readonly taken: string, readonly files: readonly string[], /** What its operator has to do, or to know. */ readonly notes: readonly string[] }

/**
 * A node's folder from a backup: complete or not there.
 * @param environment in which the node would be started
 * @throws folder-not-empty (caller), restore-overridden, no-such-backup, backup-broken, clock-before-backup (operator)
 */
export async function restoreBackup (from: string, dir: string, now: Millis, environment: Given['environment'] = {}): Promise<Restored> {
  const overriding = SETTINGS.filter(({ name }) => name === 'restoredAt' || name === 'signsFrom').flatMap(setting => variableOf(setting) ?? []).find(name => environment[name] !== undefined)
  if (overriding !== undefined) throw new MixmintError('restore-overridden', 'operator', `${overriding} is set, and would stand above what a restore writes into the configuration: take it out, here and where the node is started, and restore again`)
  if (existsSync(dir) && readdirSync(dir).length > 0) {
    throw new MixmintError('folder-not-empty', 'caller', `${dir} is not empty: a backup is restored into a folder of its own, so that nothing newer is put over`)
  }
  const manifest = readManifest(from)
  // All that the node is told of its loss is told as of now, and it lost nothing before it was backed up.
  if (now < Date.parse(manifest.taken)) throw new MixmintError('clock-before-backup', 'operator', `by the clock of this machine it is ${new Date(now).toISOString()}, and the backup was taken at ${manifest.taken}: set the clock, and restore again`)
  for (const [name, hash] of Object.entries(manifest.files)) {
    if (!existsSync(join(from, name)) || await hashOf(join(from, name)) !== hash) throw new MixmintError('backup-broken', 'operator', `${join(from, name)} is not what was backed up: take another copy of the backup, or an earlier one`)
  }
  const partial = `${resolve(dir)}.partial`
  rmSync(partial, { recursive: true, force: true })
  makeFolder(partial)
  try {
    const files = Object.keys(manifest.files)
    for (const name of files.filter(each => each !== STORE && each !== NETWORK)) writeUnder(partial, name, readFileSync(join(from, name), 'utf8'))
    // Where its configuration looks for it; one that is there stays, as it may be newer.
    const network = networkFile(partial)
    const there = resolve(dir, network.startsWith(`${partial}/`) ? network.slice(partial.length + 1) : network)
    if (!existsSync(there)) createSecret(network, readFileSync(join(from, NETWORK), 'utf8'))
    if (files.includes(STORE)) {
      mkdirSync(join(partial, 'store'), { mode: 0o700 })
      copyFileSync(join(from, STORE), join(partial, STORE), constants.COPYFILE_EXCL)
      chmodSync(join(partial, STORE), 0o600)
      for (const name of [STORE, 'store']) syncPath(join(partial, name))
    }
    const notes = tellLoss(partial, readNode(partial), files, now)
    syncPath(partial)
    renameSync(partial, dir)
    syncPath(dirname(resolve(dir)))
    return { role: manifest.role, taken: manifest.taken, files, notes }
  } catch (error) {
    rmSync(partial, { recursive: true, force: true })
    throw error
  }
}

/**
 * What a node may have done since it was backed up it must not do otherwise now: the configuration says so, before it is started.
 * @param files that came back. They say where the money was; the configuration does not, where a flag or a variable named its PostgreSQL
 */
function tellLoss (dir: string, config: NodeConfig, files: readonly string[], now: Millis): string[] {
  const set = (key: string, value: string | number): void => {
    const file = join(dir, CONFIG)
    replaceSecret(file, setInConfig(readFileSync(file, 'utf8'), config.role, key, value), null)
  }
  const unnamed = config.postgresFile === '' ? ['it was backed up with its money in PostgreSQL, which its config.toml does not name: start it with the flag or variable of then'] : []
  switch (config.role) {
    case 'bank': case 'merchant':
      if (!files.includes(STORE)) return ['the money is in PostgreSQL: if that was restored too, set restoredAt (docs/backup.md)', ...unnamed]
      set('restoredAt', new Date(now).toISOString())
      // A configuration without that line does not start.
      writeMark(dir, now, readNode(dir).restoredAt)
      return [`restoredAt = "${new Date(now).toISOString()}" stands in its configuration: ${config.role === 'bank' ? 'accounts are frozen until you thaw them, and coins and tokens of before are refused' : 'tokens of before are refused'} (docs/bank.md)`]
    case 'authority': {
      // What it may have said is of the epoch at the time of the loss and of the one after; the loss was before now.
      const from = Math.max(config.signsFrom, epochAt(config.parameters, now) + 2)
      set('signsFrom', from)
      return [`signsFrom = ${from} stands in its configuration: it says nothing of epochs before (docs/authorities.md)`]
    }
    case 'center':
      return files.some(name => isVoteKey(name))
        ? ['its votes are in PostgreSQL: if that was restored too, set restoredAt before you start it, and make a new vote key (docs/keysets.md)', ...unnamed]
        : ['it starts with a new vote key, whose votes count from the next ring on: hand `mixmint ring entry` to the bank; for rings that list the old key it is one of those that are down (docs/backup.md)']
    default: return []
  }
}

function readManifest (from: string): Manifest {
  const file = join(from, MANIFEST)
  if (!existsSync(file)) throw new MixmintError('no-such-backup', 'operator', `${from} is no backup: it has no ${MANIFEST}`)
  let manifest: Partial<Manifest>
  try {
    manifest = JSON.parse(readFileSync(file, 'utf8')) as Partial<Manifest>
  } catch (cause) {
    throw new MixmintError('backup-broken', 'operator', `${file} does not parse: take another copy of the backup, or an earlier one`, { cause })
  }
  const { format, role, taken, files } = manifest
  if (format !== undefined && format > FORMAT) throw new MixmintError('backup-too-new', 'operator', 'the backup was made by a later version of this program: install that one')
  if (format !== FORMAT || typeof role !== 'string' || typeof taken !== 'string' || Number.isNaN(Date.parse(taken)) || typeof files !== 'object' || files === null || !Object.keys(files).every(isInside)) {
    throw new MixmintError('backup-broken', 'operator', `${file} is not what this program writes: take another copy of the backup, or an earlier one`)
  }
  return { format, role, taken, files }
}

async function hashOf (file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
