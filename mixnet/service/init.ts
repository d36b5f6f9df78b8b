/**
 * What the service is told when it is made, `mix({…})`, and the check of it: at once and by name, before the node starts.
 */
import { fromHex } from '@mixmint/core/kit/bytes'
import { encode } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Meter, Millis, Store } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import type { Admit } from '../abuse/admit.ts'
import { checkParameters, type Term } from '../directory/document.ts'
import { Parameters } from '../directory/formats.ts'
import { profile } from '../directory/profiles.ts'
import { MIX_PROTOCOL } from '../wire/packets.ts'
import { parseTarget, type Target } from '../wire/peers.ts'
import { LONGEST } from './dial.ts'
import type { ExitPolicy } from './exit.ts'
import type { MixPoolEntry } from './mix-pool.ts'
import { exactly, lengthPrefixed, untilEnd, type ReplyRule } from './reply-rule.ts'

/** What the service is to be: without anything, a client of a network without a directory. */
export interface MixInit {
  /** Follow a directory: it lists the nodes and prescribes the parameters. Without it the pool is fed by hand. */
  readonly directory?: DirectoryInit
  /** The nodes of a network without a directory; `node.services.mix.pool` takes more. */
  readonly pool?: readonly MixPoolEntry[]
  /** What all nodes of a network without a directory have agreed on, where it is not the default. */
  readonly parameters?: Partial<NetworkParameters>
  /**
   * fragments (default): requests and replies of up to `requestLimit` bytes, parts sent again, refusals told. plain: as
   * LIP-99 leaves it, for networks with other implementations; one packet each way, nothing sent again, nothing told.
   */
  readonly framing?: 'fragments' | 'plain'
  /** Be a mix of the network. Needs an address that packets can name: IPv4, TCP, reached from the other nodes. */
  readonly relay?: boolean | RelayInit
  /** For a node that is no relay: the nodes it may attach to, `/ip4/…/tcp/…/p2p/…` or `…/ws/p2p/…`. Without it, any that takes clients. */
  readonly entry?: readonly string[]
  /** Protocols of this node that are reached over the mix: by name, by name with the rule of their reply, or those that a predicate says. */
  readonly serve?: readonly string[] | Readonly<Record<string, ReplyRule>> | ((protocol: string) => boolean)
  /** Ask nodes that know nothing of mixing on behalf of whoever asks over the mix. */
  readonly exit?: ExitInit
  /**
   * For a node that others reach: a folder of its own in which mix keys, the tags of packets seen under them, and packets that
   * could not leave before a stop in good order, outlive a restart (not in browsers). By default there are fresh keys at each start, and packets made for the old ones are lost.
   */
  readonly folder?: string
  /** Bounds of what this node holds for itself and others, where they are not the defaults. */
  readonly limits?: Partial<MixLimits>
  /** Cryptography; by default libsodium where it is installed, else JavaScript. */
  readonly suite?: Suite
  /** Counters; by default the node's own metrics, if it has any. */
  readonly meter?: Meter
}

/** Everything that the nodes of a network do alike. Times in ms, lengths in bytes; the fields are those of the directory's `Parameters`. */
export type NetworkParameters = Omit<Parameters, 'epochLength' | 'epochGrace' | 'clockSkew' | 'services'>

/** Which directory to follow, and whom to believe. */
export interface DirectoryInit {
  /** The name of the network. */
  readonly network: string
  /**
   * Ed25519 keys of its authorities, 32 bytes or their hexadecimal, and where they are: `/ip4/…/tcp/…/p2p/…`. Of one that comes
   * or goes also `from`, the first epoch for which it signs, or `until`, the first for which it does not any more.
   */
  readonly authorities: ReadonlyArray<{ readonly key: Uint8Array | string, readonly address: string, readonly from?: number, readonly until?: number }>
  /** Keeps documents and mix keys over restarts; by default nothing is kept. */
  readonly store?: Store
  /** For a node that serves, or is an exit: its kind, by which clients find it in the directory. */
  readonly kind?: string
}

/** What a relay is, beside a mix. */
export interface RelayInit {
  /** The address that packets name, `/ip4/A.B.C.D/tcp/PORT`; by default the first such that the node announces. */
  readonly address?: string
  /** Take clients: nodes without an address of their own that attach to this one. */
  readonly clients?: boolean
  /** Which of their packets are worked on; by default a `RateLimit` (abuse/rate-limit) by the network's cover. */
  readonly admit?: Admit
}

/** What an exit does for others. Times in ms. */
export interface ExitInit {
  /** What is carried, and how each reply ends. */
  readonly protocols: Readonly<Record<string, ReplyRule>>
  /** Is this destination reached? By default every one. */
  readonly allows?: ExitPolicy['allows']
  /** May private, loopback and link-local addresses be reached? By default not. */
  readonly privateAddresses?: boolean
  /** Exchanges at one time. Default 64. */
  readonly streams?: number
  /** For connecting to a destination. Default 5 s. */
  readonly dialPatience?: Millis
  /** For a whole exchange with it. Default 20 s. */
  readonly patience?: Millis
  /** An unused connection to it is closed after this time. Default 10 s. */
  readonly keep?: Millis
}

/** Bounds of what one node holds. Times in ms, lengths in bytes; each a whole number, at least 1. */
export interface MixLimits {
  /** For an exchange that names none of its own. Default 60 s. */
  readonly patience: Millis
  /** Exchanges of this node under way at one time. Default 256. */
  readonly exchanges: number
  /** Return paths that are out for all of them. Default 8192. */
  readonly surbs: number
  /** For a handler of this node to answer. Default 30 s. */
  readonly handlerPatience: Millis
  /** Bytes held for all requests that are served. Default 64 MiB. */
  readonly memory: number
  /** Served requests that are remembered, so that none runs twice. Default 16384. */
  readonly requests: number
  /** Served requests at work at one time. Default 64. */
  readonly running: number
  /** When the node stops, packets inside are given so long to leave in their time. Default 5 s. */
  readonly drain: Millis
}

const DEFAULT_LIMITS: MixLimits = {
  patience: 60_000, exchanges: 256, surbs: 8192, handlerPatience: 30_000, memory: 1 << 26, requests: 1 << 14, running: 64, drain: 5_000
}
const DEFAULT_EXIT = { allows: () => true, privateAddresses: false, streams: 64, dialPatience: 5_000, patience: 20_000, keep: 10_000 }

const FIELDS = ['directory', 'pool', 'parameters', 'framing', 'relay', 'entry', 'serve', 'exit', 'folder', 'limits', 'suite', 'meter']
const DIRECTORY_FIELDS = ['network', 'authorities', 'store', 'kind']
const AUTHORITY_FIELDS = ['key', 'address', 'from', 'until']
const RELAY_FIELDS = ['address', 'clients', 'admit']
const EXIT_FIELDS = ['protocols', ...Object.keys(DEFAULT_EXIT)]
const KEY_SIZE = 32

/** The init, checked and complete. */
export interface Settings {
  readonly directory: { readonly network: string, readonly authorities: ReadonlyArray<{ readonly key: Uint8Array, readonly at: Target } & Term>, readonly store: Store | null, readonly kind: string | null } | null
  readonly pool: readonly MixPoolEntry[]
  /** Of a network without a directory. */
  readonly parameters: NetworkParameters
  readonly framing: 'fragments' | 'plain'
  readonly relay: { readonly address: string | null, readonly clients: boolean, readonly admit: Admit | null } | null
  readonly entry: readonly Target[]
  readonly serve: ReadonlyMap<string, ReplyRule | null> | ((protocol: string) => boolean)
  readonly exit: ExitPolicy | null
  readonly folder: string | null
  readonly limits: MixLimits
  readonly suite: Suite | null
  readonly meter: Meter | null
}

/** @throws bad-init (caller), saying which field and what is wanted of it */
export function checkInit (init: MixInit): Settings {
  known(init, FIELDS, 'the service')
  const { directory, pool = [], parameters = {}, framing = 'fragments', relay = false, entry = [], serve = [], exit, limits = {} } = init
  if (directory !== undefined && (pool.length > 0 || Object.keys(parameters).length > 0)) {
    throw bad('directory', 'a directory lists the nodes and prescribes the parameters: leave out pool and parameters, or the directory')
  }
  if (framing !== 'fragments' && framing !== 'plain') throw bad('framing', '\'fragments\' or \'plain\' wanted')
  const serves = typeof serve === 'function' || Object.keys(serve).length > 0
  if (relay === false && directory === undefined && (serves || exit !== undefined)) {
    throw bad('relay', 'in a network without a directory every node that others reach is a mix: set relay to serve protocols or be an exit')
  }
  if (relay !== false && directory !== undefined && (serves || exit !== undefined)) {
    throw bad('relay', 'in a directory a node has one role: it is a mix or gateway, or it serves')
  }
  if (relay !== false && entry.length > 0) throw bad('entry', 'a relay has an address of its own and attaches to nobody')
  return {
    directory: directory === undefined ? null : checkDirectory(directory),
    pool,
    parameters: checkNetworkParameters(parameters),
    framing,
    relay: relay === false ? null : checkRelay(relay === true ? {} : relay),
    entry: entry.map(address => attempt('entry', () => parseTarget(address))),
    serve: checkServe(serve),
    exit: exit === undefined ? null : checkExit(exit),
    folder: init.folder ?? null,
    limits: checkLimits(limits),
    suite: init.suite ?? null,
    meter: init.meter ?? null
  }
}

/** Do others reach this node: to pass packets on, to be served, or through it as an exit? */
export function isReached ({ relay, serve, exit }: Pick<Settings, 'relay' | 'serve' | 'exit'>): boolean {
  return relay !== null || exit !== null || typeof serve === 'function' || serve.size > 0
}

function checkDirectory (directory: DirectoryInit): Settings['directory'] {
  known(directory, DIRECTORY_FIELDS, 'directory')
  const { network, authorities, store = null, kind = null } = directory
  if (network.length < 1 || network.length > 64) throw bad('directory.network', 'the name of the network, at most 64 characters, is wanted')
  if (authorities.length === 0) throw bad('directory.authorities', 'at least one authority is wanted')
  if (kind !== null && !/^[a-z][a-z0-9-]{0,31}$/.test(kind)) throw bad('directory.kind', 'up to 32 characters in lower case are wanted')
  return {
    network, store, kind,
    authorities: authorities.map(entry => {
      known(entry, AUTHORITY_FIELDS, 'directory.authorities')
      const { key, address, from = 0, until = Infinity } = entry
      if (!(from >= 0 && from < until)) throw bad('directory.authorities', 'from, the first epoch of an authority, comes before until')
      return { key: checkKey('directory.authorities', key), at: attempt('directory.authorities', () => parseTarget(address)), from, until }
    })
  }
}

function checkRelay (relay: RelayInit): Settings['relay'] {
  known(relay, RELAY_FIELDS, 'relay')
  const { address = null, clients = false, admit = null } = relay
  if (admit !== null && !clients) throw bad('relay.admit', 'it is asked for packets of clients, and this relay takes none: set clients')
  return { address, clients, admit }
}

function checkServe (serve: NonNullable<MixInit['serve']>): Settings['serve'] {
  if (typeof serve === 'function') return serve
  const rules = new Map<string, ReplyRule | null>(Array.isArray(serve)
    ? serve.map((protocol: string) => [protocol, null])
    : Object.entries(serve).map(([protocol, rule]: [string, ReplyRule]) => [protocol, checkRule(`serve['${protocol}']`, rule)]))
  for (const protocol of rules.keys()) checkProtocol('serve', protocol)
  return rules
}

function checkExit (exit: ExitInit): ExitPolicy {
  known(exit, EXIT_FIELDS, 'exit')
  const rules = Object.entries(exit.protocols)
  if (rules.length === 0) throw bad('exit.protocols', 'an exit carries the protocols that it lists: at least one is wanted')
  const { allows, privateAddresses, streams, dialPatience, patience, keep } = { ...DEFAULT_EXIT, ...exit }
  const protocols = new Map(rules.map(([protocol, rule]) => {
    checkProtocol('exit.protocols', protocol)
    return [protocol, checkRule(`exit.protocols['${protocol}']`, rule)]
  }))
  return { ...checkNumbers('exit', { streams, dialPatience, patience, keep }), allows, privateAddresses, protocols }
}

/** Without a directory there are no services to send it to, and nobody sends it. */
const NO_COVER = { send: 0, echoes: 0, pace: 0, loop: 0 }

function checkNetworkParameters (parameters: Partial<NetworkParameters>): NetworkParameters {
  const { epochLength, epochGrace, clockSkew, services, ...defaults } = profile('default', new Uint8Array(0))
  known(parameters, Object.keys(defaults), 'parameters')
  const all = { ...defaults, cover: NO_COVER, ...parameters }
  attempt('parameters', () => {
    const complete = { ...all, epochLength, epochGrace, clockSkew, services }
    encode(Parameters, complete)
    checkParameters(complete)
  })
  return all
}

function checkRule (field: string, rule: ReplyRule): ReplyRule {
  return attempt(field, () => {
    switch (rule?.ends) {
      case 'after': return exactly(rule.bytes)
      case 'with-message': return lengthPrefixed(rule)
      case 'with-stream': return untilEnd(rule)
      default: throw bad(field, 'exactly(…), lengthPrefixed(…) or untilEnd(…) wanted')
    }
  })
}

function checkProtocol (field: string, protocol: string): void {
  if (protocol === '' || protocol === MIX_PROTOCOL) throw bad(field, 'names of protocols are wanted, and not that of the mix itself')
}

function checkKey (field: string, key: Uint8Array | string): Uint8Array {
  const bytes = typeof key === 'string' ? attempt(field, () => fromHex(key)) : key
  if (bytes.length !== KEY_SIZE) throw bad(field, 'a key of 32 bytes, or 64 hexadecimal digits, is wanted')
  return bytes
}

function checkLimits (limits: Partial<MixLimits>): MixLimits {
  known(limits, Object.keys(DEFAULT_LIMITS), 'limits')
  return checkNumbers('limits', { ...DEFAULT_LIMITS, ...limits })
}

function checkNumbers<T extends object> (field: string, values: T): T {
  for (const [name, value] of Object.entries(values)) {
    if (!Number.isSafeInteger(value) || value < 1 || value > LONGEST) throw bad(`${field}.${name}`, `a whole number, from 1 to ${LONGEST}, is wanted`)
  }
  return values
}

function known (given: object, names: readonly string[], what: string): void {
  const stranger = Object.keys(given).find(name => !names.includes(name))
  if (stranger !== undefined) throw bad(stranger, `${what} knows no such field; there are ${names.join(', ')}`)
}

function attempt<T> (field: string, check: () => T): T {
  try {
    return check()
  } catch (cause) {
    throw bad(field, cause instanceof Error ? cause.message : String(cause), cause)
  }
}

function bad (field: string, why: string, cause?: unknown): MixmintError {
  return new MixmintError('bad-init', 'caller', `the mix service cannot be made, ${field}: ${why}`, { cause })
}
