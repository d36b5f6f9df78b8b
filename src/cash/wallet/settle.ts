/**
 * Carrying a contract out: the bank settles tokens and exchanges, the merchant collects payments. Coins that find no
 * certificate are replaced by others, signed to the same contract (substitution, DESIGN §5).
 */
import { equal, NONE } from '../../kit/bytes.ts'
import { isMixmintError, MixmintError } from '../../kit/errors.ts'
import { batch, now, type Saga } from '../../kit/saga.ts'
import { coinId } from '../coin.ts'
import { contractId, invoiceHash, total } from '../contract.ts'
import { MAX_INPUTS, type Contract, type SignedInvoice, type SignedPaid } from '../formats.ts'
import type { BankReply, InputState } from '../messages.ts'
import { verifyDoubleSpend } from '../spend.ts'
import { verifyPaid } from '../token.ts'
import { notClaimed } from './claims.ts'
import { askOutcome, conclude } from './conclude.ts'
import { ensureFiled, spentElsewhere } from './copies.ts'
import { activeInputs, begin, latestSettleBy } from './contracts.ts'
import { busy, isOpen, rewrite, type Begun } from './operations.ts'
import { issuingKeyset, valuesOf } from './outputs.ts'
import { askBank, askMerchant, badReply, type Wallet, type WalletEffect } from './parts.ts'
import { isUsable, lock, ownCoins, promise, type Kept } from './purse.ts'
import { ROUNDS, type ContractOperation, type Promised } from './records.ts'
import { exactly, fewest, select } from './selection.ts'

type Contracted = Begun<ContractOperation>

/**
 * A token or an exchange, at the bank. Results in the ended operation.
 * @throws coins-unavailable, double-spend, the bank's refusal, and those of conclude; the operation stays open
 */
export function * settleWithBank (wallet: Wallet, begun: Contracted): Saga<Contracted, WalletEffect> {
  let open = begun
  for (let round = 0; ; round++) {
    open = yield * ensureFiled(wallet, open)
    let reply: Exclude<BankReply, { is: 'refused' }>
    try {
      reply = yield * askBank('mixnet', { op: 'settle', contract: open.record.contract, inputs: activeInputs(open), payeeSignature: NONE })
    } catch (error) {
      if (isMixmintError(error, 'contract-void')) return yield * askOutcome(wallet, open)
      throw error
    }
    if (reply.is === 'settlement') return yield * conclude(wallet, open, reply)
    if (reply.is !== 'short') throw badReply('bank')
    if (open.record.claim.length > 0) return yield * notClaimed(wallet, open, reply.inputs)
    open = yield * substitute(wallet, open, reply.inputs, round)
  }
}

/**
 * A payment, brought to its payee. Results in the operation with the payee's receipt: ended if the bank has settled,
 * else open until its outcome is asked for.
 * @throws coins-unavailable, double-spend, bad-receipt, the payee's refusal; the operation stays open
 */
export function * collect (wallet: Wallet, begun: Contracted): Saga<Contracted, WalletEffect> {
  let open = begun
  for (let round = 0; ; round++) {
    open = yield * ensureFiled(wallet, open)
    const { contract } = open.record
    const reply = yield * askMerchant(contract.payee, { op: 'pay', contract, inputs: activeInputs(open) })
    if (reply.is === 'paid') {
      open = yield * keepReceipt(wallet, open, reply.signed)
      return reply.settlement === null ? open : yield * concludeFrom(wallet, open, reply.settlement)
    }
    if (reply.is !== 'short') throw badReply('merchant')
    open = yield * substitute(wallet, open, reply.inputs, round)
  }
}

/** The bank's answer as a merchant hands it on: if it is not good, the payment stands, and the bank itself is asked later. */
function * concludeFrom (wallet: Wallet, open: Contracted, settlement: Parameters<typeof conclude>[2]): Saga<Contracted> {
  try {
    return yield * conclude(wallet, open, settlement)
  } catch (error) {
    if (!(error instanceof MixmintError) || error.fault !== 'peer') throw error
    wallet.meter.count('wallet_bad_settlement', { code: error.code })
    return open
  }
}

/** @throws bad-receipt (peer): a payee that says paid without its valid signature is not believed */
export function checkReceipt (wallet: Wallet, { invoice }: SignedInvoice, how: SignedPaid['paid']['how'], signed: SignedPaid): void {
  verifyPaid(wallet.suite, invoice.payee, signed)
  if (signed.paid.how !== how || !equal(signed.paid.invoice, invoiceHash(wallet.suite, invoice))) {
    throw new MixmintError('bad-receipt', 'peer', 'the payee\'s receipt is for another order or another way of paying')
  }
}

function * keepReceipt (wallet: Wallet, open: Contracted, paid: SignedPaid): Saga<Contracted> {
  checkReceipt(wallet, open.record.invoice as SignedInvoice, 'coins', paid)
  if (open.record.paid !== null) return open
  const { begun, op } = rewrite(open, { ...open.record, paid })
  if (!(yield * batch([op])).done) throw busy()
  return begun
}

/**
 * Sign other coins of the same sum to the same contract, in place of those that have no certificate; exchange for the
 * right sizes first where they are missing. What becomes of the first ones later, they are not paid twice.
 */
function * substitute (wallet: Wallet, open: Contracted, states: readonly InputState[], round: number): Saga<Contracted, WalletEffect> {
  const { contract, coins } = open.record
  const missing = coins.filter(promised => promised.active && stateOf(wallet, promised, states)?.state !== 'certified')
  if (missing.length === 0) throw badReply(contract.kind === 'pay' ? 'merchant' : 'bank')
  for (const promised of missing) checkNotSpentElsewhere(wallet, contract.kind, promised, stateOf(wallet, promised, states))
  const sum = total(missing.map(({ input }) => input.spend.coin))
  const kept = coins.filter(({ active }) => active).length - missing.length
  if (round + 1 >= ROUNDS) throw unavailable(missing.length, sum)

  for (let exchanges = 0; ;) {
    const time = yield * now()
    const usable = (yield * ownCoins()).filter(coin => isUsable(wallet, coin, time, contract.settleBy))
    const others = exactly(usable, sum)
    if (others !== null && kept + others.length <= MAX_INPUTS && coins.length + others.length <= ROUNDS * MAX_INPUTS) {
      const replaced = yield * replace(wallet, open, missing, others)
      if (replaced !== null) return replaced
      continue
    }
    if (exchanges++ >= ROUNDS || contract.kind === 'exchange' || select(usable, sum) === null) throw unavailable(missing.length, sum)
    try {
      yield * exchange(wallet, fewest(sum, valuesOf(issuingKeyset(wallet, time, latestSettleBy(wallet, time)))))
    } catch (error) {
      // Its coins find no certificate either; they are locked now, and there may be others.
      if (!isMixmintError(error, 'coins-unavailable')) throw error
    }
  }
}

/** Results in null when one of the other coins was taken meanwhile. */
function * replace (wallet: Wallet, open: Contracted, missing: readonly Promised[], others: readonly Kept[]): Saga<Contracted | null> {
  const { contract, coins } = open.record
  const id = contractId(wallet.suite, contract)
  // The next copy, with all of them, is filed under the first of the others: what was sent before, the bank may have kept.
  const { begun, op } = rewrite(open, {
    ...open.record,
    filed: coins.length,
    coins: [...coins.map(promised => missing.includes(promised) ? { ...promised, active: false } : promised), ...others.map(coin => promise(wallet, coin, id))]
  })
  const result = yield * batch([op, ...lock(others, 'promised', open.sequence)])
  if (!result.done) {
    if (result.at === 0) throw busy()
    return null
  }
  wallet.meter.count('wallet_substituted', {}, missing.length)
  return begun
}

function stateOf (wallet: Wallet, { input }: Promised, states: readonly InputState[]): InputState | undefined {
  const id = coinId(wallet.suite, input.spend.coin)
  return states.find(({ coin }) => equal(coin, id))
}

/**
 * A coin of ours that was spent for something else: whoever did it has our seed. Then going on with other coins would
 * only use their counters twice. A merchant's accusation counts with a proof that verifies; the bank's word is enough, it
 * could refuse the coin for ever in any case.
 */
function checkNotSpentElsewhere (wallet: Wallet, kind: Contract['kind'], { input: { spend } }: Promised, state: InputState | undefined): void {
  if (kind !== 'pay' && state?.code === 'coin-spent') throw spentElsewhere()
  if (state?.state !== 'conflict' || state.first === null) return
  try {
    verifyDoubleSpend(wallet.suite, wallet.registry().keyset(spend.coin.keyset), { first: state.first, second: spend })
  } catch (error) {
    if (error instanceof MixmintError) return
    throw error
  }
  throw spentElsewhere()
}

function unavailable (coins: number, sum: number): MixmintError {
  return new MixmintError('coins-unavailable', 'peer', `${coins} of the coins, worth ${sum}, have no certificate, because too few of their keepers answer, and the wallet has no others to put in their place; nothing is lost: try \`recover\` when the keepers are back`, { retry: true })
}

/**
 * Make coins of these values out of others, over the mixnet.
 * @throws those of begin and settleWithBank
 */
export function * exchange (wallet: Wallet, values: readonly number[]): Saga<Contracted, WalletEffect> {
  const settleBy = latestSettleBy(wallet, yield * now())
  const begun = yield * begin(wallet, { kind: 'exchange', payee: NONE, amount: 0, settleBy, values, invoice: null, terms: null })
  return yield * settleWithBank(wallet, begun)
}

/** Is the payment through: has its payee signed for it, or the bank settled it? */
export function isPaid (begun: Contracted): boolean {
  return begun.record.paid !== null || (!isOpen(begun) && begun.record.state === 'settled')
}
