/** Accounts as their owners see them: balance and withdrawals (DESIGN §4). What the operator does: operator.ts. */
import { encode } from '../../kit/codec.ts'
import { isMixmintError, MixmintError } from '../../kit/errors.ts'
import { get, type Saga } from '../../kit/saga.ts'
import { balanceMessage, withdrawMessage } from '../bank-requests.ts'
import { checkOutputDates, checkOutputs, total, withdrawalId } from '../contract.ts'
import type { BankReply, BankRequest } from '../messages.ts'
import { stored } from '../stored.ts'
import { mustBeKnown } from './loss.ts'
import { accountAt, withdrawalAt } from './keys.ts'
import { balanceOf, checkOurs, debitStep, journalStep, outputSteps, outputUsed, parts, signOutputs, type Bank, type BankEffect } from './parts.ts'
import { Signatures } from './records.ts'
import { mustBeOpen, standingStep } from './standing.ts'
import { insert, type AccountStep, type Step } from './steps.ts'

/** @throws bad-account-signature, stale-request (peer) */
export function * balance (bank: Bank, { account, time, signature }: BankRequest & { op: 'balance' }): Saga<BankReply> {
  if (!bank.suite.ed25519Verify(account, balanceMessage(account, time), signature)) throw notTheAccount()
  const now = yield * bank.clock.now()
  if (Math.abs(now - time) > bank.registry().parameters.clockSkew) {
    throw new MixmintError('stale-request', 'peer', 'the time in the request is not now: set the clock, and sign anew')
  }
  return { is: 'balance', unit: bank.unit, balance: yield * balanceOf(account) }
}

/**
 * Debit and answer in one batch; the same answer to every retry, forever.
 * @throws bad-account-signature, wrong-network, wrong-bank, wrong-unit, keyset-not-issuing, account-frozen, account-closed, closed-after-loss,
 *   insufficient-funds, output-used, and those of checkOutputs (peer)
 */
export function * withdraw (bank: Bank, { withdrawal, signature }: BankRequest & { op: 'withdraw' }): Saga<BankReply, BankEffect> {
  const { suite } = bank
  const { account, outputs } = withdrawal
  const id = withdrawalId(suite, withdrawal)
  if (!suite.ed25519Verify(account, withdrawMessage(id), signature)) throw notTheAccount()
  const before = yield * answered(id)
  if (before !== null) return before

  checkOurs(bank, withdrawal)
  const registry = bank.registry()
  const hashes = checkOutputs(suite, registry, bank.bank.publicKey, bank.unit, outputs)
  yield * mustBeKnown(bank, { of: outputs })
  const time = yield * bank.clock.now()
  checkOutputDates(registry, outputs, time)
  const amount = total(outputs)
  let signatures: Uint8Array[] | undefined
  for (;;) {
    // The account before the answer: if another ask of the same withdrawal emptied it, its answer is there too.
    const was = yield * get(accountAt(account))
    const meanwhile = yield * answered(id)
    if (meanwhile !== null) return meanwhile
    const standing = yield * mustBeOpen(account)
    // What it cannot pay for is not signed.
    debitStep(account, was, amount)
    const made = signatures ??= yield * signOutputs(outputs)
    const steps = ([debit]: readonly AccountStep[]): Step[] => [
      insert('withdrawal', withdrawalAt(id), encode(Signatures, { signatures: made })),
      debit,
      standingStep(account, standing),
      ...outputSteps(hashes, made, id),
      journalStep(time, id, { kind: 'withdraw', amount, issued: parts(outputs), redeemed: [] }, debit)
    ]
    let clash: Step | null
    try {
      clash = yield * bank.chains.commit([{ account, step: now => debitStep(account, now, amount) }], steps)
    } catch (error) {
      // Emptied since: perhaps by another ask of this withdrawal, whose answer is found now, as the account was read before.
      if (isMixmintError(error, 'insufficient-funds')) continue
      throw error
    }
    if (clash === null) return { is: 'signatures', signatures }
    if (clash.clash === 'output') throw outputUsed()
  }
}

function * answered (id: Uint8Array): Saga<BankReply | null> {
  const value = yield * get(withdrawalAt(id))
  return value === null ? null : { is: 'signatures', ...stored(Signatures, value) }
}

function notTheAccount (): MixmintError {
  return new MixmintError('bad-account-signature', 'peer', 'the request is not signed by the account\'s key')
}
