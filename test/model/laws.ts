/**
 * What holds at every moment of every history:
 *
 * - no coin is certified for two transactions (while no more than f lie): no two d of one coin have votes of a quorum of
 *   its keepers;
 * - the bank's books balance after each write, movement by movement: what was credited is in accounts, tokens, or coins, or
 *   was paid out; and every account holds what its movements come to;
 * - the bank's word on a contract never changes once it is settled or void, nor do its signatures; a withdrawal, reclaim or refund that
 *   is asked for again has the same answer, and no coin or token comes back for two requests;
 * - a wallet asks for an output in one operation only, on whichever machine of its words, signs a coin over to one contract only,
 *   pays an invoice by one contract only, and has all that on disk before it is sent;
 * - what it gave away in a bundle it does nothing with but take it back;
 * - a machine that came back from its words derives under no generation of another machine;
 * - a shop has never more at risk for coins without certificates than it would;
 * - nobody fails by a fault of its own.
 */
import { equal, fromHex, toHex } from '@mixmint/core/kit/bytes'
import { encode } from '@mixmint/core/kit/codec'
import { coinId } from '@mixmint/core/cash/coin'
import { contractId } from '@mixmint/core/cash/contract'
import { EXPOSURE } from '@mixmint/core/cash/merchant/keys'
import { Exposure } from '@mixmint/core/cash/merchant/records'
import { BankReply, BankRequest, Settlement, type MerchantRequest } from '@mixmint/core/cash/messages'
import { type Contract, type Output, type Spend, Withdrawal } from '@mixmint/core/cash/formats'
import { sealedSerial } from '@mixmint/core/cash/sealed'
import { stored } from '@mixmint/core/cash/stored'
import { DONE, OPEN } from '@mixmint/core/cash/wallet/keys'
import { Operation, type Place } from '@mixmint/core/cash/wallet/records'
import type { Books } from '@mixmint/core/cash/bank/books'
import { contractAt } from '@mixmint/core/cash/bank/keys'
import { suite, type Economy } from '../doubles/economy.ts'
import type { Bank, Person, Shop, Witness } from './parties.ts'

const NONE = new Uint8Array(0)

interface Refusal { readonly code: string, readonly fault: string, readonly message: string }

/** What the laws are about (world.ts). */
export interface Judged {
  readonly economy: Economy
  readonly setting: { readonly beyond: boolean }
  readonly bank: Bank
  /** By the operator, in all. */
  readonly credited: number
  readonly cheats: (person: Person) => boolean
  readonly break: (law: string) => never
}

export class Laws implements Witness {
  readonly #world: Judged
  /** By coin: by d, who voted. */
  readonly #votes = new Map<string, Map<string, Set<string>>>()
  readonly #decided = new Map<string, string>()
  readonly #claims: Map<string, string>

  /** @param before what was asked for in the world that this one goes on with */
  constructor (world: Judged, before: Laws | null) {
    this.#world = world
    this.#claims = new Map(before === null ? [] : before.#claims)
  }

  /** A center, honest or not, gives out its vote for this spend. */
  voted (center: Uint8Array, spend: Spend): void {
    const { economy } = this.#world
    const id = coinId(suite, spend.coin)
    const { ring } = economy.registry.keyset(spend.coin.keyset)
    if (!ring.keepers(id, spend.coin.signature).some(keeper => equal(keeper.id, center))) return
    const coin = toHex(id)
    const byD = this.#votes.get(coin) ?? new Map<string, Set<string>>()
    this.#votes.set(coin, byD)
    const voters = byD.get(toHex(spend.d)) ?? new Set()
    byD.set(toHex(spend.d), voters.add(toHex(center)))
    const certified = [...byD.values()].filter(({ size }) => size >= ring.ring.quorum)
    if (certified.length > 1 && !this.#world.setting.beyond) this.#world.break('one coin is certified for two transactions')
  }

  bankWrote (): void {
    const books = this.books()
    if (!books.balanced) this.#world.break(`the books do not balance: ${books.faults.join('; ')}`)
    const { credited, paidOut, accounts, tokens, outstanding } = books
    if (credited !== paidOut + accounts + tokens + outstanding) this.#world.break('what came in is not what left, and accounts, tokens and coins')
    if (outstanding < 0) this.#world.break('more coins were redeemed than issued')
    if (credited !== this.#world.credited) this.#world.break(`${this.#world.credited} was credited, the books say ${credited}`)
  }

  shopWrote ({ name, disk, trust }: Shop): void {
    const value = disk.get(EXPOSURE)
    const total = value === null ? 0 : stored(Exposure, value).total
    if (total > (trust?.total ?? 0)) this.#world.break(`${name} has ${total} at risk, more than it would`)
  }

  books (): Books {
    const { bank } = this.#world
    const disk = bank.disk
    bank.disk = disk.copy()
    try {
      return bank.look(bank.newEngine().books())
    } finally {
      bank.disk = disk
    }
  }

  bankSaid (request: BankRequest, reply: BankReply): void {
    this.#answered(request, reply)
    if (reply.is === 'refused') {
      this.refused('bank', reply)
      return
    }
    if (reply.is !== 'settlement' && reply.is !== 'outcome') return
    const { outcome, signatures, token } = reply
    if (outcome.outcome.state === 'open') return
    const said = toHex(encode(Settlement, { outcome, signatures, token }))
    this.#same(`word on ${toHex(outcome.outcome.contract)}`, said, 'the bank changed its word on a contract')
  }

  /** Money that was given once is given to the same request again, and to no other request for the same coin or token. */
  #answered (request: BankRequest, reply: BankReply): void {
    if (reply.is !== 'signatures') return
    const asked = toHex(encode(BankRequest, request))
    this.#same(`answer to ${asked}`, toHex(encode(BankReply, reply)), `the bank answered the same ${request.op} in two ways`)
    const gone = request.op === 'refund' ? request.token.token.serial : request.op === 'reclaim' ? coinId(suite, request.input.spend.coin) : request.op === 'refund-coin' ? coinId(suite, request.coin) : null
    if (gone !== null) this.#same(`returned ${toHex(gone)}`, toHex(encode(BankReply, reply)), `the bank gave back the same thing twice, the second time by a ${request.op}`)
  }

  refused (who: string, { code, fault, message }: Refusal): void {
    if (fault === 'us' || code === 'internal' || code === 'store-damaged') this.#world.break(`${who} refused by its own fault: ${code}: ${message}`)
  }

  walletSends (person: Person, request: BankRequest | MerchantRequest): void {
    // Who copied a wallet breaks these rules.
    const honest = !this.#world.cheats(person)
    // Another run of the same may have ended it meanwhile.
    const begun = [OPEN, DONE].flatMap(prefix => person.disk.scan({ prefix, limit: Infinity })).map(({ value }) => stored(Operation, value))
    const needs = (holds: boolean): void => { if (!holds) this.#world.break(`${person.name} sends a ${request.op} that is not on its disk`) }
    const begunAs = (is: (one: Operation) => boolean): Operation | undefined => {
      const found = begun.find(is)
      needs(found !== undefined)
      if (honest && found !== undefined && 'places' in found) this.#derivedHere(person, found)
      return found
    }
    switch (request.op) {
      case 'withdraw': {
        const bytes = encode(Withdrawal, request.withdrawal)
        if (honest) this.#outputs(request.withdrawal.outputs, toHex(bytes))
        begunAs(one => one.kind === 'withdraw' && equal(encode(Withdrawal, one.withdrawal), bytes))
        break
      }
      case 'settle': case 'pay': {
        const id = contractId(suite, request.contract)
        const found = begunAs(one => one.kind === 'contract' && equal(contractId(suite, one.contract), id))
        if (honest) this.#contract(person, request.contract, request.inputs.map(({ spend }) => spend), found?.kind === 'contract' ? found.claim : NONE)
        const held = found?.kind === 'contract' ? found.coins.map(({ input }) => toHex(input.spend.signature)) : []
        needs(request.inputs.every(({ spend }) => held.includes(toHex(spend.signature))))
        break
      }
      case 'reclaim': {
        const coin = coinId(suite, request.input.spend.coin)
        if (honest) this.#outputs(request.outputs, toHex(coin))
        begunAs(one => one.kind === 'reclaim' && equal(coinId(suite, one.input.spend.coin), coin) && equal(one.outputs[0].blinded, request.outputs[0].blinded))
        break
      }
      case 'refund-coin': {
        const coin = coinId(suite, request.coin)
        if (honest) this.#outputs(request.outputs, toHex(coin))
        begunAs(one => one.kind === 'refund-coin' && equal(coinId(suite, one.coin), coin) && equal(one.outputs[0].blinded, request.outputs[0].blinded))
        break
      }
      case 'refund': {
        const { serial } = request.token.token
        if (honest) this.#outputs(request.outputs, toHex(serial))
        begunAs(one => one.kind === 'refund' && equal(one.was.token.token.serial, serial) && equal(one.outputs[0].blinded, request.outputs[0].blinded))
        break
      }
      case 'sealed-refund': {
        const serial = sealedSerial(suite, request.token)
        if (honest) this.#outputs(request.outputs, toHex(serial))
        begunAs(one => one.kind === 'sealed-refund' && equal(sealedSerial(suite, one.was.token), serial) && equal(one.outputs[0].blinded, request.outputs[0].blinded))
        break
      }
      case 'sealed-present': {
        const held = person.look(person.engine.sealedTokens())
        // A token is signed over to one order, until its payee has refused that.
        needs(request.payment.presentations.every(({ token }) => held.some(one => equal(one.token.nonce, token.nonce) && equal(one.invoice, request.payment.invoice))))
        break
      }
      case 'present': {
        const held = person.look(person.engine.tokens()).some(({ presentation }) => presentation !== null && equal(presentation.ownerSignature, request.presentation.ownerSignature))
        needs(held)
      }
    }
  }

  /** Contracts that are taken up after a loss derive as they did before. */
  #derivedHere ({ owner, machine, inherited }: Person, operation: Operation & { readonly places: readonly Place[] }): void {
    if (operation.kind === 'contract' && inherited.has(toHex(contractId(suite, operation.contract)))) return
    for (const { generation } of operation.places) {
      this.#same(`generation ${generation} of ${owner}`, String(machine), 'a wallet that came back from its words derives under a generation of before')
    }
  }

  /** @param claim the bundle that it takes a coin of; else empty */
  #contract ({ owner, given }: Person, contract: Contract, spends: readonly Spend[], claim: Uint8Array): void {
    const id = toHex(contractId(suite, contract))
    this.#outputs(contract.outputs, id)
    for (const { coin, d } of spends) {
      const name = toHex(coinId(suite, coin))
      this.#same(`coin ${name} of ${owner}`, toHex(d), 'a wallet signed one coin over to two contracts')
      if (!equal(given.get(name) ?? claim, claim)) this.#world.break('a wallet uses a coin that it gave away')
    }
    if (contract.kind !== 'pay') return
    const key = `invoice ${toHex(contract.invoice)}`
    const before = this.#claims.get(key)
    // One that is void was no payment.
    if (before !== undefined && before !== id && !this.#isVoid(before)) this.#world.break('a wallet pays one invoice by two contracts')
    this.#claims.set(key, id)
  }

  #isVoid (contract: string): boolean {
    const value = this.#world.bank.disk.get(contractAt(fromHex(contract)))
    return value !== null && stored(Settlement, value).outcome.outcome.state === 'void'
  }

  #outputs (outputs: readonly Output[], operation: string): void {
    for (const { blinded } of outputs) this.#same(`output ${toHex(blinded)}`, operation, 'a wallet asks for one output in two operations')
  }

  #same (key: string, value: string, otherwise: string): void {
    const table = key.startsWith('word') ? this.#decided : this.#claims
    if ((table.get(key) ?? value) !== value) this.#world.break(otherwise)
    table.set(key, value)
  }
}
