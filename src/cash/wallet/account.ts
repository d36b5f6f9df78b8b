/** The wallet's account at the bank: its balance, and withdrawing coins from it. Asked directly: it says who asks. */
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import { batch, now, type Saga } from '../../kit/saga.ts'
import { balanceMessage, withdrawMessage } from '../bank-requests.ts'
import { withdrawalId } from '../contract.ts'
import { accountKey, contractNonce } from '../derive.ts'
import type { Withdrawal } from '../formats.ts'
import type { BankReply } from '../messages.ts'
import { announceByAccount } from './generations.ts'
import { RESTORING } from './keys.ts'
import { finish, start, type Begun } from './operations.ts'
import { issuingKeyset, makeOutputs, reserve, unblind, valuesOf } from './outputs.ts'
import { askBank, badReply, Unanswered, type Wallet, type WalletEffect } from './parts.ts'
import { putIn } from './purse.ts'
import type { WithdrawOperation } from './records.ts'
import { Restoring, restoring } from './restore-state.ts'
import { split } from './selection.ts'

/** The name of the account: a key that derives from the seed. The operator credits it. */
export function accountOf ({ suite, seed, bank, unit }: Wallet): Uint8Array {
  return accountKey(suite, seed, bank, unit).publicKey
}

/** What the account holds. */
export function * accountBalance (wallet: Wallet): Saga<number, WalletEffect> {
  const { suite, seed, bank, unit } = wallet
  const key = accountKey(suite, seed, bank, unit)
  const time = yield * now()
  const reply = yield * askBank('direct', { op: 'balance', account: key.publicKey, time, signature: suite.ed25519Sign(key, balanceMessage(key.publicKey, time)) })
  if (reply.is !== 'balance' || reply.unit !== unit) throw badReply('bank')
  return reply.balance
}

/** @throws bad-argument, unpayable-amount, too-many-coins (caller), no-keyset (peer), and those of sendWithdrawal */
export function * withdraw (wallet: Wallet, amount: number): Saga<Begun<WithdrawOperation>, WalletEffect> {
  if (!Number.isSafeInteger(amount) || amount < 1) throw new MixmintError('bad-argument', 'caller', 'a whole amount above zero wanted, in the smallest coin')
  const { suite, seed, network, bank, unit } = wallet
  yield * announceFirst(wallet)
  const started = yield * now()
  const known = issuingKeyset(wallet, started)
  const values = split(amount, valuesOf(known))
  const { sequence, generation, places } = yield * reserve(values)
  const withdrawal: Withdrawal = {
    network, bank, account: accountOf(wallet), unit, nonce: contractNonce(suite, seed, generation, sequence),
    outputs: makeOutputs(wallet, known, values, places)
  }
  const { begun, op } = start<WithdrawOperation>(sequence, { kind: 'withdraw', started, state: 'open', code: '', withdrawal, places })
  if (!(yield * batch([op])).done) throw new MixmintError('internal', 'us', 'a reserved operation number is in use')
  return yield * sendWithdrawal(wallet, begun)
}

/** A restored wallet that had no coin to announce its generation with does it by its account, before its first coins. */
function * announceFirst (wallet: Wallet): Saga<void, WalletEffect> {
  const state = yield * restoring()
  if (state === null || state.announced) return
  yield * announceByAccount(wallet, state.generation)
  yield * batch([{ op: 'swap', key: RESTORING, was: encode(Restoring, state), value: encode(Restoring, { ...state, announced: true }) }])
}

/**
 * Send it, for the first time or again: the bank debits once and answers every time alike.
 * @throws insufficient-funds and the bank's other refusals, which end the operation; whatever leaves it open
 */
export function * sendWithdrawal (wallet: Wallet, begun: Begun<WithdrawOperation>): Saga<Begun<WithdrawOperation>, WalletEffect> {
  const { suite, seed, bank, unit } = wallet
  const { withdrawal, places } = begun.record
  const signature = suite.ed25519Sign(accountKey(suite, seed, bank, unit), withdrawMessage(withdrawalId(suite, withdrawal)))
  let reply: Exclude<BankReply, { is: 'refused' }>
  try {
    reply = yield * askBank('direct', { op: 'withdraw', withdrawal, signature })
  } catch (error) {
    // Only where the bank finds fault with us is it certain that it has not debited, and never will.
    if (error instanceof MixmintError && !(error instanceof Unanswered) && error.fault === 'caller' && !error.retry) {
      yield * finish(begun, { ...begun.record, state: 'refused', code: error.code }, [])
    }
    throw error
  }
  if (reply.is !== 'signatures') throw badReply('bank')
  const fresh = unblind(wallet, withdrawal.outputs, places, reply.signatures)
  return yield * finish(begun, { ...begun.record, state: 'done' }, putIn(wallet, fresh))
}
