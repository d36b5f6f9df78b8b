/**
 * Configuration of one node: `config.toml` in its folder, and the network's `network.toml` beside or above it. Strict: an
 * unknown or misspelt key is an error that names the nearest right one, so that no setting is ever silently ignored.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parse as parseToml } from 'smol-toml'
import { fromHex } from '@mixmint/core/kit/bytes'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import type { Periods } from '@mixmint/core/cash/schedule'
import { ALL_WALLETS } from '@mixmint/mixnet/abuse/rate-limit'
import { isInOffice, type Term } from '@mixmint/mixnet/directory/document'
import type { Parameters } from '@mixmint/mixnet/directory/formats'
import { networkParameters, PARAMETER_NAMES } from './parameters.ts'

const ROLES = ['authority', 'gateway', 'mix', 'bank', 'center', 'merchant'] as const
export type Role = typeof ROLES[number]
const PROFILES = ['default', 'demo'] as const

/** Who signs the directory, and where it is found. Public; everyone on the network has the same. */
export interface NetworkConfig {
  readonly network: string
  readonly authorities: ReadonlyArray<{ readonly key: Uint8Array, readonly address: string } & Term>
}

/** One admitted node, in the authority's list. `layer` fixes a mix to a layer. */
interface Admission {
  readonly peer: string
  readonly role: 'gateway' | 'mix' | 'service'
  readonly kind: string
  readonly layer: number | undefined
}

export interface NodeConfig {
  readonly dir: string
  readonly role: Role
  readonly network: NetworkConfig
  /** Where the network's nodes come in; at an authority, everybody. */
  readonly listen: string
  /** Where wallets come in: multiaddrs of TCP, or of WebSocket (…/ws). */
  readonly entry: readonly string[]
  /** Settings of the role, under a table of its name. */
  readonly parameters: Parameters
  readonly admit: readonly Admission[]
  readonly bootstrapWait: number
  /** An authority whose store was lost, or is an old one, says nothing of earlier epochs. */
  readonly signsFrom: number
  /** A mix that stops lets the packets inside leave in their time, for so long at most, ms. */
  readonly drainLimit: number
  /** What a gateway takes from all its wallets together, packets a second. */
  readonly walletPackets: number
  readonly unit: string
  readonly denominations: number
  readonly ringFile: string
  /** Threads of a bank that sign; by default as many as there are cores, but one. */
  readonly signers: number
  /** A bank has keys for sealed tokens of today and of so many days ahead; 0: it makes no sealed tokens. */
  readonly sealedDays: number
  /** A secret file with the connection string of the money's PostgreSQL; '' where the money is in the folder's own store. */
  readonly postgresFile: string
  /** Data of before this time may be missing from the store of the bank or merchant, Unix ms; 0: none is. */
  readonly restoredAt: number
  /** How long the bank's keysets issue, can then be spent, then redeemed, then refunded; how long before they are listed. */
  readonly keysets: Periods
  readonly bank: Uint8Array
  readonly name: string
  readonly till: string
  /** A till that is not in the directory: it serves its counter only. */
  readonly unlisted: boolean
  readonly catalogue: ReadonlyArray<{ readonly item: string, readonly price: number }>
  /** How long an invoice can be paid; 0: as long as the network allows. */
  readonly invoiceMinutes: number
  /** Accepted tokens are turned in this often; 0: by command only. */
  readonly depositMinutes: number
  /** Orders of more than this are delivered only when the bank has settled them. */
  readonly settledAbove: number
  /** What may be delivered for coins that find no certificate for the time being; undefined: nothing. */
  readonly trust: { readonly perOrder: number, readonly total: number, readonly perKeyset: number } | undefined
}

const MOST_DAYS = 3650
/** Keysets of a bank that stand in the directory at a time, of at most 64, and their keys, of 280 bytes each: half of the 256 KiB. */
const MOST_LIVE = 48
const MOST_KEYS = 468

/** Below what service managers wait before they kill (systemd: 90 s). */
const DRAIN_LIMIT = 60_000

type Kind = 'text' | 'texts' | 'uint' | 'flag' | 'table' | 'tables'
type Shape = Record<string, Kind>

const SHAPES: Record<Role, Shape> = {
  authority: { profile: 'text', parameters: 'table', bootstrapWait: 'uint', signsFrom: 'uint', admit: 'tables' },
  gateway: { drainLimit: 'uint', walletPackets: 'uint' },
  mix: { drainLimit: 'uint' },
  bank: { unit: 'text', denominations: 'uint', ring: 'text', keysetDays: 'uint', spendDays: 'uint', redeemDays: 'uint', refundDays: 'uint', aheadDays: 'uint', sealedDays: 'uint', signers: 'uint', postgres: 'text', restoredAt: 'text' },
  center: { postgres: 'text' },
  merchant: { postgres: 'text', restoredAt: 'text', name: 'text', unit: 'text', bank: 'text', till: 'text', unlisted: 'flag', catalogue: 'tables', invoiceMinutes: 'uint', depositMinutes: 'uint', settledAbove: 'uint', trust: 'tables' }
}

function bad (file: string, why: string): MixmintError {
  return new MixmintError('bad-config', 'operator', `${file}: ${why}`)
}

/** @throws no-such-network, when there is no readable file, bad-config (operator) */
export function readNetwork (file: string): NetworkConfig {
  const raw = readToml(file, 'no-such-network')
  check(file, raw, { network: 'text', authority: 'tables' })
  const authorities = tables(file, raw.authority, { key: 'text', address: 'text', from: 'uint', until: 'uint' }, 'authority')
  if (authorities.length === 0) throw bad(file, 'at least one [[authority]] with key and address is wanted')
  const keys = authorities.map(a => text(file, a, 'key'))
  if (new Set(keys).size < keys.length) throw bad(file, 'authority.key: an authority is listed twice')
  const read = authorities.map((a, i) => ({
    key: key(file, 'authority.key', keys[i]), address: text(file, a, 'address'),
    from: uint(file, a, 'from', 0), until: a.until === undefined ? Infinity : uint(file, a, 'until', 0)
  }))
  if (read.some(({ from, until }) => from >= until)) throw bad(file, 'authority.until: it comes after from, the first epoch of that authority')
  const changes = read.flatMap(({ from, until }) => Number.isFinite(until) ? [from, until] : [from])
  const empty = changes.find(epoch => epoch >= Math.min(...changes) && !read.some(term => isInOffice(term, epoch)))
  if (empty !== undefined) throw bad(file, `authority: nobody is in office in epoch ${empty}`)
  return { network: text(file, raw, 'network'), authorities: read }
}

/** @throws no-such-node, no-such-network, bad-config (operator) */
export function readNode (dir: string): NodeConfig {
  const file = join(dir, 'config.toml')
  const raw = readToml(file, 'no-such-node')
  const role = ROLES.find(r => r === raw.role)
  if (role === undefined) throw bad(file, `role: one of ${ROLES.join(', ')} wanted`)
  check(file, raw, { role: 'text', network: 'text', listen: 'text', entry: 'texts', [role]: 'tables' })
  const entry = texts(file, raw, 'entry')
  if (role === 'gateway' && entry.length === 0) throw bad(file, 'entry: where wallets attach is wanted, such as ["/ip4/0.0.0.0/tcp/4002", "/ip4/0.0.0.0/tcp/4003/ws"]')
  if ((role === 'mix' || role === 'authority') && entry.length > 0) throw bad(file, `entry: wallets do not come to ${role === 'mix' ? 'a mix' : 'an authority by another way'}`)
  const own = (raw[role] ?? {}) as Record<string, unknown>
  check(file, own, SHAPES[role], role)
  const walletPackets = uint(file, own, 'walletPackets', ALL_WALLETS)
  if (walletPackets === 0) throw bad(file, 'gateway.walletPackets: at least 1 a second wanted')
  const bank = role === 'merchant' ? key(file, 'merchant.bank', text(file, own, 'bank')) : new Uint8Array(0)
  return {
    dir: resolve(dir),
    role,
    network: readNetwork(resolve(dir, text(file, raw, 'network', '../network.toml'))),
    listen: text(file, raw, 'listen'),
    entry,
    parameters: parameters(file, own),
    admit: tables(file, own.admit, { peer: 'text', role: 'text', kind: 'text', layer: 'uint' }, 'admit').map(a => {
      const as = (['gateway', 'mix', 'service'] as const).find(r => r === a.role)
      if (as === undefined) throw bad(file, 'admit.role: one of gateway, mix, service wanted')
      return { peer: text(file, a, 'peer'), role: as, kind: text(file, a, 'kind', ''), layer: a.layer === undefined ? undefined : uint(file, a, 'layer', 0) }
    }),
    bootstrapWait: uint(file, own, 'bootstrapWait', 60_000),
    signsFrom: uint(file, own, 'signsFrom', 0),
    drainLimit: uint(file, own, 'drainLimit', DRAIN_LIMIT),
    walletPackets,
    unit: text(file, own, 'unit', 'cent'),
    denominations: uint(file, own, 'denominations', 20),
    ringFile: resolve(dir, text(file, own, 'ring', 'ring.json')),
    signers: Math.max(1, uint(file, own, 'signers', availableParallelism() - 1)),
    sealedDays: uint(file, own, 'sealedDays', 7),
    postgresFile: own.postgres === undefined ? '' : resolve(dir, text(file, own, 'postgres')),
    restoredAt: own.restoredAt === undefined ? 0 : date(file, own, 'restoredAt'),
    keysets: periods(file, own),
    bank,
    name: text(file, own, 'name', ''),
    till: text(file, own, 'till', ''),
    unlisted: flag(file, own, 'unlisted'),
    invoiceMinutes: uint(file, own, 'invoiceMinutes', 0),
    depositMinutes: uint(file, own, 'depositMinutes', 60),
    settledAbove: uint(file, own, 'settledAbove', Number.MAX_SAFE_INTEGER),
    trust: trust(file, own.trust),
    catalogue: tables(file, own.catalogue, { item: 'text', price: 'uint' }, 'catalogue')
      .map(c => ({ item: text(file, c, 'item'), price: uint(file, c, 'price', 0) }))
  }
}

function readToml (file: string, absent: string): Record<string, unknown> {
  let source: string
  try {
    source = readFileSync(file, 'utf8')
  } catch (error) {
    throw new MixmintError(absent, 'operator', `cannot read ${file}: give the right folder, or make one with \`mixmint up --dir ${dirname(file)}\``, { cause: error })
  }
  try {
    return parseToml(source) as Record<string, unknown>
  } catch (error) {
    throw bad(file, `not TOML: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`)
  }
}

function check (file: string, table: Record<string, unknown>, shape: Shape, under = ''): void {
  const names = Object.keys(shape)
  for (const name of Object.keys(table)) {
    if (names.includes(name)) continue
    const nearest = names.map(n => ({ n, far: distance(n, name) })).sort((a, b) => a.far - b.far)[0]
    const hint = nearest !== undefined && nearest.far <= 3 ? `; did you mean ${nearest.n}?` : names.length > 0 ? `; known: ${names.join(', ')}` : ''
    throw bad(file, `unknown key ${under === '' ? '' : `${under}.`}${name}${hint}`)
  }
}

function text (file: string, table: Record<string, unknown>, name: string, otherwise?: string): string {
  const value = table[name] ?? otherwise
  if (typeof value !== 'string') throw bad(file, `${name}: a text is wanted`)
  return value
}

function texts (file: string, table: Record<string, unknown>, name: string): string[] {
  const value = table[name] ?? []
  if (!Array.isArray(value) || !value.every(item => typeof item === 'string')) throw bad(file, `${name}: a list of texts is wanted`)
  return value
}

function flag (file: string, table: Record<string, unknown>, name: string): boolean {
  const value = table[name] ?? false
  if (typeof value !== 'boolean') throw bad(file, `${name}: true or false wanted`)
  return value
}

function date (file: string, table: Record<string, unknown>, name: string): number {
  const value = Date.parse(text(file, table, name))
  if (Number.isNaN(value)) throw bad(file, `${name}: a date such as "2026-01-31T12:00:00Z" is wanted`)
  return value
}

function uint (file: string, table: Record<string, unknown>, name: string, otherwise: number): number {
  const value = table[name] ?? otherwise
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw bad(file, `${name}: a whole number from 0 on is wanted`)
  return value
}

/** @param own the table of an authority; other roles have none, and take the parameters from the directory */
function parameters (file: string, own: Record<string, unknown>): Parameters {
  const profile = PROFILES.find(name => name === text(file, own, 'profile', 'default'))
  if (profile === undefined) throw bad(file, `authority.profile: one of ${PROFILES.join(', ')} wanted`)
  const changed = own.parameters ?? {}
  if (typeof changed !== 'object' || Array.isArray(changed)) throw bad(file, 'a table [authority.parameters] is wanted')
  check(file, changed as Record<string, unknown>, Object.fromEntries(PARAMETER_NAMES.map(name => [name, 'uint'])), 'authority.parameters')
  try {
    return networkParameters(profile, changed as Record<string, unknown>)
  } catch (error) {
    if (isMixmintError(error, 'bad-parameters')) throw bad(file, `authority.parameters: ${error.message}`)
    throw error
  }
}

/** @param own the table of a bank */
function periods (file: string, own: Record<string, unknown>): Periods {
  const days = (name: string, otherwise: number): Millis => {
    const value = uint(file, own, name, otherwise)
    if (value < 1 || value > MOST_DAYS) throw bad(file, `bank.${name}: 1 to ${MOST_DAYS} days are wanted`)
    return value * 86_400_000
  }
  const issue = days('keysetDays', 30)
  const each = issue / 86_400_000
  const terms = { issue, spend: days('spendDays', each), redeem: days('redeemDays', each), refund: days('refundDays', each), ahead: days('aheadDays', Math.ceil(each / 4)) }
  const live = Math.ceil((issue + terms.spend + terms.redeem + terms.refund + terms.ahead) / issue) + 1
  if (live > MOST_LIVE || live * uint(file, own, 'denominations', 20) > MOST_KEYS) throw bad(file, `bank.keysetDays: with these periods ${live} keysets stand in the directory at a time, and do not fit into what it takes of a bank: longer keysetDays, shorter other periods, or fewer denominations are wanted`)
  return terms
}

function tables (file: string, value: unknown, shape: Shape, name: string): Array<Record<string, unknown>> {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw bad(file, `${name}: a list of tables is wanted, each under [[…${name}]]`)
  return value.map(item => {
    check(file, item as Record<string, unknown>, shape, name)
    return item as Record<string, unknown>
  })
}

/** Of a merchant: with no limit named, all limits are the one for all. */
function trust (file: string, value: unknown): NodeConfig['trust'] {
  if (value === undefined) return undefined
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad(file, 'a table [merchant.trust] is wanted')
  const table = value as Record<string, unknown>
  check(file, table, { perOrder: 'uint', total: 'uint', perKeyset: 'uint' }, 'merchant.trust')
  if (table.total === undefined) throw bad(file, 'merchant.trust.total: what may be at risk in all is wanted')
  const total = uint(file, table, 'total', 0)
  return { total, perOrder: uint(file, table, 'perOrder', total), perKeyset: uint(file, table, 'perKeyset', total) }
}

function key (file: string, name: string, value: string): Uint8Array {
  if (!/^[0-9a-f]{64}$/.test(value)) throw bad(file, `${name}: a key of 64 hexadecimal digits is wanted`)
  return fromHex(value)
}

/** Edit distance (Levenshtein). */
function distance (a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1))
    row = next
  }
  return row[b.length]
}
