/** Tokens that nobody turned in come back to their owner as coins, from refundAfter on (DESIGN §6). */
import { equal } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Millis } from '../../kit/ports.ts'
import { get, type Saga } from '../../kit/saga.ts'
import { checkOutputDates, checkOutputs, total } from '../contract.ts'
import type { Output } from '../formats.ts'
import type { BankReply, BankRequest } from '../messages.ts'
import { refundMessage } from '../reclaim.ts'
import { stored } from '../stored.ts'
import { tokenHash } from '../token.ts'
import { depositAt, refundedAt, tokenAt } from './keys.ts'
import { checkOurs, commit, insert, journalStep, outputSteps, outputUsed, parts, signOutputs, type Bank, type BankEffect } from './parts.ts'
import { Deposited, IssuedToken, Refunded } from './records.ts'

/** A token that somebody wants back. */
interface Claim {
  readonly serial: Uint8Array
  /** What tells it from another of the same serial. */
  readonly hash: Uint8Array
  readonly ownerKey: Uint8Array
  readonly amount: number
  readonly refundAfter: Millis
}

/**
 * The same answer to every retry of the same refund; a second, other one of the token is refused. Deposit and refund
 * insert the same key: whoever comes first has it.
 * @throws token-spent, token-not-issued, refund-too-early (retry), bad-owner-signature, wrong-sum, output-used,
 *   wrong-network, wrong-bank, wrong-unit, and those of checkOutputs, checkOutputDates (peer)
 */
export function * refund (bank: Bank, { token: { token }, outputs, signature }: BankRequest & { op: 'refund' }): Saga<BankReply, BankEffect> {
  const { serial, ownerKey, amount, refundAfter } = token
  const hash = tokenHash(bank.suite, token)
  return yield * giveBack(bank, { serial, hash, ownerKey, amount, refundAfter }, outputs, signature, function * () {
    checkOurs(bank, token)
    const issued = yield * get(tokenAt(serial))
    // What was issued is known by itself: the day key may be gone by now.
    if (issued === null || !equal(stored(IssuedToken, issued).token, hash)) throw new MixmintError('token-not-issued', 'peer', 'the bank has not issued this token')
  })
}

/**
 * Of whatever kind. @param check that the bank has made this token
 * @throws as refund, and what `check` throws
 */
export function * giveBack (bank: Bank, claim: Claim, outputs: readonly Output[], signature: Uint8Array, check: () => Saga<void>): Saga<BankReply, BankEffect> {
  const { suite } = bank
  const { serial, hash, ownerKey, amount, refundAfter } = claim
  const message = refundMessage(suite, hash, outputs)
  const request = suite.sha256(message)
  const before = yield * answered(serial, request)
  if (before !== null) return before

  yield * check()
  if (!suite.ed25519Verify(ownerKey, message, signature)) throw new MixmintError('bad-owner-signature', 'peer', 'the request is not signed by the token\'s owner')
  const time = yield * bank.clock.now()
  if (time < refundAfter) {
    throw new MixmintError('refund-too-early', 'peer', 'its payee may still turn this token in: ask again after its refundAfter', { retry: true })
  }
  const registry = bank.registry()
  const hashes = checkOutputs(suite, registry, bank.bank.publicKey, bank.unit, outputs)
  checkOutputDates(registry, outputs, time)
  if (total(outputs) !== amount) throw new MixmintError('wrong-sum', 'peer', 'the outputs do not add up to exactly the amount of the token')

  const signatures = yield * signOutputs(outputs)
  const clash = yield * commit([
    insert('deposit', depositAt(serial), encode(Deposited, { token: hash, time })),
    insert('deposit', refundedAt(serial), encode(Refunded, { request, signatures })),
    ...outputSteps(hashes, hash),
    journalStep(time, serial, { kind: 'refund', amount, issued: parts(outputs), redeemed: [] })
  ])
  if (clash === null) return { is: 'signatures', signatures }
  if (clash.clash === 'output') throw outputUsed()
  const meanwhile = yield * answered(serial, request)
  if (meanwhile === null) throw new MixmintError('internal', 'us', 'a token clashed that is neither deposited nor refunded')
  return meanwhile
}

/** The answer given to this very request, or null while nobody has had the money. @throws token-spent (peer) */
function * answered (serial: Uint8Array, request: Uint8Array): Saga<BankReply | null> {
  if ((yield * get(depositAt(serial))) === null) return null
  const value = yield * get(refundedAt(serial))
  const refunded = value === null ? null : stored(Refunded, value)
  if (refunded === null || !equal(refunded.request, request)) throw new MixmintError('token-spent', 'peer', 'the token was turned in, or refunded to other coins, before')
  return { is: 'signatures', signatures: refunded.signatures }
}
