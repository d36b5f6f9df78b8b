/**
 * Tokens that no payee took, open and sealed, come back as coins once their refund is open (DESIGN §6). Each is an operation of its own,
 * as with coins that are left over: its outputs are on disk before they are sent, and the same ones are asked for until
 * answered.
 */
import { encode } from '../../kit/codec.ts'
import { isMixmintError } from '../../kit/errors.ts'
import type { Millis, Op } from '../../kit/ports.ts'
import { batch, now, type Saga } from '../../kit/saga.ts'
import type { Ed25519KeyPair } from '../../crypto/suite.ts'
import type { Output } from '../formats.ts'
import type { BankReply, BankRequest } from '../messages.ts'
import { refundMessage } from '../reclaim.ts'
import { sealedSecrets, tokenOwnerKey } from '../derive.ts'
import { sealedSerial } from '../sealed.ts'
import { tokenHash } from '../token.ts'
import { sealedTokenAt } from './keys.ts'
import { finish, start, type Begun } from './operations.ts'
import { isRefusedForGood, issuingKeyset, makeOutputs, reserve, unblind, valuesOf } from './outputs.ts'
import { askBank, badReply, type Wallet, type WalletEffect } from './parts.ts'
import { putIn } from './purse.ts'
import { HeldSealed, type RefundOperation, type SealedRefundOperation } from './records.ts'
import { sealedTokens } from './sealed.ts'
import { kept } from './sealed-outputs.ts'
import { split } from './selection.ts'
import { changeToken, tokens } from './tokens.ts'

type Refund = RefundOperation | SealedRefundOperation

/** A kind of token: what differs between the two. */
interface Kind<R extends Refund> {
  readonly kind: R['kind']
  readonly held: (wallet: Wallet) => Saga<Array<R['was']>>
  readonly amountOf: (was: R['was']) => number
  readonly refundAfter: (wallet: Wallet, was: R['was']) => Saga<Millis>
  /** What names it in what its owner signs. */
  readonly name: (wallet: Wallet, was: R['was']) => Uint8Array
  readonly owner: (wallet: Wallet, was: R['was']) => Ed25519KeyPair
  readonly request: (was: R['was'], outputs: Output[], signature: Uint8Array) => BankRequest
  readonly change: (wallet: Wallet, was: R['was'], next: R['was']) => Op
}

const OPEN: Kind<RefundOperation> = {
  kind: 'refund',
  held: () => tokens(),
  amountOf: ({ token: { token } }) => token.amount,
  * refundAfter (_, { token: { token } }) { return token.refundAfter },
  name: ({ suite }, { token: { token } }) => tokenHash(suite, token),
  owner: ({ suite, seed }, { nonce }) => tokenOwnerKey(suite, seed, nonce),
  request: ({ token }, outputs, signature) => ({ op: 'refund', token, outputs, signature }),
  change: (_, was, next) => changeToken(was, next)
}

const SEALED: Kind<SealedRefundOperation> = {
  kind: 'sealed-refund',
  * held () { return (yield * sealedTokens()).map(({ token, place, operation, state, invoice }) => ({ token, place, operation, state, invoice })) },
  amountOf: ({ token }) => token.value,
  * refundAfter (wallet, { token }) { return (yield * kept(wallet, token.keys)).keys.refundAfter },
  name: ({ suite }, { token }) => sealedSerial(suite, token),
  owner: ({ suite, seed }, { token, place }) => sealedSecrets(suite, seed, { keyset: token.keys, value: token.value, ...place }).owner,
  request: ({ token }, outputs, signature) => ({ op: 'sealed-refund', token, outputs, signature }),
  change: ({ suite }, was, next) => ({ op: 'swap', key: sealedTokenAt(sealedSerial(suite, was.token)), was: encode(HeldSealed, was), value: encode(HeldSealed, next) })
}

/**
 * Begin an operation for every open token that was not used, and whose refund is open.
 * @param presented those, too, that were handed over at a till: of them the wallet does not know whether they came there
 */
export function beginRefunds (wallet: Wallet, presented: boolean): Saga<void> {
  return beginAll(wallet, OPEN, presented)
}

/** As beginRefunds. */
export function beginSealedRefunds (wallet: Wallet, presented: boolean): Saga<void> {
  return beginAll(wallet, SEALED, presented)
}

function * beginAll<R extends Refund> (wallet: Wallet, kind: Kind<R>, presented: boolean): Saga<void> {
  const time = yield * now()
  const { clockSkew } = wallet.registry().parameters
  for (const was of yield * kind.held(wallet)) {
    const isOurs = was.state === 'held' || (presented && (was.state === 'presented' || was.state === 'sent'))
    if (isOurs && time - clockSkew >= (yield * kind.refundAfter(wallet, was))) yield * begin(wallet, kind, was)
  }
}

function * begin<R extends Refund> (wallet: Wallet, kind: Kind<R>, was: R['was']): Saga<void> {
  const started = yield * now()
  const known = issuingKeyset(wallet, started)
  const values = split(kind.amountOf(was), valuesOf(known))
  const { sequence, places } = yield * reserve(values)
  const { op } = start<Refund>(sequence, { kind: kind.kind, started, state: 'open', was, outputs: makeOutputs(wallet, known, values, places), places } as Refund)
  // If the token has changed, it was refunded by another run, or its receipt has come.
  yield * batch([kind.change(wallet, was, { ...was, state: 'refunding' }), op])
}

/**
 * Ask the bank for it. Results in the ended operation: `done`, or `spent` when its payee had turned the token in.
 * @throws the bank's refusals; the operation stays open, except where its keyset has stopped issuing: then the token is as it was
 */
export function refundOne (wallet: Wallet, begun: Begun<RefundOperation>): Saga<Begun<RefundOperation>, WalletEffect> {
  return askBack(wallet, OPEN, begun)
}

/** As refundOne. */
export function sealedRefundOne (wallet: Wallet, begun: Begun<SealedRefundOperation>): Saga<Begun<SealedRefundOperation>, WalletEffect> {
  return askBack(wallet, SEALED, begun)
}

function * askBack<R extends Refund> (wallet: Wallet, kind: Kind<R>, begun: Begun<R>): Saga<Begun<R>, WalletEffect> {
  const { outputs, places } = begun.record
  const was: R['was'] = begun.record.was
  const becomes = (next: R['was']): Op => kind.change(wallet, { ...was, state: 'refunding' }, next)
  const signature = wallet.suite.ed25519Sign(kind.owner(wallet, was), refundMessage(wallet.suite, kind.name(wallet, was), outputs))
  let reply: Exclude<BankReply, { is: 'refused' }>
  try {
    reply = yield * askBank('mixnet', kind.request(was, outputs, signature))
  } catch (error) {
    if (isMixmintError(error, 'token-spent')) return yield * finish(begun, { ...begun.record, state: 'spent' }, [becomes({ ...was, state: 'spent' })])
    if (isRefusedForGood(wallet, outputs, error, yield * now())) yield * finish(begun, { ...begun.record, state: 'refused' }, [becomes(was)])
    throw error
  }
  if (reply.is !== 'signatures') throw badReply('bank')
  const fresh = unblind(wallet, outputs, places, reply.signatures)
  wallet.meter.count('wallet_refunded')
  return yield * finish(begun, { ...begun.record, state: 'done' }, [...yield * putIn(wallet, fresh), becomes({ ...was, state: 'refunded' })])
}
