/** The wallet's account at the bank: its balance, and withdrawing coins from it. Asked directly: it says who asks. */
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Op } from '../../kit/ports.ts'
import { batch, now, scanAll, type Saga } from '../../kit/saga.ts'
import { balanceMessage, withdrawMessage } from '../bank-requests.ts'
import { withdrawalId } from '../contract.ts'
import { accountKey, contractNonce } from '../derive.ts'
import type { Withdrawal } from '../formats.ts'
import type { BankReply, BankRequest } from '../messages.ts'
import { announceByAccount } from './generations.ts'
import { doneAt, DOUBTS, doubtAt, numberIn, RESTORING } from './keys.ts'
import { finish, operation, start, type Begun } from './operations.ts'
import { hasIssued, issuingKeyset, makeOutputs, reserve, unblind, valuesOf, type Fresh } from './outputs.ts'
import { askBank, badReply, Unanswered, type Wallet, type WalletEffect } from './parts.ts'
import { putIn } from './purse.ts'
import { Operation, type WithdrawOperation } from './records.ts'
import { Restoring, restoring } from './restore-state.ts'
import { makeRoom, room } from './room.ts'
import { split } from './selection.ts'

/** The name of the account: a key that derives from the seed. The operator credits it. */
export function accountOf ({ suite, seed, bank, unit }: Wallet): Uint8Array {
  return accountKey(suite, seed, bank, unit).publicKey
}

type Answer = Exclude<BankReply, { is: 'refused' }>

/** What the account holds. */
export function * accountBalance (wallet: Wallet): Saga<number, WalletEffect> {
  const { suite, seed, bank, unit } = wallet
  const key = accountKey(suite, seed, bank, unit)
  const time = yield * now()
  const reply = yield * askBank('direct', { op: 'balance', account: key.publicKey, time, signature: suite.ed25519Sign(key, balanceMessage(key.publicKey, time)) })
  if (reply.is !== 'balance' || reply.unit !== unit) throw badReply('bank')
  return reply.balance
}

/** @throws bad-argument, unpayable-amount, too-many-coins (caller), no-keyset (peer), and those of makeRoom and sendWithdrawal */
export function * withdraw (wallet: Wallet, amount: number): Saga<Begun<WithdrawOperation>, WalletEffect> {
  if (!Number.isSafeInteger(amount) || amount < 1) throw new MixmintError('bad-argument', 'caller', 'a whole amount above zero wanted, in the smallest coin')
  const { suite, seed, network, bank, unit } = wallet
  yield * announceFirst(wallet)
  if ((yield * room()) < 1) {
    // Many were refused: another is not begun in vain.
    const balance = yield * accountBalance(wallet)
    if (balance < amount) throw new MixmintError('insufficient-funds', 'caller', `the account holds ${balance}`)
    yield * makeRoom(wallet, 1)
  }
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
  let reply: Answer
  try {
    reply = yield * askBank('direct', request(wallet, begun.record))
  } catch (error) {
    // Only where the bank finds fault with us is it certain that it has not debited.
    if (isRefusal(error)) yield * finish(begun, { ...begun.record, state: 'refused', code: error.code }, doubt(begun.sequence, error))
    throw error
  }
  const fresh = signed(wallet, begun.record, reply)
  return yield * finish(begun, { ...begun.record, state: 'done' }, yield * putIn(wallet, fresh))
}

function request (wallet: Wallet, { withdrawal }: WithdrawOperation): BankRequest {
  const { suite, seed, bank, unit } = wallet
  return { op: 'withdraw', withdrawal, signature: suite.ed25519Sign(accountKey(suite, seed, bank, unit), withdrawMessage(withdrawalId(suite, withdrawal))) }
}

/** The coins of an answer. @throws bad-reply, and those of unblind (peer) */
function signed (wallet: Wallet, { withdrawal, places }: WithdrawOperation, reply: Answer): Fresh[] {
  if (reply.is !== 'signatures') throw badReply('bank')
  return unblind(wallet, withdrawal.outputs, places, reply.signatures)
}

function isRefusal (error: unknown): error is MixmintError {
  return error instanceof MixmintError && !(error instanceof Unanswered) && error.fault === 'caller' && !error.retry
}

/**
 * The step that remembers that a withdrawal, though refused, may come true: a copy of it that was held up on its way could
 * arrive when the account holds more, or the bank has heard of the keyset.
 */
function doubt (sequence: number, error: MixmintError): Op[] {
  return PASSING.includes(error.code) ? [{ op: 'put', key: doubtAt(sequence), value: Uint8Array.of(1) }] : []
}

const PASSING: readonly string[] = ['insufficient-funds', 'unknown-keyset']

/** The withdrawals that were refused, may have come true since, and can be asked for again without that. */
export function * doubtful (wallet: Wallet): Saga<Array<Begun<WithdrawOperation>>> {
  const time = yield * now()
  const found: Array<Begun<WithdrawOperation>> = []
  for (const { key } of yield * scanAll(DOUBTS)) {
    const begun = yield * operation(numberIn(key))
    const { record } = begun
    // From then on asking again cannot make the bank debit.
    if (record.kind === 'withdraw' && record.withdrawal.outputs.every(({ keyset }) => hasIssued(wallet, keyset, time))) found.push({ ...begun, record })
  }
  return found
}

/** Ask once more for a refused withdrawal: the bank repeats what it said, or refuses for good. @throws whatever leaves it in doubt */
export function * resolveDoubt (wallet: Wallet, { sequence, record, bytes }: Begun<WithdrawOperation>): Saga<void, WalletEffect> {
  const over: Op = { op: 'delete', key: doubtAt(sequence) }
  let fresh: Fresh[]
  try {
    fresh = signed(wallet, record, yield * askBank('direct', request(wallet, record)))
  } catch (error) {
    if (isRefusal(error)) yield * batch([over])
    else throw error
    return
  }
  const done = encode<Operation>(Operation, { ...record, state: 'done', code: '' })
  yield * batch([{ op: 'swap', key: doneAt(sequence), was: bytes, value: done }, ...yield * putIn(wallet, fresh), over])
}
