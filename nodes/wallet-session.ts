/**
 * A wallet at work: its store and lock, two network identities that live as long as this session, a gateway that it keeps
 * to, and the engine whose questions go over the mixnet (or, where the account is named anyway, directly). One identity is
 * the gateway's to know, the other that of whoever is asked directly: the directory, and the bank, which learns the account.
 */
import { join } from 'node:path'
import type { Secp256k1PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { equal, toHex, utf8 } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Rng } from '@mixmint/core/kit/ports'
import { shuffle } from '@mixmint/core/kit/samplers'
import { asMixmintError, drive, type BasePorts, type Saga } from '@mixmint/core/kit/saga'
import type { Suite } from '@mixmint/core/crypto/suite'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { BANK_PROTOCOL, BankReply, BankRequest, MERCHANT_PROTOCOL, MerchantReply, MerchantRequest } from '@mixmint/core/cash/messages'
import { tillNamed } from '@mixmint/core/cash/till'
import { WalletEngine } from '@mixmint/core/cash/wallet/engine'
import type { WalletEffect } from '@mixmint/core/cash/wallet/parts'
import { chooseGateway, coverPaths, directoryPaths } from '@mixmint/mixnet/directory/route'
import type { DirectoryNode, DirectoryView } from '@mixmint/mixnet/directory/view'
import { peerIdFromBytes } from '@mixmint/mixnet/wire/peers'
import { MixnetRequester } from '@mixmint/mixnet/wire/requester'
import { attach, type Attached } from './attachment.ts'
import { sleep, systemClock, systemRng } from './clock.ts'
import { readNetwork } from './config.ts'
import { freshIdentity } from './identity.ts'
import { Counters, createLog } from './observe.ts'
import { merchantsOf, Participant, type Surroundings } from './participant.ts'
import { claimStore } from './store/about.ts'
import { openLmdb } from './store/lmdb.ts'
import { lockFolder } from './store/lock.ts'
import { MIGRATIONS } from './store/migrations.ts'
import { walletSeed } from './wallet-folder.ts'

const GUARD = utf8('session/guard')
const BANK = utf8('session/bank')
const DIRECTORY_PATIENCE = 20_000
const REQUEST_PATIENCE = 30_000
/** When the last document has served out its grace, and the next is not there yet. */
const LATE_DOCUMENT = 15_000
/** A session is short; the others follow in the next ones. */
const REFRESHED_AT_ONCE = 2
const REFRESH_PAUSE = 3_000

export interface Merchant {
  readonly name: string
  readonly payee: Uint8Array
  /** What tokens for it have to name, or empty. */
  readonly till: Uint8Array
}

/** How the session asks over the mixnet, made when first needed. */
interface Anonymous {
  readonly attached: Attached
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
      await claimStore(store, 'wallet', MIGRATIONS.wallet)
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
    const all = merchantsOf(this.#suite, this.participant.view()).map(({ listing: { name, payee, till } }) => ({ name, payee, till }))
    return [...new Map(all.map(each => [toHex(each.payee), each])).values()]
  }

  /** By name or by the beginning of the payee key; the only one when none is named. @throws unknown-merchant (caller) */
  merchant (named: string | undefined, hex: (bytes: Uint8Array) => string): Merchant {
    const all = this.merchants()
    const found = named === undefined ? all : all.filter(({ name, payee }) => name === named || hex(payee).startsWith(named.toLowerCase()))
    if (found.length === 1) return found[0]
    throw new MixmintError('unknown-merchant', 'caller', `name one of the merchants with --merchant: ${all.map(({ name, payee }) => `"${name}" (${hex(payee).slice(0, 12)}…)`).join(', ')}`)
  }

  /** What tokens call the till of this name. */
  till (name: string): Uint8Array {
    return tillNamed(this.#suite, name)
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
    return decode(BankReply, await this.participant.askService(this.bank, async (node, hasOthers) => await this.participant.ask(node, BANK_PROTOCOL, request, { timeout: patience(hasOthers) })))
  }

  async #ask (service: Uint8Array, protocol: string, content: Uint8Array): Promise<Uint8Array> {
    this.#anonymous ??= this.#attach(this.#alias).catch((error: unknown) => {
      this.#anonymous = null
      throw error
    })
    const { requester } = await this.#anonymous
    return await this.#through(requester, service, protocol, content)
  }

  async #through (requester: MixnetRequester, service: Uint8Array, protocol: string, content: Uint8Array): Promise<Uint8Array> {
    // Where that does not come, the requester says that nothing was sent.
    if (this.participant.keeper.view() === null) await this.participant.ready(LATE_DOCUMENT).catch(() => {})
    return await this.participant.askService(service, async ({ peer }, hasOthers) =>
      await requester.request(peer, protocol, content, { deadline: this.#ports.clock.now() + patience(hasOthers) }))
  }

  /**
   * Under an identity, and with a key for the way back, that serve this one question: nothing that a session remembers of its
   * paths and losses joins it to another. The gateway is the same, for a wallet keeps to few.
   */
  async #askApart (service: Uint8Array, protocol: string, content: Uint8Array): Promise<Uint8Array> {
    const own = await this.#attach(await freshIdentity())
    try {
      return await this.#through(own.requester, service, protocol, content)
    } finally {
      await detach(own)
    }
  }

  async #attach (alias: Secp256k1PrivateKey): Promise<Anonymous> {
    const { clock, rng } = this.#ports
    const { participant } = this
    const view = participant.view()
    const known = (): DirectoryView | null => participant.keeper.view()
    let requester: MixnetRequester | null = null
    const attached = await attach({
      suite: this.#suite, clock, rng, meter: this.#counters, view, known, alias, gateways: [this.#guard, ...others(view, this.#guard, rng)],
      onReply: (surbId, payload) => { requester?.onReply(surbId, payload) }
    })
    const { node, at } = attached
    requester = new MixnetRequester({
      suite: this.#suite, clock, rng, meter: this.#counters, parameters: () => known()?.parameters ?? null,
      paths: directoryPaths(known, at, this.#counters),
      cover: { paths: coverPaths(known, at), ready: () => node.isFree(at.gateway) },
      sendPacket: (to, packet) => node.sendPacket(to, packet)
    })
    return { attached, requester }
  }
}

/** Where another process of the same service can be asked after it, one is given a third: an answer takes a second or a few. */
function patience (hasOthers: boolean): number {
  return hasOthers ? REQUEST_PATIENCE / 3 : REQUEST_PATIENCE
}

async function detach ({ attached, requester }: Anonymous): Promise<void> {
  requester.close()
  await attached.stop()
}

/** The gateways beside the guard, in random order: for a session in which the guard does not answer. */
function others (view: DirectoryView, guard: DirectoryNode, rng: Rng): DirectoryNode[] {
  return shuffle(rng, view.gateways.filter(node => !equal(node.peer, guard.peer)))
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
