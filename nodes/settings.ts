/**
 * Every setting of a node, in one table: what `config.toml` may hold, what `mixmint init` writes into it, what variables and
 * flags override, what can change while a node runs, and what the reference says.
 */
import { availableParallelism } from 'node:os'
import { ALL_WALLETS } from '@mixmint/mixnet/abuse/rate-limit'

export const ROLES = ['authority', 'gateway', 'mix', 'bank', 'center', 'merchant'] as const
export type Role = typeof ROLES[number]

/** With its article. */
export function named (role: Role): string {
  return `${role === 'authority' ? 'an' : 'a'} ${role}`
}

/** As TOML has them; a date is a text, such as "2026-01-31T12:00:00Z". */
export type Kind = 'text' | 'texts' | 'uint' | 'flag' | 'table' | 'tables'

export interface Setting {
  /** In its table: `drainLimit` of `[mix]`; at the top of the file for `listen` and the like. */
  readonly name: string
  readonly roles: readonly Role[]
  readonly top: boolean
  readonly kind: Kind
  /** None: it has to be set, or nothing stands in its place; see `otherwise`. */
  readonly default?: string | number | boolean | readonly string[]
  /** Of what has no fixed default: what holds without it, for people. Absent where it has to be set. */
  readonly otherwise?: string
  /** TOML, of what has no default or a table for a value. */
  readonly example?: string
  /** One line. */
  readonly what: string
  readonly unit?: string
  /** A change is taken up at SIGHUP. Others want a restart. */
  readonly reload?: true
}

const WITH_ENTRY: readonly Role[] = ['gateway', 'bank', 'center', 'merchant']
const of = (...roles: Role[]): Pick<Setting, 'roles' | 'top'> => ({ roles, top: false })
const everywhere: Pick<Setting, 'roles' | 'top'> = { roles: ROLES, top: true }

/** In the order in which a configuration file has them. */
export const SETTINGS: readonly Setting[] = [
  { name: 'role', ...everywhere, kind: 'text', example: '"mix"', what: 'what this node is: authority, gateway, mix, bank, center or merchant' },
  { name: 'network', ...everywhere, kind: 'text', default: '../network.toml', what: 'the file that names the network and its authorities, seen from this folder' },
  { name: 'listen', ...everywhere, kind: 'text', example: '"/ip4/0.0.0.0/tcp/4001"', what: 'where the network\'s nodes come in (at an authority, everybody): a multiaddr' },
  { name: 'announce', ...everywhere, kind: 'texts', default: [], example: '["/ip4/192.0.2.1/tcp/4001"]', what: 'what others are told instead of `listen`, for a node behind a router that forwards a port, or under a name' },
  { name: 'entry', roles: WITH_ENTRY, top: true, kind: 'texts', default: [], example: '["/ip4/0.0.0.0/tcp/4002", "/ip4/0.0.0.0/tcp/4003/ws"]', what: 'where wallets come in: multiaddrs of TCP, or of WebSocket (/ws); a gateway has need of one' },
  { name: 'announceEntry', roles: WITH_ENTRY, top: true, kind: 'texts', default: [], example: '["/ip4/192.0.2.1/tcp/4002", "/dns4/gw.example/tcp/443/wss"]', what: 'what wallets are told instead of `entry`' },
  { name: 'log', ...everywhere, kind: 'text', default: 'info', what: 'how much is logged: trace, debug, info, warn, error, fatal or silent', reload: true },

  { name: 'metrics', ...everywhere, kind: 'table', otherwise: 'nothing listens', example: '{ listen = "9464" }', what: 'where monitoring asks for metrics and health: a port of 127.0.0.1, or an address with a port (docs/watching.md)' },

  { name: 'drainLimit', ...of('gateway', 'mix'), kind: 'uint', default: 60_000, unit: 'ms', what: 'how long a node that stops lets the packets inside leave in their time; below what service managers wait (systemd: 90 s)' },
  { name: 'walletPackets', ...of('gateway'), kind: 'uint', default: ALL_WALLETS, unit: 'packets a second', what: 'what is taken from all wallets together' },

  { name: 'unit', ...of('bank', 'merchant'), kind: 'text', default: 'cent', what: 'what is counted: the unit\'s smallest coin' },
  { name: 'denominations', ...of('bank'), kind: 'uint', default: 20, unit: 'values', what: 'values of coins: 1, 2, 4 … so many' },
  { name: 'ring', ...of('bank'), kind: 'text', default: 'ring.json', what: 'the file of the ring of centers for keysets to come, seen from this folder; read whenever a keyset is made' },
  { name: 'keysetDays', ...of('bank'), kind: 'uint', default: 30, unit: 'days', what: 'how long coins are signed under a keyset' },
  { name: 'spendDays', ...of('bank'), kind: 'uint', otherwise: 'as keysetDays', example: '30', unit: 'days', what: 'how long coins can be spent after that' },
  { name: 'redeemDays', ...of('bank'), kind: 'uint', otherwise: 'as keysetDays', example: '30', unit: 'days', what: 'how long what was certified is settled after that' },
  { name: 'refundDays', ...of('bank'), kind: 'uint', otherwise: 'as keysetDays', example: '30', unit: 'days', what: 'how long a keyset is listed after that, for refunds' },
  { name: 'aheadDays', ...of('bank'), kind: 'uint', otherwise: 'a quarter of keysetDays', example: '8', unit: 'days', what: 'how long before its time the next keyset is made and listed' },
  { name: 'sealedDays', ...of('bank'), kind: 'uint', default: 7, unit: 'days', what: 'keys for sealed tokens are made for today and so many days ahead; 0: no sealed tokens' },
  { name: 'signers', ...of('bank'), kind: 'uint', default: Math.max(1, availableParallelism() - 1), otherwise: 'as many as there are cores, but one', unit: 'threads', what: 'threads that make blind signatures' },
  { name: 'postgres', ...of('bank', 'center', 'merchant'), kind: 'text', otherwise: 'the folder\'s own store', example: '"postgres.url"', what: 'a file of mode 0600 with the connection string of the PostgreSQL that holds the money' },
  { name: 'restoredAt', ...of('bank', 'center', 'merchant'), kind: 'text', otherwise: 'no data is missing', example: '"2026-03-01T12:00:00Z"', unit: 'date', what: 'data of before this time may be missing from the store' },

  { name: 'bank', ...of('merchant'), kind: 'text', example: `"${'ab'.repeat(32)}"`, what: 'the bank\'s key, 64 hexadecimal digits, as its operator has it from `mixmint init bank`' },
  { name: 'name', ...of('merchant'), kind: 'text', default: '', what: 'the shop\'s name, as wallets show it', reload: true },
  { name: 'till', ...of('merchant'), kind: 'text', default: '', what: 'tells several tills of one shop apart that have no store in common' },
  { name: 'unlisted', ...of('merchant'), kind: 'flag', default: false, what: 'a till that is not in the directory: it serves its counter only' },
  { name: 'invoiceMinutes', ...of('merchant'), kind: 'uint', default: 0, unit: 'minutes', what: 'how long an invoice can be paid; 0: as long as the network allows' },
  { name: 'depositMinutes', ...of('merchant'), kind: 'uint', default: 60, unit: 'minutes', what: 'how often accepted tokens are turned in; 0: by command only' },
  { name: 'settledAbove', ...of('merchant'), kind: 'uint', otherwise: 'no limit', example: '10000', unit: 'smallest coins', what: 'orders of more than this are told as PAID, NOT SETTLED until the bank has settled them', reload: true },
  { name: 'trust', ...of('merchant'), kind: 'table', otherwise: 'nothing', example: '{ total = 5000, perOrder = 500, perKeyset = 2000 }', unit: 'smallest coins', what: 'what may be delivered while keepers are down' },
  { name: 'catalogue', ...of('merchant'), kind: 'tables', otherwise: 'empty', example: '[[merchant.catalogue]]\nitem = "coffee"\nprice = 320', unit: 'smallest coins', what: 'what is sold, and for how much: one such table each', reload: true },

  { name: 'profile', ...of('authority'), kind: 'text', default: 'default', what: 'the parameters to begin with: default, or demo' },
  { name: 'bootstrapWait', ...of('authority'), kind: 'uint', default: 60_000, unit: 'ms', what: 'after a start, how long the first document waits for admitted nodes that have not published yet' },
  { name: 'signsFrom', ...of('authority'), kind: 'uint', default: 0, unit: 'epoch', what: 'nothing is said of epochs before this one; for one whose store was lost' },
  { name: 'parameters', ...of('authority'), kind: 'table', otherwise: 'as the profile', example: '{ epochLength = 1200000, epochGrace = 240000 }', what: 'what differs from the profile: names of `Parameters` in mixnet/directory/formats.ts; alike at all authorities' },
  { name: 'admit', ...of('authority'), kind: 'tables', otherwise: 'nobody', example: '[[authority.admit]]\npeer = "16Uiu2HAkzBNhGWBUJK94ZGKVTj8kRya9CHmN8zfQMPbxhZJdnoQD"\nrole = "mix"', what: 'who is admitted: one such table each, as the node\'s operator has it from `mixmint init`; `layer` fixes a mix to one', reload: true }
]

export function settingsOf (role: Role): readonly Setting[] {
  return SETTINGS.filter(({ roles }) => roles.includes(role))
}

/** `listen`, `mix.drainLimit`. */
export function pathOf ({ name, top }: Setting, role: Role): string {
  return top ? name : `${role}.${name}`
}

/** The variable that overrides it: `MIXMINT_DRAIN_LIMIT`. What a node is, only its file says. */
export function variableOf ({ name }: Setting): string | null {
  return name === 'role' ? null : `MIXMINT_${name.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase()}`
}
