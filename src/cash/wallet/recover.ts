/**
 * After a crash, or when somebody did not answer: what was begun is completed, exactly that, never another. The same
 * contract and the same spends are sent again; what the bank has decided is fetched; what is overdue is voided.
 */
import { isMixmintError, MixmintError } from '../../kit/errors.ts'
import { now, type Saga } from '../../kit/saga.ts'
import { coinId } from '../coin.ts'
import { contractId } from '../contract.ts'
import { voidMessage } from '../reclaim.ts'
import { askOutcome, conclude } from './conclude.ts'
import { ensureFiled } from './copies.ts'
import { isBereft } from './frozen.ts'
import { finish, isOpen, type Begun } from './operations.ts'
import { askBank, badReply, type Wallet, type WalletEffect } from './parts.ts'
import { isLapsed, keyOf } from './purse.ts'
import type { ContractOperation, Promised } from './records.ts'
import { collect, settleWithBank } from './settle.ts'

type Contracted = Begun<ContractOperation>

/**
 * Carry on with the contract of an operation. Results in the operation: ended, or open if nothing can be done before
 * somebody else acts.
 */
export function * resume (wallet: Wallet, begun: Contracted): Saga<Contracted, WalletEffect> {
  if (!isOpen(begun)) return begun
  const { contract, paid, claim } = begun.record
  if (claim.length > 0) return yield * resumeClaim(wallet, begun)
  if ((yield * now()) >= contract.settleBy + wallet.registry().parameters.voidGrace) return yield * endOverdue(wallet, begun)
  if (contract.kind !== 'pay') return yield * settleWithBank(wallet, begun)
  if (paid !== null) return yield * askOutcome(wallet, begun)
  try {
    return yield * collect(wallet, begun)
  } catch (error) {
    // Whatever the payee says or does not say: if it has settled, we have paid, and the change is ours.
    if (!(error instanceof MixmintError) || error.fault === 'operator' || error.fault === 'us') throw error
    if (isMixmintError(error, 'operation-busy')) throw error
    const after = yield * outcomeOr(wallet, begun, error)
    if (isOpen(after)) throw error
    return after
  }
}

/** A coin out of a bundle: however late, the bank is asked for it first, for it may say that somebody else has had it. */
function * resumeClaim (wallet: Wallet, begun: Contracted): Saga<Contracted, WalletEffect> {
  try {
    return yield * settleWithBank(wallet, begun)
  } catch (error) {
    const isLate = isMixmintError(error) && ['settle-by-past', 'keyset-not-issuing', 'keyset-ended'].includes(error.code)
    if (!isLate || (yield * now()) < begun.record.contract.settleBy + wallet.registry().parameters.voidGrace) throw error
    return yield * endOverdue(wallet, begun)
  }
}

/** The bank's word, or if it does not come either, the error that made us ask for it. */
function * outcomeOr (wallet: Wallet, begun: Contracted, error: MixmintError): Saga<Contracted, WalletEffect> {
  try {
    return yield * askOutcome(wallet, begun)
  } catch (second) {
    if (second instanceof MixmintError && second.retry) throw error
    throw second
  }
}

/**
 * From settleBy + grace on whoever comes first decides: if the payee has not settled, we void, with a coin whose certificates still
 * count. A contract whose coins were all refunded is over without the bank's word.
 */
function * endOverdue (wallet: Wallet, begun: Contracted): Saga<Contracted, WalletEffect> {
  // Looked up before the bank is asked: what is refunded then was not settled before.
  const bereft = yield * isBereft(wallet, begun.record)
  const asked = yield * askOutcome(wallet, begun)
  if (!isOpen(asked)) return asked
  if (bereft) return yield * finish(begun, { ...begun.record, state: 'void' }, [])
  const time = yield * now()
  const filed = yield * ensureFiled(wallet, begun)
  for (const promised of filed.record.coins) {
    if (isLapsed(wallet, promised.input.spend.coin, time)) continue
    const reply = yield * askBank('mixnet', yield * voidRequest(wallet, filed.record, promised))
    if (reply.is === 'outcome') return yield * conclude(wallet, filed, reply)
    if (reply.is !== 'short') throw badReply('bank')
  }
  throw new MixmintError('coins-unavailable', 'peer', 'the contract is overdue, but none of its coins finds a certificate to void it with, because too few of their keepers answer: try `recover` when they are back; when their time is over, it has them refunded', { retry: true })
}

function * voidRequest (wallet: Wallet, { contract }: ContractOperation, { input, place }: Promised): Saga<Parameters<typeof askBank>[1]> {
  const { suite } = wallet
  const { coin } = input.spend
  const key = yield * keyOf(wallet, { coin, place })
  return { op: 'void', contract, input, signature: suite.ed25519Sign(key, voidMessage(coinId(suite, coin), contractId(suite, contract))) }
}
