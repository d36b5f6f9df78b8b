/**
 * A wallet at work: its store and lock, two network identities that live as long as this session, a gateway that it keeps
 * to, and the engine whose questions go over the mixnet (or, where the account is named anyway, directly). One identity is
 * the gateway's to know, the other that of whoever is asked directly: the directory, and the bank, which learns the account.
 */
import { join } from 'node:path'
import type { Secp256k1PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { equal, utf8 } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Rng } from '@mixmint/core/kit/ports'
import { shuffle } from '@mixmint/core/kit/samplers'
import { asMixmintError, drive, type BasePorts, type Saga } from '@mixmint/core/kit/saga'
import type { Suite } from '@mixmint/core/crypto/suite'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { MerchantListing } from '@mixmint/core/cash/formats'
import { BANK_PROTOCOL, BankReply, BankRequest, MERCHANT_PROTOCOL, MerchantReply, MerchantRequest } from '@mixmint/core/cash/messages'
import { WalletEngine } from '@mixmint/core/cash/wallet/engine'
import type { WalletEffect } from '@mixmint/core/cash/wallet/parts'
import { chooseGateway, coverPaths, directoryPaths } from '@mixmint/mixnet/directory/route'
import type { DirectoryNode, DirectoryView } from '@mixmint/mixnet/directory/view'
import { MixEngine } from '@mixmint/mixnet/mixing/engine'
import { MixNode } from '@mixmint/mixnet/wire/mix-node'
import { dialable, entryOf, linkIdOf, peerIdFromBytes } from '@mixmint/mixnet/wire/peers'
import { MixnetRequester } from '@mixmint/mixnet/wire/requester'
import { sleep, systemClock, systemRng } from './clock.ts'
import { readNetwork } from './config.ts'
import { createHost, type Host } from './host.ts'
import { freshIdentity } from './identity.ts'
import { Counters, createLog } from './observe.ts'
import { Participant, type Surroundings } from './participant.ts'
import { openLmdb } from './store/lmdb.ts'
import { lockFolder } from './store/lock.ts'
import { walletSeed } from './wallet-folder.ts'

const GUARD = utf8('session/guard')
const BANK = utf8('session/bank')
const DIRECTORY_PATIENCE = 20_000
const REQUEST_PATIENCE = 30_000
/** A session is short; the others follow in the next ones. */
const REFRESHED_AT_ONCE = 2
const REFRESH_PAUSE = 3_000
const DIAL_PATIENCE = 4_000
/** Packets of ours that are still queued for the gateway when the session ends. */
const DRAIN = 500

export interface Merchant {
  readonly name: string
  readonly payee: Uint8Array
  readonly node: DirectoryNode
}

/** How the session asks over the mixnet, made when first needed. */
interface Anonymous {
  readonly host: Host
  readonly node: MixNode
  readonly requester: MixnetRequester
}

export class WalletSession {
  readonly engine: WalletEngine
  readonly participant: Participant
  readonly bank: Uint8Array
  readonly unit: string
  readonly #suite: Suite
  readonly #ports: BasePorts
  readonly #counters: Counters
  readonly #guard: DirectoryNode
  readonly #alias: Secp256k1PrivateKey
  readonly #close: () => Promise<void>
  #anonymous: Promise<Anonymous> | null = null

  private constructor (parts: {
    engine: WalletEngine, participant: Participant, bank: Uint8Array, unit: string, surroundings: Surroundings, guard: DirectoryNode, alias: Secp256k1PrivateKey, close: () => Promise<void>
  }) {
    this.engine = parts.engine
    this.participant = parts.participant
    this.bank = parts.bank
    this.unit = parts.unit
    this.#suite = parts.surroundings.suite
    this.#ports = parts.surroundings.ports
    this.#counters = parts.surroundings.counters
    this.#guard = parts.guard
    this.#alias = parts.alias
    this.#close = parts.close
  }

  /**
   * @param net the network's folder, or any with its network.toml
   * @throws no-wallet, no-such-network, folder-in-use, directory-unavailable (operator)
   */
  static async open (net: string, dir: string): Promise<WalletSession> {
    const network = readNetwork(join(net, 'network.toml'))
    const { seed, isRestored } = walletSeed(dir)
    const suite = await defaultSuite()
    const store = await openLmdb(join(dir, 'store'))
    const undo: Array<() => Promise<void>> = [async () => { await store.close() }]
    let session: WalletSession | null = null
    const close = async (): Promise<void> => { for (const step of undo.splice(0).reverse()) await step() }
    try {
      const lock = await lockFolder(store)
      undo.push(async () => { await lock.release() })
      const ports: BasePorts = { clock: systemClock, rng: systemRng, store, wait: sleep }
      const surroundings: Surroundings = { suite, network, ports, log: createLog('wallet', 'silent'), counters: new Counters() }
      const participant = await Participant.start({
        ...surroundings, identity: await freshIdentity(), onDocument: () => { if (session !== null) session.#onDocument() }
      })
      undo.push(async () => { await participant.stop() })
      const view = await participant.ready(DIRECTORY_PATIENCE)
      const { bank, unit } = await chooseBank(ports, participant)
      const engine = new WalletEngine({ suite, seed, network: network.network, bank, unit, registry: participant.registry, meter: surroundings.counters })
      if (isRestored) await drive(engine.expectRestore(), ports, async () => {})
      session = new WalletSession({ engine, participant, bank, unit, surroundings, guard: await chooseGuard(ports, view), alias: await freshIdentity(), close })
      return session
    } catch (error) {
      await close()
      throw error
    }
  }

  /** Cover is sent as the document in force says. */
  #onDocument (): void {
    this.#anonymous?.then(({ requester }) => { requester.onDocument() }, () => {})
  }

  /** The name under which the gateway, and nobody else, knows this session. */
  get peer (): string {
    return peerIdFromPrivateKey(this.#alias).toString()
  }

  get guard (): string {
    return peerIdFromBytes(this.#guard.peer).toString()
  }

  async run<T> (saga: Saga<T, WalletEffect>): Promise<T> {
    return await drive(saga, this.#ports, async effect => await this.#perform(effect))
  }

  /** A few of the coins that end, if their time has come (cash/wallet/refresh.ts); what fails is left for another session. */
  async refreshSome (): Promise<void> {
    try {
      await this.run(this.engine.refresh({ most: REFRESHED_AT_ONCE, pause: REFRESH_PAUSE }))
    } catch (error) {
      this.#counters.count('wallet_refresh_failed', { code: asMixmintError(error).code })
    }
  }

  /** With another carrier for what the wallet asks; `ask` is this session's own. */
  async runWith<T> (saga: Saga<T, WalletEffect>, perform: (effect: WalletEffect, ask: () => Promise<unknown>) => Promise<unknown>): Promise<T> {
    return await drive(saga, this.#ports, async effect => await perform(effect, async () => await this.#perform(effect)))
  }

  /** One question to a merchant that is outside the engine's rules (its catalogue, an order). */
  async askMerchant (payee: Uint8Array, request: MerchantRequest): Promise<MerchantReply> {
    return decode(MerchantReply, await this.#ask(payee, MERCHANT_PROTOCOL, encode(MerchantRequest, request)))
  }

  merchants (): Merchant[] {
    return this.participant.view().services('merchant').map(node => ({ ...decode(MerchantListing, node.body), node }))
  }

  /** By name or by the beginning of the payee key; the only one when none is named. @throws unknown-merchant (caller) */
  merchant (named: string | undefined, hex: (bytes: Uint8Array) => string): Merchant {
    const all = this.merchants()
    const found = named === undefined ? all : all.filter(({ name, payee }) => name === named || hex(payee).startsWith(named.toLowerCase()))
    if (found.length === 1) return found[0]
    throw new MixmintError('unknown-merchant', 'caller', `name one of the merchants with --merchant: ${all.map(({ name, payee }) => `"${name}" (${hex(payee).slice(0, 12)}…)`).join(', ')}`)
  }

  async close (): Promise<void> {
    if (this.#anonymous !== null) {
      await detach(await this.#anonymous)
    }
    await this.#close()
  }

  async #perform (effect: WalletEffect): Promise<BankReply | MerchantReply> {
    if (effect.do === 'ask-merchant') return await this.askMerchant(effect.payee, effect.request)
    const request = encode(BankRequest, effect.request)
    if (effect.via === 'mixnet') return decode(BankReply, await this.#ask(this.bank, BANK_PROTOCOL, request))
    if (effect.via === 'apart') return decode(BankReply, await this.#askApart(this.bank, BANK_PROTOCOL, request))
    return decode(BankReply, await this.participant.ask(this.participant.service(this.bank), BANK_PROTOCOL, request, { timeout: REQUEST_PATIENCE }))
  }

  async #ask (service: Uint8Array, protocol: string, content: Uint8Array): Promise<Uint8Array> {
    const { peer } = this.participant.service(service)
    this.#anonymous ??= this.#attach(this.#alias).catch((error: unknown) => {
      this.#anonymous = null
      throw error
    })
    const { requester } = await this.#anonymous
    return await requester.request(peer, protocol, content, { deadline: this.#ports.clock.now() + REQUEST_PATIENCE })
  }

  /**
   * Under an identity, and with a key for the way back, that serve this one question: nothing that a session remembers of its
   * paths and losses joins it to another. The gateway is the same, for a wallet keeps to few.
   */
  async #askApart (service: Uint8Array, protocol: string, content: Uint8Array): Promise<Uint8Array> {
    const { peer } = this.participant.service(service)
    const own = await this.#attach(await freshIdentity())
    try {
      return await own.requester.request(peer, protocol, content, { deadline: this.#ports.clock.now() + REQUEST_PATIENCE })
    } finally {
      await detach(own)
    }
  }

  /** Attach to the gateway: a mixer of one key whose only path ends here. */
  async #attach (alias: Secp256k1PrivateKey): Promise<Anonymous> {
    const suite = this.#suite
    const { clock, rng } = this.#ports
    const { participant } = this
    const privateKey = rng.bytes(32)
    const view = participant.view()
    const host = await createHost({ privateKey: alias, role: 'wallet', listen: [], meter: this.#counters })
    let gateway: DirectoryNode
    try {
      gateway = await reach(host, [this.#guard, ...others(view, this.#guard, rng)])
    } catch (error) {
      await host.stop()
      throw error
    }
    const engine = new MixEngine({
      suite, self: host.peer, parameters: view.parameters, topology: { mayForward: () => false, mayReachWallet: () => false }
    })
    let requester: MixnetRequester | null = null
    const node = new MixNode({
      node: host.node, engine, clock, rng, meter: this.#counters, padded: true,
      neighbourhood: {
        addresses: peer => peer === linkIdOf(peerIdFromBytes(gateway.peer)) ? participant.keeper.view()?.byPeer(gateway.peer)?.entry ?? gateway.entry : [],
        accepts: peer => peer === linkIdOf(peerIdFromBytes(gateway.peer))
      },
      onReply: (surbId, payload) => { requester?.onReply(surbId, payload) }
    })
    // The session's key outlives epochs: it is known to nobody but this session's own SURBs.
    node.install({ epoch: 0, privateKey, from: 0, until: Infinity })
    node.setEpoch(0, view.parameters)
    await node.start()
    node.keep(gateway.peer)
    const known = (): DirectoryView | null => participant.keeper.view()
    const attachment = { gateway: gateway.peer, peer: host.peer, mixKey: suite.x25519Base(privateKey) }
    requester = new MixnetRequester({
      suite, clock, rng, meter: this.#counters, parameters: () => known()?.parameters ?? null,
      paths: directoryPaths(known, attachment, this.#counters),
      cover: { paths: coverPaths(known, attachment), ready: () => node.isFree(gateway.peer) },
      sendPacket: (to, packet) => node.sendPacket(to, packet)
    })
    return { host, node, requester }
  }
}

async function detach ({ host, node, requester }: Anonymous): Promise<void> {
  requester.close()
  await node.stop(DRAIN)
  await host.stop()
}

/** The gateways beside the guard, in random order: for a session in which the guard does not answer. */
function others (view: DirectoryView, guard: DirectoryNode, rng: Rng): DirectoryNode[] {
  return shuffle(rng, view.gateways.filter(node => !equal(node.peer, guard.peer)))
}

/** The first of these that answers, with a connection to it. @throws no-gateway (operator, retry) */
async function reach (host: Host, gateways: readonly DirectoryNode[]): Promise<DirectoryNode> {
  for (const gateway of gateways) {
    try {
      await host.node.dial(dialable(entryOf(gateway)), { signal: AbortSignal.timeout(DIAL_PATIENCE) })
      return gateway
    } catch {
      // Down, or not reached from here: the next.
    }
  }
  throw new MixmintError('no-gateway', 'operator', 'no gateway of the network answers: is this machine connected, and are they running?', { retry: true })
}

/** A wallet keeps to one gateway for as long as the directory lists it: many gateways would each learn when it is there. */
async function chooseGuard ({ store, rng }: BasePorts, view: DirectoryView): Promise<DirectoryNode> {
  const kept = await store.get(GUARD)
  const known = view.gateways.find(node => kept !== null && equal(node.peer, kept))
  if (known !== undefined) return known
  const chosen = chooseGateway(view, rng)
  await store.batch([{ op: 'put', key: GUARD, value: chosen.peer }])
  return chosen
}

/** The bank of this wallet: the one it began with; at first the network's only one. */
async function chooseBank ({ store }: BasePorts, participant: Participant): Promise<{ bank: Uint8Array, unit: string }> {
  const keysets = participant.registry().keysets().map(({ keyset }) => keyset)
  const kept = await store.get(BANK)
  const found = kept === null ? keysets[0] : keysets.find(({ bank }) => equal(bank, kept))
  if (found === undefined) throw new MixmintError('no-bank', 'operator', 'the directory lists no bank that this wallet could use', { retry: true })
  if (kept === null) {
    if (keysets.some(({ bank }) => !equal(bank, found.bank))) throw new MixmintError('several-banks', 'caller', 'the network has several banks, and this wallet does not know which is its own')
    await store.batch([{ op: 'insert', key: BANK, value: found.bank }])
  }
  return { bank: found.bank, unit: found.unit }
}
