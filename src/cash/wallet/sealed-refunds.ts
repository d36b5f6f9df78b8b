/** Sealed tokens that no payee took come back as coins, as open ones do (refunds.ts), each by itself. */
import { encode } from '../../kit/codec.ts'
import { isMixmintError } from '../../kit/errors.ts'
import type { Op } from '../../kit/ports.ts'
import { batch, now, type Saga } from '../../kit/saga.ts'
import type { BankReply } from '../messages.ts'
import { sealedSecrets } from '../derive.ts'
import { refundMessage } from '../reclaim.ts'
import { sealedSerial } from '../sealed.ts'
import { sealedTokenAt } from './keys.ts'
import { finish, start, type Begun } from './operations.ts'
import { isRefusedForGood, issuingKeyset, makeOutputs, reserve, unblind, valuesOf } from './outputs.ts'
import { askBank, badReply, type Wallet, type WalletEffect } from './parts.ts'
import { putIn } from './purse.ts'
import { HeldSealed, type SealedRefundOperation } from './records.ts'
import { sealedTokens } from './sealed.ts'
import { kept } from './sealed-outputs.ts'
import { split } from './selection.ts'

type Refunding = Begun<SealedRefundOperation>

/** As beginRefunds. */
export function * beginSealedRefunds (wallet: Wallet, presented: boolean): Saga<void> {
  const time = yield * now()
  const { clockSkew } = wallet.registry().parameters
  for (const { token, place, operation, state, invoice } of yield * sealedTokens()) {
    if (state !== 'held' && !(presented && (state === 'presented' || state === 'sent'))) continue
    const { keys: { refundAfter } } = yield * kept(wallet, token.keys)
    if (time - clockSkew >= refundAfter) yield * beginRefund(wallet, { token, place, operation, state, invoice })
  }
}

function * beginRefund (wallet: Wallet, was: HeldSealed): Saga<void> {
  const started = yield * now()
  const known = issuingKeyset(wallet, started)
  const values = split(was.token.value, valuesOf(known))
  const { sequence, places } = yield * reserve(values)
  const { op } = start<SealedRefundOperation>(sequence, {
    kind: 'sealed-refund', started, state: 'open', was, outputs: makeOutputs(wallet, known, values, places), places
  })
  // If the token has changed, it was refunded by another run, or its receipt has come.
  yield * batch([change(wallet, was, { ...was, state: 'refunding' }), op])
}

function change ({ suite }: Wallet, was: HeldSealed, next: HeldSealed): Op {
  return { op: 'swap', key: sealedTokenAt(sealedSerial(suite, was.token)), was: encode(HeldSealed, was), value: encode(HeldSealed, next) }
}

/**
 * Ask the bank for it. Results in the ended operation: `done`, or `spent` when its payee had turned the token in.
 * @throws the bank's refusals; the operation stays open, except where its keyset has stopped issuing: then the token is as it was
 */
export function * sealedRefundOne (wallet: Wallet, begun: Refunding): Saga<Refunding, WalletEffect> {
  const { suite, seed } = wallet
  const { was, outputs, places } = begun.record
  const refunding: HeldSealed = { ...was, state: 'refunding' }
  const { owner } = sealedSecrets(suite, seed, { keyset: was.token.keys, value: was.token.value, ...was.place })
  const signature = suite.ed25519Sign(owner, refundMessage(suite, sealedSerial(suite, was.token), outputs))
  let reply: Exclude<BankReply, { is: 'refused' }>
  try {
    reply = yield * askBank('mixnet', { op: 'sealed-refund', token: was.token, outputs, signature })
  } catch (error) {
    if (isMixmintError(error, 'token-spent')) return yield * finish(begun, { ...begun.record, state: 'spent' }, [change(wallet, refunding, { ...was, state: 'spent' })])
    if (isRefusedForGood(wallet, outputs, error, yield * now())) yield * finish(begun, { ...begun.record, state: 'refused' }, [change(wallet, refunding, was)])
    throw error
  }
  if (reply.is !== 'signatures') throw badReply('bank')
  const fresh = unblind(wallet, outputs, places, reply.signatures)
  wallet.meter.count('wallet_refunded')
  return yield * finish(begun, { ...begun.record, state: 'done' }, [...yield * putIn(wallet, fresh), change(wallet, refunding, { ...was, state: 'refunded' })])
}
