/**
 * The folder of a node, made in one way whoever asks for it: for its owner only, with the keys of its role, and a
 * configuration in which every setting stands. What its operator hands to others is read from it.
 */
import { chmodSync, existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { stringify } from 'smol-toml'
import { toHex } from '@mixmint/core/kit/bytes'
import { tagged } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Suite } from '@mixmint/core/crypto/suite'
import { formatTarget, parseTarget, peerBytes, peerIdFromBytes } from '@mixmint/mixnet/wire/peers'
import { checkNodeText } from './config.ts'
import { bad, readSources, type Given } from './config-sources.ts'
import { configText } from './config-text.ts'
import { loadOrCreateIdentity } from './identity.ts'
import type { Passphrase } from './passphrase.ts'
import { loadOrCreateSeed, makeFolder } from './secrets.ts'
import { named, type Role } from './settings.ts'

/** The key that makes a node what it is, beside its identity on the network. */
const ROLE_KEYS: Readonly<Partial<Record<Role, string>>> = { authority: 'authority.key', bank: 'bank.key', center: 'vote.key', merchant: 'payee.key' }

export interface NodeKeys {
  /** 39 bytes. */
  readonly peer: Uint8Array
  /** Public, of the role; null where it has none. */
  readonly key: Uint8Array | null
}

/** Keys of a folder, made where there are none. @throws those of loadOrCreateSeed (operator) */
export function makeKeys (suite: Suite, dir: string, role: Role, passphrase: Passphrase | null): NodeKeys {
  const file = ROLE_KEYS[role]
  return {
    peer: peerBytes(peerIdFromPrivateKey(loadOrCreateIdentity(join(dir, 'identity.key'), passphrase))),
    key: file === undefined ? null : suite.ed25519KeyPair(loadOrCreateSeed(join(dir, file), passphrase)).publicKey
  }
}

/** Files of keys that a node of this role cannot be without, and that are not in its folder. */
export function missingKeyFiles (dir: string, role: Role): string[] {
  return ['identity.key', ROLE_KEYS[role]].filter(file => file !== undefined).filter(file => !existsSync(join(dir, file)))
}

/** As makeKeys, of a node that is there: nothing is made. @throws no-key-file (operator), those of loadOrCreateSeed */
export function readKeys (suite: Suite, dir: string, role: Role, passphrase: Passphrase | null): NodeKeys {
  const missing = missingKeyFiles(dir, role)
  if (missing.length > 0) throw new MixmintError('no-key-file', 'operator', `${missing.join(' and ')} is not in ${dir}: restore it from a backup; a new node is made by \`mixmint init\``)
  return makeKeys(suite, dir, role, passphrase)
}

/**
 * @param values settings by path; those of others stand in the file as comments
 * @throws folder-not-empty (caller) when a node is there already; cannot-make-folder, folder-open, and bad-config when a start would refuse these values (operator)
 */
export function makeNode (suite: Suite, dir: string, role: Role, values: Readonly<Record<string, unknown>>, passphrase: Passphrase | null): NodeKeys {
  const file = join(dir, 'config.toml')
  if (existsSync(file)) throw new MixmintError('folder-not-empty', 'caller', `${dir} holds a node already: its ${file} is left as it is`)
  const text = configText(role, { role, ...values })
  checkNodeText('what was given', text)
  makeFolder(dir)
  closeFolder(dir)
  const keys = makeKeys(suite, dir, role, passphrase)
  // Last, so that a folder with it is complete.
  writeFileSync(file, text, { mode: 0o600 })
  return keys
}

/** An empty one is closed to others; of one that has something in it, who made it has to say. @throws folder-open (operator) */
function closeFolder (dir: string): void {
  if ((statSync(dir).mode & 0o077) === 0) return
  if (readdirSync(dir).length > 0) throw new MixmintError('folder-open', 'operator', `${dir} is open to others, and is not empty: \`chmod 700 ${dir}\`, or use a folder of its own`)
  chmodSync(dir, 0o700)
}

/** In hexadecimal, of the role's key. @throws no-such-node, wrong-role, and those of readKeys (operator) */
export function publicKeyOf (suite: Suite, dir: string, wanted: Role, passphrase: Passphrase | null): string {
  const { role } = readSources(join(dir, 'config.toml'))
  if (role !== wanted) throw new MixmintError('wrong-role', 'operator', `${dir} holds ${named(role)}, and not ${named(wanted)}`)
  return toHex(readKeys(suite, dir, role, passphrase).key ?? new Uint8Array(0))
}

/** A center's id on rings: from its libp2p identity, so that it outlives vote keys. */
export function centerId (suite: Suite, peer: Uint8Array): Uint8Array {
  return suite.sha256(tagged('center', peer))
}

export interface Entry {
  /** `[[authority]]` of network.toml, or `[[authority.admit]]` of the authorities' config.toml. */
  readonly entry: Readonly<Record<string, string>>
  /** The same, as it stands there. */
  readonly toml: string
}

/**
 * What the operator of a node hands to others so that it has its place: the public side of its keys, and nothing else.
 * @throws no-such-node, bad-config, and those of readKeys (operator)
 */
export function entryOfNode (suite: Suite, dir: string, passphrase: Passphrase | null, given?: Given): Entry {
  const { role, raw, where } = readSources(join(dir, 'config.toml'), given)
  const { peer, key } = readKeys(suite, dir, role, passphrase)
  if (role !== 'authority') {
    const entry = { peer: peerIdFromBytes(peer).toString(), ...(role === 'mix' || role === 'gateway' ? { role } : { role: 'service', kind: role }) }
    return { entry, toml: stringify({ authority: { admit: [entry] } }).trim() }
  }
  const [address = raw.listen] = raw.announce as readonly unknown[]
  if (typeof address !== 'string' || /^\/ip4\/0\.0\.0\.0\/|^\/ip6\/::\//.test(address)) throw bad(where, 'announce: where others reach this authority is wanted, such as ["/ip4/192.0.2.1/tcp/4001"]')
  const target = formatTarget({ peer, addresses: [address] })
  try {
    parseTarget(target)
  } catch (cause) {
    throw new MixmintError('bad-config', 'operator', `${where}: listen or announce: an address without /p2p is wanted, such as /ip4/192.0.2.1/tcp/4001`, { cause })
  }
  const entry = { key: toHex(key ?? new Uint8Array(0)), address: target }
  return { entry, toml: stringify({ authority: [entry] }).trim() }
}
