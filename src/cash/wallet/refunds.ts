/**
 * Tokens that no payee took come back as coins once their refund is open (DESIGN §6). Each is an operation of its own, as
 * with coins that are left over: its outputs are on disk before they are sent, and the same ones are asked for until
 * answered.
 */
import { isMixmintError } from '../../kit/errors.ts'
import { batch, now, type Saga } from '../../kit/saga.ts'
import type { BankReply } from '../messages.ts'
import { refundMessage } from '../reclaim.ts'
import { tokenOwnerKey } from '../derive.ts'
import { tokenHash } from '../token.ts'
import { finish, start, type Begun } from './operations.ts'
import { isRefusedForGood, issuingKeyset, makeOutputs, reserve, unblind, valuesOf } from './outputs.ts'
import { askBank, badReply, type Wallet, type WalletEffect } from './parts.ts'
import { putIn } from './purse.ts'
import type { HeldToken, RefundOperation } from './records.ts'
import { split } from './selection.ts'
import { changeToken, tokens } from './tokens.ts'

type Refunding = Begun<RefundOperation>

/**
 * Begin an operation for every token that was not used, and whose refund is open.
 * @param presented those, too, that were handed over at a till: of them the wallet does not know whether they came there
 */
export function * beginRefunds (wallet: Wallet, presented: boolean): Saga<void> {
  const time = yield * now()
  const { clockSkew } = wallet.registry().parameters
  for (const held of yield * tokens()) {
    const isOurs = held.state === 'held' || (presented && (held.state === 'presented' || held.state === 'sent'))
    if (isOurs && time - clockSkew >= held.token.token.refundAfter) yield * beginRefund(wallet, held)
  }
}

function * beginRefund (wallet: Wallet, held: HeldToken): Saga<void> {
  const started = yield * now()
  const known = issuingKeyset(wallet, started)
  const values = split(held.token.token.amount, valuesOf(known))
  const { sequence, places } = yield * reserve(values)
  const { op } = start<RefundOperation>(sequence, {
    kind: 'refund', started, state: 'open', was: held, outputs: makeOutputs(wallet, known, values, places), places
  })
  // If the token has changed, it was refunded by another run, or its receipt has come.
  yield * batch([changeToken(held, { ...held, state: 'refunding' }), op])
}

/**
 * Ask the bank for it. Results in the ended operation: `done`, or `spent` when its payee had turned the token in.
 * @throws the bank's refusals; the operation stays open, except where its keyset has stopped issuing: then the token is as it was
 */
export function * refundOne (wallet: Wallet, begun: Refunding): Saga<Refunding, WalletEffect> {
  const { suite, seed } = wallet
  const { was, outputs, places } = begun.record
  const refunding: HeldToken = { ...was, state: 'refunding' }
  const signature = suite.ed25519Sign(tokenOwnerKey(suite, seed, was.nonce), refundMessage(suite, tokenHash(suite, was.token.token), outputs))
  let reply: Exclude<BankReply, { is: 'refused' }>
  try {
    reply = yield * askBank('mixnet', { op: 'refund', token: was.token, outputs, signature })
  } catch (error) {
    if (isMixmintError(error, 'token-spent')) return yield * finish(begun, { ...begun.record, state: 'spent' }, [changeToken(refunding, { ...was, state: 'spent' })])
    if (isRefusedForGood(wallet, outputs, error, yield * now())) yield * finish(begun, { ...begun.record, state: 'refused' }, [changeToken(refunding, was)])
    throw error
  }
  if (reply.is !== 'signatures') throw badReply('bank')
  const fresh = unblind(wallet, outputs, places, reply.signatures)
  wallet.meter.count('wallet_refunded')
  return yield * finish(begun, { ...begun.record, state: 'done' }, [...yield * putIn(wallet, fresh), changeToken(refunding, { ...was, state: 'refunded' })])
}
