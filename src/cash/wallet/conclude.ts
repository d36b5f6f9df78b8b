/** What a decided contract brings: fresh coins and a token, each verified before it counts; and which coins it took. */
import { equal } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { isMixmintError, MixmintError } from '../../kit/errors.ts'
import type { Millis, Op } from '../../kit/ports.ts'
import { get, now, type Saga } from '../../kit/saga.ts'
import { coinId } from '../coin.ts'
import { contractId } from '../contract.ts'
import type { Contract, SignedToken } from '../formats.ts'
import { dayOf } from '../keyset.ts'
import type { Settlement } from '../messages.ts'
import { checkSettlement } from '../settlement.ts'
import { stored } from '../stored.ts'
import { serialFor, verifyToken } from '../token.ts'
import { coinAt, tokenAt } from './keys.ts'
import { finish, type Begun } from './operations.ts'
import { unblind } from './outputs.ts'
import { askBank, badReply, type Wallet, type WalletEffect } from './parts.ts'
import { mark, putIn } from './purse.ts'
import { HeldToken, OwnedCoin, type ContractOperation } from './records.ts'
import { coinsAmong, keepSealed } from './sealed-outputs.ts'

/**
 * Take in the bank's answer. Results in the operation, ended if the contract is decided.
 *
 * A contract takes just the coins that are active now, if none was ever replaced. If some were, it most likely took the
 * active ones; whether it did shows when the others are reclaimed (leftovers.ts).
 * @throws bad-outcome, wrong-contract, bad-settlement, bad-blind-signature, wrong-token (peer): the operation stays open
 */
export function * conclude (wallet: Wallet, begun: Begun<ContractOperation>, settlement: Settlement): Saga<Begun<ContractOperation>> {
  const { sequence, record } = begun
  const { contract, places } = record
  const { state } = checkSettlement(wallet.suite, contract, settlement)
  if (state === 'open') return begun
  const time = yield * now()
  const owned = yield * stillPromised(wallet, begun)
  const fresh = coinsAmong(record)
  const sealed = state === 'void' ? [] : yield * keepSealed(wallet, sequence, record, settlement.signatures.slice(fresh))
  const ops = state === 'void'
    ? owned.flatMap(coin => mark(wallet, coin, 'left', sequence))
    : [
        ...yield * putIn(wallet, unblind(wallet, contract.outputs.slice(0, fresh), places.slice(0, fresh), settlement.signatures.slice(0, fresh))),
        ...sealed,
        ...settlement.token === null ? [] : [keepToken(wallet, contract, settlement.token, time)],
        ...owned.flatMap(coin => mark(wallet, coin, coin.active ? 'spent' : 'left', sequence))
      ]
  const ended = yield * finish(begun, { ...record, state, outcome: settlement.outcome }, ops)
  wallet.meter.count('wallet_contract', { kind: contract.kind, state })
  return ended
}

/** Those that are being refunded, or were, are no business of the contract any more: that their own operation learns (frozen.ts). */
function * stillPromised (wallet: Wallet, { sequence, record: { coins } }: Begun<ContractOperation>): Saga<Array<Pick<OwnedCoin, 'coin' | 'place'> & { active: boolean }>> {
  const owned = []
  for (const { input: { spend: { coin } }, place, active } of coins) {
    const value = yield * get(coinAt(coinId(wallet.suite, coin)))
    if (value !== null && stored(OwnedCoin, value).operation === sequence) owned.push({ coin, place, active })
  }
  return owned
}

/** Ask the bank how the contract of an operation stands, and take in what it says. */
export function * askOutcome (wallet: Wallet, begun: Begun<ContractOperation>): Saga<Begun<ContractOperation>, WalletEffect> {
  const reply = yield * askBank('mixnet', { op: 'outcome', contract: begun.record.contract })
  if (reply.is !== 'outcome') throw badReply('bank')
  return yield * conclude(wallet, begun, reply)
}

/**
 * Is it the token that this contract ordered? The step that keeps it. Of one that came so late that no payee takes it any
 * more, and the directory has no key for it, the bank's word on the contract is enough: the bank itself is to refund it.
 * @throws wrong-token, and those of verifyToken (peer)
 */
function keepToken (wallet: Wallet, contract: Contract, signed: SignedToken, now: Millis): Op {
  const { suite } = wallet
  const { token } = signed
  const { till, ownerKey, notBefore, notAfter, depositUntil, refundAfter, memoHash } = contract.token as NonNullable<Contract['token']>
  const serial = serialFor(suite, contractId(suite, contract))
  const asOrdered = token.network === contract.network && equal(token.bank, contract.bank) && token.day === dayOf(notBefore) &&
    equal(token.payee, contract.payee) && equal(token.till, till) && token.amount === contract.amount && token.unit === contract.unit &&
    equal(token.serial, serial) && equal(token.ownerKey, ownerKey) && token.notBefore === notBefore && token.notAfter === notAfter &&
    token.depositUntil === depositUntil && token.refundAfter === refundAfter && equal(token.memoHash, memoHash)
  if (!asOrdered) throw new MixmintError('wrong-token', 'peer', 'the bank made another token than was ordered; keep it as evidence and ask again')
  try {
    verifyToken(suite, wallet.registry(), signed)
  } catch (error) {
    if (!isMixmintError(error, 'unknown-day-key') || now < notAfter) throw error
  }
  const held: HeldToken = { token: signed, nonce: contract.nonce, state: 'held', invoice: null, presentation: null, paid: null }
  return { op: 'insert', key: tokenAt(serial), value: encode(HeldToken, held) }
}
