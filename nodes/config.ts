/**
 * Configuration of one node: `config.toml` in its folder, what flags and variables override (config-sources.ts), and the
 * network's file that it names. Strict: an unknown or misspelt key is an error that names the nearest right one, so that no
 * setting is ever silently ignored.
 */
import { dirname, join, resolve } from 'node:path'
import { fromHex } from '@mixmint/core/kit/bytes'
import { isMixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import { DAYS_LISTED } from '@mixmint/core/cash/listing-policy'
import type { Periods } from '@mixmint/core/cash/schedule'
import { isInOffice, type Term } from '@mixmint/mixnet/directory/document'
import type { Parameters } from '@mixmint/mixnet/directory/formats'
import { bad, isTable, readSources, readToml, sourcesOfText, type Given, type Sources } from './config-sources.ts'
import { nearest } from './nearest.ts'
import { networkParameters, PARAMETER_NAMES } from './parameters.ts'
import { SETTINGS, settingsOf, type Kind, type Role } from './settings.ts'

const PROFILES = ['default', 'demo'] as const
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

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
  /** What the directory is told instead; empty: where it listens. */
  readonly announce: readonly string[]
  /** Where wallets come in: multiaddrs of TCP, or of WebSocket (…/ws). */
  readonly entry: readonly string[]
  /** Where metrics and health are asked; null: nowhere. */
  readonly metrics: MetricsConfig | null
  readonly announceEntry: readonly string[]
  /** A level of pino. */
  readonly log: string
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
  /** Data of before this time may be missing from the store of the bank, center or merchant, Unix ms; 0: none is. */
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

/** `every`: metrics are taken anew at multiples of this, ms. `hosts`: names of this machine besides those of loopback. */
export interface MetricsConfig { readonly host: string, readonly port: number, readonly hosts: readonly string[], readonly every: Millis }

const METRICS_EVERY = 30
const MOST_DAYS = 3650
/** Keysets of a bank that stand in the directory at a time, of at most 64, and their keys, of 280 bytes each: half of the 256 KiB. */
const MOST_LIVE = 48
const MOST_KEYS = 468

type Shape = Record<string, Kind>

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

/** Where a node's configuration finds its network's. @throws no-such-node, bad-config (operator) */
export function networkFile (dir: string, given?: Given): string {
  const { raw, where } = readSources(join(dir, 'config.toml'), given)
  return resolve(dir, text(where, raw, 'network'))
}

/**
 * @param given what overrides the file
 * @throws no-such-node, no-such-network, bad-config (operator), bad-argument (caller)
 */
export function readNode (dir: string, given?: Given): NodeConfig {
  return readNodeFile(join(dir, 'config.toml'), given)
}

/** As readNode, of a file by whatever name; paths in it are seen from its folder. */
export function readNodeFile (path: string, given?: Given): NodeConfig {
  return nodeOf(readSources(path, given), dirname(path), readNetwork)
}

/** Could a node start with this text for its configuration, once its network's file is there? @param where for errors @throws bad-config (operator) */
export function checkNodeText (where: string, source: string): void {
  nodeOf(sourcesOfText(where, source), '.', () => ({ network: '', authorities: [] }))
}

function nodeOf ({ role, raw, where }: Sources, dir: string, networkIn: (file: string) => NetworkConfig): NodeConfig {
  const shape = (top: boolean): Shape => Object.fromEntries(settingsOf(role).filter(setting => setting.top === top).map(({ name, kind }) => [name, kind]))
  if ((role === 'mix' || role === 'authority') && raw.entry !== undefined) throw bad(where, `entry: wallets do not come to ${role === 'mix' ? 'a mix' : 'an authority by another way'}`)
  check(where, raw, { ...shape(true), [role]: 'table' })
  const entry = texts(where, raw, 'entry')
  if (role === 'gateway' && entry.length === 0) throw bad(where, 'entry: where wallets attach is wanted, such as ["/ip4/0.0.0.0/tcp/4002", "/ip4/0.0.0.0/tcp/4003/ws"]')
  // What other roles have has its default here.
  const own = { ...DEFAULTS, ...raw[role] as Record<string, unknown> }
  check(where, raw[role] as Record<string, unknown>, shape(false), role)
  const walletPackets = uint(where, own, 'walletPackets')
  if (walletPackets === 0) throw bad(where, 'gateway.walletPackets: at least 1 a second wanted')
  const log = text(where, raw, 'log')
  if (!LOG_LEVELS.includes(log)) throw bad(where, `log: one of ${LOG_LEVELS.join(', ')} wanted`)
  return {
    dir: resolve(dir),
    role,
    listen: text(where, raw, 'listen'),
    announce: texts(where, raw, 'announce'),
    entry,
    announceEntry: texts(where, raw, 'announceEntry'),
    log,
    metrics: metrics(where, raw.metrics),
    parameters: parameters(where, own),
    admit: tables(where, own.admit, { peer: 'text', role: 'text', kind: 'text', layer: 'uint' }, 'admit').map(a => {
      const as = (['gateway', 'mix', 'service'] as const).find(r => r === a.role)
      if (as === undefined) throw bad(where, 'admit.role: one of gateway, mix, service wanted')
      return { peer: text(where, a, 'peer'), role: as, kind: text(where, a, 'kind', ''), layer: a.layer === undefined ? undefined : uint(where, a, 'layer') }
    }),
    bootstrapWait: uint(where, own, 'bootstrapWait'),
    signsFrom: uint(where, own, 'signsFrom'),
    drainLimit: uint(where, own, 'drainLimit'),
    walletPackets,
    unit: text(where, own, 'unit'),
    denominations: uint(where, own, 'denominations'),
    ringFile: resolve(dir, text(where, own, 'ring')),
    signers: Math.max(1, uint(where, own, 'signers')),
    sealedDays: sealedDays(where, own),
    postgresFile: own.postgres === undefined ? '' : resolve(dir, text(where, own, 'postgres')),
    restoredAt: own.restoredAt === undefined ? 0 : date(where, own, 'restoredAt'),
    keysets: periods(where, own),
    bank: role === 'merchant' ? key(where, 'merchant.bank', text(where, own, 'bank')) : new Uint8Array(0),
    name: text(where, own, 'name'),
    till: text(where, own, 'till'),
    unlisted: flag(where, own, 'unlisted'),
    invoiceMinutes: uint(where, own, 'invoiceMinutes'),
    depositMinutes: uint(where, own, 'depositMinutes'),
    settledAbove: uint(where, own, 'settledAbove', Number.MAX_SAFE_INTEGER),
    trust: trust(where, own.trust),
    catalogue: tables(where, own.catalogue, { item: 'text', price: 'uint' }, 'catalogue')
      .map(c => ({ item: text(where, c, 'item'), price: uint(where, c, 'price') })),
    // Last: of a new node it may not be there yet, and the node's own mistakes are told all the same.
    network: networkIn(resolve(dir, text(where, raw, 'network')))
  }
}

const DEFAULTS: Readonly<Record<string, unknown>> = Object.fromEntries(SETTINGS.filter(setting => !setting.top && setting.default !== undefined).map(setting => [setting.name, setting.default]))

function check (file: string, table: Record<string, unknown>, shape: Shape, under = ''): void {
  const names = Object.keys(shape)
  for (const name of Object.keys(table)) {
    if (names.includes(name)) continue
    throw bad(file, `unknown key ${under === '' ? '' : `${under}.`}${name}${nearest(name, names)}`)
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
  const value = table[name]
  if (typeof value !== 'boolean') throw bad(file, `${name}: true or false wanted`)
  return value
}

function date (file: string, table: Record<string, unknown>, name: string): number {
  const value = Date.parse(text(file, table, name))
  if (Number.isNaN(value)) throw bad(file, `${name}: a date such as "2026-01-31T12:00:00Z" is wanted`)
  return value
}

function uint (file: string, table: Record<string, unknown>, name: string, otherwise?: number): number {
  const value = table[name] ?? otherwise
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw bad(file, `${name}: a whole number from 0 on is wanted`)
  return value
}

/** @param own the table of an authority; other roles have none, and take the parameters from the directory */
function parameters (file: string, own: Record<string, unknown>): Parameters {
  const profile = PROFILES.find(name => name === text(file, own, 'profile'))
  if (profile === undefined) throw bad(file, `authority.profile: one of ${PROFILES.join(', ')} wanted`)
  const changed = own.parameters ?? {}
  if (!isTable(changed)) throw bad(file, 'a table [authority.parameters] is wanted')
  check(file, changed, Object.fromEntries(PARAMETER_NAMES.map(name => [name, 'uint'])), 'authority.parameters')
  try {
    return networkParameters(profile, changed)
  } catch (error) {
    if (isMixmintError(error, 'bad-parameters')) throw bad(file, `authority.parameters: ${error.message}`)
    throw error
  }
}

/** @throws bad-config: authorities take no listing of days that are far away */
function sealedDays (file: string, own: Record<string, unknown>): number {
  const days = uint(file, own, 'sealedDays')
  if (days > DAYS_LISTED - 2) throw bad(file, `bank.sealedDays: at most ${DAYS_LISTED - 2} wanted`)
  return days
}

/** @param own the table of a bank */
function periods (file: string, own: Record<string, unknown>): Periods {
  const days = (name: string, otherwise?: number): Millis => {
    const value = uint(file, own, name, otherwise)
    if (value < 1 || value > MOST_DAYS) throw bad(file, `bank.${name}: 1 to ${MOST_DAYS} days are wanted`)
    return value * 86_400_000
  }
  const issue = days('keysetDays')
  const each = issue / 86_400_000
  const terms = { issue, spend: days('spendDays', each), redeem: days('redeemDays', each), refund: days('refundDays', each), ahead: days('aheadDays', Math.ceil(each / 4)) }
  const live = Math.ceil((issue + terms.spend + terms.redeem + terms.refund + terms.ahead) / issue) + 1
  if (live > MOST_LIVE || live * uint(file, own, 'denominations') > MOST_KEYS) throw bad(file, `bank.keysetDays: with these periods ${live} keysets stand in the directory at a time, and do not fit into what it takes of a bank: longer keysetDays, shorter other periods, or fewer denominations are wanted`)
  return terms
}

function tables (file: string, value: unknown, shape: Shape, name: string): Array<Record<string, unknown>> {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw bad(file, `${name}: a list of tables is wanted, each under [[…${name}]]`)
  return value.map((item: unknown) => {
    if (!isTable(item)) throw bad(file, `${name}: a list of tables is wanted, each under [[…${name}]]`)
    check(file, item, shape, name)
    return item
  })
}

/** A port alone is one of loopback. */
function metrics (file: string, value: unknown): MetricsConfig | null {
  if (value === undefined) return null
  if (!isTable(value)) throw bad(file, 'a table [metrics] is wanted')
  const table = value
  check(file, table, { listen: 'text', hosts: 'texts', every: 'uint' }, 'metrics')
  const listen = text(file, table, 'listen')
  const [, host = '127.0.0.1', port] = /^(?:(.+):)?(\d{1,5})$/.exec(listen) ?? []
  if (port === undefined || Number(port) > 65_535) throw bad(file, 'metrics.listen: a port such as "9464", or an address with a port such as "192.0.2.7:9464" or "[2001:db8::7]:9464", is wanted')
  const every = uint(file, table, 'every', METRICS_EVERY)
  if (every < 1 || every > 3600) throw bad(file, 'metrics.every: from 1 to 3600 seconds wanted')
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port), hosts: texts(file, table, 'hosts').map(name => name.toLowerCase()), every: every * 1000 }
}

/** Of a merchant: with no limit named, all limits are the one for all. */
function trust (file: string, value: unknown): NodeConfig['trust'] {
  if (value === undefined) return undefined
  if (!isTable(value)) throw bad(file, 'a table [merchant.trust] is wanted')
  const table = value
  check(file, table, { perOrder: 'uint', total: 'uint', perKeyset: 'uint' }, 'merchant.trust')
  if (table.total === undefined) throw bad(file, 'merchant.trust.total: what may be at risk in all is wanted')
  const total = uint(file, table, 'total')
  return { total, perOrder: uint(file, table, 'perOrder', total), perKeyset: uint(file, table, 'perKeyset', total) }
}

function key (file: string, name: string, value: string): Uint8Array {
  if (!/^[0-9a-f]{64}$/.test(value)) throw bad(file, `${name}: a key of 64 hexadecimal digits is wanted`)
  return fromHex(value)
}
