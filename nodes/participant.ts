/**
 * A node or wallet on the network: its libp2p hosts, the directory it keeps up with, and what the directory says of money.
 * Every role but the authority stands on one.
 */
import type { Libp2p, Secp256k1PrivateKey } from '@libp2p/interface'
import { fromHex, toHex } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import type { Log, Millis } from '@mixmint/core/kit/ports'
import { shuffle } from '@mixmint/core/kit/samplers'
import { asMixmintError, type BasePorts } from '@mixmint/core/kit/saga'
import type { Suite } from '@mixmint/core/crypto/suite'
import type { AskCenter } from '@mixmint/core/cash/certify'
import { CenterListing, MerchantListing, type BankListing } from '@mixmint/core/cash/formats'
import { verifyBankEntry, verifyMerchantListing } from '@mixmint/core/cash/listing-entry'
import { CENTER_PROTOCOL, CenterReply, CenterRequest } from '@mixmint/core/cash/messages'
import { Registry } from '@mixmint/core/cash/registry'
import { trustOf } from '@mixmint/mixnet/directory/document'
import type { Descriptor } from '@mixmint/mixnet/directory/formats'
import type { MixKeyStore, Rotation } from '@mixmint/mixnet/directory/keys'
import type { DirectoryNode, DirectoryView } from '@mixmint/mixnet/directory/view'
import type { LinkId } from '@mixmint/mixnet/mixing/engine'
import { answerAsMirror, askOver, serveDirectory } from '@mixmint/mixnet/wire/directory'
import { DirectoryKeeper } from '@mixmint/mixnet/wire/directory-keeper'
import { whoIsInOffice, type Recall } from '@mixmint/mixnet/wire/directory-publisher'
import { entryOf, groupsOf, parseTarget, type Target } from '@mixmint/mixnet/wire/peers'
import { RpcClient, type RequestOptions } from '@mixmint/mixnet/wire/rpc-client'
import { serveRpc, type RpcServerLimits, type RpcServerOptions } from '@mixmint/mixnet/wire/rpc-server'
import type { NetworkConfig, NodeConfig } from './config.ts'
import { askDialBack, type Reached } from './dial-back.ts'
import { BankWatch } from './evidence.ts'
import { createHost, type Host } from './host.ts'
import { readMoneyParameters } from './money-profiles.ts'
import type { Counters } from './observe.ts'
import { admitRequests, STRANGERS_STREAMS } from './strangers.ts'

/** What is waited for is said this often. */
const REMIND = 60_000

/** What a process brings along. */
export interface Surroundings {
  readonly suite: Suite
  readonly network: NetworkConfig
  readonly ports: BasePorts
  readonly log: Log
  readonly counters: Counters
  /** For the operator: what a node that starts waits for; '' once it is there. */
  readonly onWait?: (what: string) => void
}

/** What the directory knows, for a node that is about to say something to it and may have forgotten what it said before. */
interface Remembered {
  /** The newest document there is, or null where there is none yet. @throws where that cannot be learned */
  readonly latest: () => Promise<DirectoryView | null>
  readonly recall: Recall
}

export type ListingBody = (remembered: Remembered) => Promise<Uint8Array>

/** Where a node listens for the network's nodes, and where for wallets, of which not every role has any; what others are told instead. */
export type Places = Pick<NodeConfig, 'listen' | 'announce' | 'entry' | 'announceEntry'>

/** What a node says of itself in the directory. */
interface Listing {
  readonly role: 'gateway' | 'mix' | 'service'
  readonly kind: string
  readonly body: ListingBody
  /** Where its mix keys are kept; null: it is not reached through the mixnet. */
  readonly mixKeys: MixKeyStore | null
  readonly places: Places
  readonly onKeys?: (rotation: Rotation) => void
}

export interface ParticipantOptions extends Surroundings {
  readonly identity: Secp256k1PrivateKey
  /** Without it: a wallet, or a till that serves its counter only. It asks where wallets ask, and is not asked. */
  readonly listing?: Listing
  /** After the participant itself has taken it up. */
  readonly onDocument?: (view: DirectoryView) => void
}

/** What money there is, by one document. */
interface Money {
  readonly registry: Registry
  readonly centers: ReadonlyMap<string, DirectoryNode>
  /** Banks by key and merchants by payee, in hexadecimal; several processes of one are as many nodes. */
  readonly services: ReadonlyMap<string, readonly DirectoryNode[]>
}

/** How long the other processes of a service are asked before one that did not answer, ms. */
const ASKED_LAST = 60_000

export class Participant {
  /** For the network's nodes, and for asking anybody. */
  readonly host: Host
  /** For wallets; null where none come. */
  readonly entry: Host | null
  readonly keeper: DirectoryKeeper
  readonly #options: ParticipantOptions
  readonly #rpc: RpcClient
  readonly #watch: BankWatch
  #money: Money | null = null
  #onListed: (() => void) | undefined
  /** Which processes of services did not answer, by peer in hexadecimal, and until when others go first. */
  readonly #silent = new Map<string, Millis>()
  /** Where the network's nodes are, as `groupOf` writes it. */
  #homes: ReadonlySet<string>

  private constructor (options: ParticipantOptions, host: Host, entry: Host | null) {
    const { suite, network, ports, log, counters, identity, listing } = options
    this.#options = options
    this.#watch = new BankWatch(suite, network.network, ports, counters, log)
    this.host = host
    this.entry = entry
    this.#homes = groupsOf(network.authorities.map(({ address }) => parseTarget(address)))
    this.#rpc = new RpcClient({ node: host.node, meter: counters })
    const authorities = network.authorities.map(({ address, from, until }) => ({ ask: askOver(this.#rpc, parseTarget(address)), from, until }))
    this.keeper = new DirectoryKeeper({
      suite,
      trust: trustOf(network.network, network.authorities),
      ports, log, meter: counters, sources: authorities.map(({ ask }) => ask),
      ...(listing === undefined
        ? {}
        : {
            node: {
              secret: identity.raw,
              describe: async (signal, recall) => ({
                role: listing.role, kind: listing.kind, addresses: host.addresses(), entry: entry?.addresses() ?? [],
                body: await listing.body({ latest: async () => await this.keeper.latest(signal), recall })
              }),
              mixKeys: listing.mixKeys,
              publishTo: whoIsInOffice(authorities),
              ...(listing.onKeys === undefined ? {} : { onKeys: listing.onKeys })
            }
          }),
      onDocument: view => { this.#take(view) }
    })
  }

  /** Listen, and begin to fetch and publish. @throws listen-failed, identity-kind, and what the store of mix keys refuses with */
  static async start (options: ParticipantOptions): Promise<Participant> {
    const { identity, listing, counters, network: { authorities }, ports: { clock } } = options
    const base = { privateKey: identity, meter: counters }
    const self: { now: Participant | null } = { now: null }
    const isKnown = (peer: LinkId): boolean => self.now?.isListed(peer) === true || authorities.some(({ address }) => toHex(parseTarget(address).peer) === peer)
    const isHome = (group: string): boolean => self.now?.isHome(group) === true
    const places = listing?.places
    const host = await createHost({ ...base, isKnown, isHome, ...(places === undefined ? { role: 'wallet', listen: [] } : { role: 'node', listen: [places.listen], announce: places.announce }) })
    let entry: Host | null = null
    try {
      if (places !== undefined && places.entry.length > 0) entry = await createHost({ ...base, role: 'entry', listen: places.entry, announce: places.announceEntry })
    } catch (error) {
      await host.stop()
      throw error
    }
    const participant = new Participant(options, host, entry)
    self.now = participant
    const answer = async (request: Uint8Array): Promise<Uint8Array> => await answerAsMirror(participant.keeper.client, clock, request)
    try {
      for (const { node, options } of participant.#doors()) await serveDirectory(node, answer, options)
      await participant.keeper.start()
    } catch (error) {
      await entry?.stop()
      await host.stop()
      throw error
    }
    return participant
  }

  /** @throws directory-unavailable or what the last fetch failed with, after `ms` */
  async ready (ms: Millis): Promise<DirectoryView> {
    return await this.keeper.ready(AbortSignal.timeout(ms))
  }

  /** For a daemon: the document in force, however long there is none; what is wrong is said every minute. */
  async inForce (): Promise<DirectoryView> {
    this.#options.onWait?.('a document of the directory')
    for (;;) {
      try {
        const view = await this.ready(REMIND)
        this.#options.onWait?.('')
        return view
      } catch (error) {
        const { code, message, fault } = asMixmintError(error)
        if (fault === 'us') throw error
        this.#options.log.warn(`waits for a document of the directory: ${message}`, { code })
      }
    }
  }

  /** Resolves when the document in force lists this node: in the next epoch at the earliest, and not before most authorities admit it. */
  async listed (): Promise<void> {
    if (this.keeper.view()?.byPeer(this.host.peer) !== undefined) return
    this.#options.onWait?.('being listed')
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const reminder = setInterval(() => {
      this.#options.log.warn('waits for being listed: the directory does not list this node. Is its entry on the lists of most authorities? Then it is in the document of the next epoch', { code: 'not-listed' })
    }, REMIND)
    this.#onListed = () => { resolve(undefined) }
    try {
      await promise
    } finally {
      clearInterval(reminder)
    }
    this.#options.onWait?.('')
  }

  /** @throws directory-unavailable (operator) while no document is in force */
  view (): DirectoryView {
    const view = this.keeper.view()
    if (view === null) throw this.keeper.unavailable
    return view
  }

  /** What the last document said of money; it is kept when no newer one can be fetched. @throws directory-unavailable */
  registry = (): Registry => this.#known().registry

  /**
   * Ask a bank by its key, or a merchant by its payee key. Where several processes are the same service, one of them, by chance; when that
   * one does not answer, another: they share a store, and have one answer to each request. Who was silent is asked last for a while.
   * @param ask throws where it had no answer; `hasOthers`: it need not wait as long as for the only one
   * @throws unknown-service (caller), and what `ask` throws where none answered
   */
  async askService<T> (key: Uint8Array, ask: (node: DirectoryNode, hasOthers: boolean) => Promise<T>): Promise<T> {
    const nodes = this.#known().services.get(toHex(key)) ?? []
    if (nodes.length === 0) throw new MixmintError('unknown-service', 'caller', 'no such bank or merchant stands in the directory document')
    const { clock, rng } = this.#options.ports
    const wasSilent = ({ peer }: DirectoryNode): number => Number(clock.now() < (this.#silent.get(toHex(peer)) ?? 0))
    const inOrder = shuffle(rng, [...nodes]).sort((a, b) => wasSilent(a) - wasSilent(b))
    for (let i = 0; ; i++) {
      try {
        return await ask(inOrder[i], i + 1 < inOrder.length)
      } catch (error) {
        if (i + 1 >= inOrder.length || asMixmintError(error).fault === 'caller') throw error
        this.#silent.set(toHex(inOrder[i].peer), clock.now() + ASKED_LAST)
      }
    }
  }

  /** Carries out the effect of the same name. @throws unknown-center (peer), and those of a request, retry where it helps */
  askCenter = async ({ center, request, timeout }: AskCenter): Promise<CenterReply> => {
    const node = this.#known().centers.get(toHex(center))
    if (node === undefined) throw new MixmintError('unknown-center', 'peer', 'this center is not in the directory document', { retry: true })
    return decode(CenterReply, await this.ask(node, CENTER_PROTOCOL, encode(CenterRequest, request), { timeout }))
  }

  /** Answer this protocol, asked directly by nodes and wallets. Returns how to stop that. */
  async serve (protocol: string, answer: (body: Uint8Array) => Promise<Uint8Array>, limits: Partial<RpcServerLimits> = {}): Promise<() => Promise<void>> {
    const servers = await Promise.all(this.#doors().map(async ({ node, options }) =>
      await serveRpc(node, protocol, async (_from, _protocol, body) => await answer(body), { ...options, limits: { ...options.limits, ...limits } })))
    return async () => { await Promise.all(servers.map(async server => { await server.close() })) }
  }

  /** Ask a service directly, by which it learns who asks. @throws no-entry (peer), and those of a request */
  async ask (node: DirectoryNode, protocol: string, body: Uint8Array, options: RequestOptions = {}): Promise<Uint8Array> {
    const target: Target = this.#options.listing === undefined ? entryOf(node) : node
    if (target.addresses.length === 0) throw new MixmintError('no-entry', 'peer', 'this service takes no direct requests but from the network\'s own nodes')
    return await this.#rpc.request(target, protocol, body, options)
  }

  /** Which of these addresses of ours does an authority reach? */
  async reach (addresses: readonly string[]): Promise<Reached> {
    return await askDialBack(this.#rpc, this.#options.network.authorities.map(({ address }) => parseTarget(address)), addresses)
  }

  /** Is this a node of the network, by the document in force, the one before in its grace, or one that is about to be? */
  isListed (peer: LinkId): boolean {
    return [...this.keeper.live(), this.keeper.client.newest].some(view => view?.byPeer(fromHex(peer)) !== undefined)
  }

  /** Does a node of the network live at this network address, by the last document? */
  isHome (group: string): boolean {
    return this.#homes.has(group)
  }

  isAuthority (peerId: string): boolean {
    return this.#options.network.authorities.some(({ address }) => address.endsWith(`/p2p/${peerId}`))
  }

  async stop (): Promise<void> {
    await this.keeper.stop()
    await this.#watch.settled()
    this.#rpc.close()
    await this.entry?.stop()
    await this.host.stop()
  }

  /** Where others come in, and what they may take up there. */
  #doors (): Array<{ readonly node: Libp2p, readonly options: RpcServerOptions }> {
    const meter = this.#options.counters
    if (this.#options.listing === undefined) return []
    const nodes = { node: this.host.node, options: { meter } }
    return this.entry === null ? [nodes] : [nodes, { node: this.entry.node, options: { meter, admit: admitRequests(), limits: STRANGERS_STREAMS } }]
  }

  #known (): Money {
    if (this.#money === null) throw new MixmintError('directory-unavailable', 'operator', 'no document of the directory has been fetched here yet', { retry: true })
    return this.#money
  }

  #take (view: DirectoryView): void {
    this.#money = readMoney(this.#options.suite, view)
    for (const { listing } of banksOf(this.#options.suite, view.network, view.services('bank'))) this.#watch.see(listing)
    this.#homes = groupsOf([...this.#options.network.authorities.map(({ address }) => parseTarget(address)), ...view.nodes])
    this.#options.log.info('directory document in force', { epoch: view.epoch, nodes: view.nodes.length })
    if (view.byPeer(this.host.peer) !== undefined) this.#onListed?.()
    this.#options.onDocument?.(view)
  }
}

/** Who is listed with a payee key of its own: an authority alone could not vouch for another. @throws bad-encoding (peer) */
export function merchantsOf (suite: Suite, view: DirectoryView): Array<{ readonly node: DirectoryNode, readonly listing: MerchantListing }> {
  return view.services('merchant').flatMap(node => {
    const listing = decode(MerchantListing, node.body)
    return signedFor('bad-payee-claim', () => { verifyMerchantListing(suite, view.network, node.peer, listing); return { node, listing } })
  })
}

/** Who speaks for a bank, by its own word: as merchantsOf. @throws bad-encoding (peer) */
export function banksOf<T extends Pick<Descriptor, 'peer' | 'body'>> (suite: Suite, network: string, nodes: readonly T[]): Array<{ readonly node: T, readonly listing: BankListing }> {
  return nodes.flatMap(node => signedFor('bad-warrant', () => ({ node, listing: verifyBankEntry(suite, network, node.peer, node.body).listing })))
}

/** What was verified, or nothing where it fails with this code: one that lies does not take the others away. */
function signedFor<T> (code: string, verified: () => T): T[] {
  try {
    return [verified()]
  } catch (error) {
    if (isMixmintError(error, code)) return []
    throw error
  }
}

/** @throws those of Registry, bad-parameters, bad-encoding (peer): then the authorities have signed what they should not */
function readMoney (suite: Suite, view: DirectoryView): Money {
  const banks = banksOf(suite, view.network, view.services('bank'))
  const merchants = merchantsOf(suite, view)
  return {
    registry: new Registry(suite, view.network, readMoneyParameters(view.parameters.services), banks.map(({ listing }) => listing)),
    centers: new Map(view.services('center').map(node => [toHex(decode(CenterListing, node.body).center), node])),
    services: new Map([
      ...Map.groupBy(merchants, ({ listing }) => toHex(listing.payee)),
      // Last, so that no merchant that names a bank's key as its own stands in the bank's place.
      ...Map.groupBy(banks, ({ listing }) => toHex(listing.bank))
    ].map(([key, listed]) => [key, listed.map(({ node }) => node)]))
  }
}
