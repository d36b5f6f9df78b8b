/** What a payee gives back of an order comes as coins: asked for with a key that paid it (cash/merchant/repay.ts is the other side). */
import { equal } from '../../kit/bytes.ts'
import { isMixmintError, MixmintError } from '../../kit/errors.ts'
import { batch, now, type Saga } from '../../kit/saga.ts'
import type { Ed25519KeyPair } from '../../crypto/suite.ts'
import { invoiceHash } from '../contract.ts'
import { sealedSecrets, tokenOwnerKey } from '../derive.ts'
import type { SignedInvoice } from '../formats.ts'
import type { MerchantReply } from '../messages.ts'
import { repayMessage } from '../reclaim.ts'
import { finish, openOperations, start, type Begun } from './operations.ts'
import { issuingKeyset, makeOutputs, reserve, unblind, valuesOf } from './outputs.ts'
import { askMerchant, badReply, type Wallet, type WalletEffect } from './parts.ts'
import { useOf } from './payments.ts'
import { keyOf, putIn } from './purse.ts'
import type { RepayOperation } from './records.ts'
import { makeRoom } from './room.ts'
import { sealedTokens } from './sealed.ts'
import { split } from './selection.ts'
import { tokens } from './tokens.ts'

type Repaying = Begun<RepayOperation>

/**
 * Have it back, or carry on with what was begun. Results in the ended operation.
 * @throws not-paid (caller); nothing-repaid, repaid-before and the payee's other refusals; bad-reply (peer)
 */
export function * collectRepay (wallet: Wallet, signed: SignedInvoice): Saga<Repaying, WalletEffect> {
  const { suite } = wallet
  const invoice = invoiceHash(suite, signed.invoice)
  for (const begun of yield * openOperations()) {
    if (begun.record.kind === 'repay' && equal(invoiceHash(suite, begun.record.invoice.invoice), invoice)) return yield * repayOne(wallet, { ...begun, record: begun.record })
  }
  const reply = yield * askMerchant(signed.invoice.payee, { op: 'repayable', invoice })
  if (reply.is !== 'repayable' || reply.amount < 1 || reply.amount > signed.invoice.amount) throw badReply('merchant')
  const key = yield * payingKey(wallet, invoice, reply.payer)
  yield * makeRoom(wallet, 1)
  const started = yield * now()
  const known = issuingKeyset(wallet, started)
  const values = split(reply.amount, valuesOf(known))
  const { sequence, places } = yield * reserve(values)
  const outputs = makeOutputs(wallet, known, values, places)
  const { begun, op } = start<RepayOperation>(sequence, {
    kind: 'repay', started, state: 'open', invoice: signed, outputs, places, signature: suite.ed25519Sign(key, repayMessage(suite, invoice, outputs))
  })
  if (!(yield * batch([op])).done) throw new MixmintError('internal', 'us', 'a reserved operation number is in use')
  return yield * repayOne(wallet, begun)
}

/** The key that paid, as its payee names it. @throws not-paid (caller), bad-reply (peer) */
function * payingKey (wallet: Wallet, invoice: Uint8Array, payer: Uint8Array): Saga<Ed25519KeyPair> {
  const { by, contract } = yield * useOf(invoice)
  if (by === null) throw new MixmintError('not-paid', 'caller', 'this wallet has not paid this order')
  const promised = contract?.record.coins.find(({ input }) => equal(input.spend.coin.publicKey, payer))
  if (promised !== undefined) return yield * keyOf(wallet, { coin: promised.input.spend.coin, place: promised.place })
  for (const { token, place, invoice: pays } of yield * sealedTokens()) {
    if (equal(pays, invoice) && equal(token.ownerKey, payer)) return sealedSecrets(wallet.suite, wallet.seed, { keyset: token.keys, value: token.value, ...place }).owner
  }
  const held = (yield * tokens()).find(({ token: { token } }) => equal(token.serial, by.serial) && equal(token.ownerKey, payer))
  if (held === undefined) throw badReply('merchant')
  return tokenOwnerKey(wallet.suite, wallet.seed, held.nonce)
}

/**
 * Ask the payee for it. Results in the ended operation.
 * @throws the payee's refusals; the operation ends with those that no retry changes, and stays open with others
 */
export function * repayOne (wallet: Wallet, begun: Repaying): Saga<Repaying, WalletEffect> {
  const { invoice: { invoice }, outputs, places, signature } = begun.record
  let reply: Exclude<MerchantReply, { is: 'refused' }>
  try {
    reply = yield * askMerchant(invoice.payee, { op: 'repay', invoice: invoiceHash(wallet.suite, invoice), outputs, signature })
  } catch (error) {
    // Fresh outputs are made when it is asked for again; these will never be signed.
    if (isMixmintError(error, 'repaid-before') || isMixmintError(error, 'repay-fresh')) yield * finish(begun, { ...begun.record, state: 'refused' }, [])
    throw error
  }
  if (reply.is !== 'repaid') throw badReply('merchant')
  const fresh = unblind(wallet, outputs, places, reply.signatures)
  wallet.meter.count('wallet_repaid')
  return yield * finish(begun, { ...begun.record, state: 'done' }, yield * putIn(wallet, fresh))
}
