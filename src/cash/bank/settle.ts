/** Settlement: certified coins become what their contract says, all of it in one batch (DESIGN §5.5). */
import { encode } from '../../kit/codec.ts'
import { equal } from '../../kit/bytes.ts'
import { isMixmintError, MixmintError } from '../../kit/errors.ts'
import { get, type Saga } from '../../kit/saga.ts'
import { settleMessage } from '../bank-requests.ts'
import { coinId } from '../coin.ts'
import { checkContract, checkContractDates, checkLastingDates, coinOutputs, contractId, signOutcome, total, worth } from '../contract.ts'
import type { Contract, Input, SignedToken } from '../formats.ts'
import type { BankReply, BankRequest, Settlement } from '../messages.ts'
import type { Registry } from '../registry.ts'
import { tokenHash } from '../token.ts'
import { certificateStep } from './accusations.ts'
import { decide, decisionOn, mustBeDecided } from './decision.ts'
import { areCertified, checkInput, judge, markSpent } from './inputs.ts'
import { tokenFor } from './issue-token.ts'
import type { Movement } from './ledger.ts'
import { mustBeKnown } from './loss.ts'
import { invoiceAt, spentAt, tokenAt } from './keys.ts'
import { checkOurs, creditStep, journalStep, outputSteps, outputUsed, parts, signOutputs, type Bank, type BankEffect } from './parts.ts'
import { IssuedToken, Spent } from './records.ts'
import { checkSealedKeys, sealedAmount, sealedKeysOf } from './sealed.ts'
import { insert, type Step } from './steps.ts'

type SettleRequest = BankRequest & { op: 'settle' }

/**
 * Results in the settlement, the same to every retry, whichever coins it shows; or in `short`, with how each input
 * stands, when not all of them are certified, unspent and fit for this contract: then nothing was taken.
 * @throws contract-void, closed-after-loss, wrong-network, wrong-bank, wrong-unit, not-the-payee, wrong-sum, invoice-settled, output-used,
 *   and those of checkContract, checkContractDates, tokenFor, checkSealedKeys (peer)
 */
export function * settle (bank: Bank, request: SettleRequest): Saga<BankReply, BankEffect> {
  const { contract, inputs } = request
  const id = contractId(bank.suite, contract)
  const before = yield * decisionOn(id)
  if (before !== null) return answer(before)

  checkOurs(bank, contract)
  const registry = bank.registry()
  const hashes = checkContract(bank.suite, registry, contract, bank.sealedKeys)
  /** What is checked as coins to be. */
  const ordinary: Contract = { ...contract, outputs: coinOutputs(contract, bank.sealedKeys) }
  checkPayee(bank, id, request)
  yield * mustBeKnown(bank, { inputs, of: ordinary.outputs })
  const sealed = sealedKeysOf(bank, contract)
  for (const { keys: { day } } of sealed) yield * mustBeKnown(bank, { day })
  if (total(inputs.map(input => input.spend.coin)) !== worth(contract)) {
    throw new MixmintError('wrong-sum', 'peer', 'the coins do not add up to exactly what the contract is worth')
  }
  const asked = yield * bank.clock.now()
  checkLastingDates(registry, ordinary, asked)
  checkSealedKeys(bank, registry, sealed, asked)
  const token = tokenFor(bank, registry, contract, id, asked)
  if (contract.kind === 'pay') yield * checkInvoice(contract, id)

  const faults = yield * markSpent(bank, inputs, yield * inputFaults(bank, registry, id, request, asked))
  if (faults.includes('coin-spent')) {
    // Perhaps by this very contract, since it was looked for.
    const meanwhile = yield * decisionOn(id)
    if (meanwhile !== null) return answer(meanwhile)
  }
  checkPassingDates(bank, registry, ordinary, inputs.filter((_, i) => faults[i] === ''), asked)
  const { states, inputs: certified } = yield * judge(bank, registry, inputs, faults)
  if (states.some(state => state.state !== 'certified')) return { is: 'short', inputs: states }

  // The keepers may have taken their time.
  const time = yield * bank.clock.now()
  const settlement: Settlement = {
    outcome: signOutcome(bank.suite, bank.bank, { contract: id, state: 'settled', time }),
    signatures: yield * signOutputs(contract.outputs),
    token
  }
  const steps = movement(bank, contract, id, certified, hashes, settlement)
  const credits = contract.kind === 'pay' ? [{ account: contract.payee, step: (was: Uint8Array | null) => creditStep(contract.payee, was, contract.amount) }] : []
  const moved: Movement = {
    kind: contract.kind, amount: contract.amount + sealedAmount(bank, contract), issued: parts(ordinary.outputs), redeemed: parts(inputs.map(input => input.spend.coin))
  }
  for (;;) {
    const clash = yield * bank.chains.commit(credits, credit => [...steps, ...credit, journalStep(time, id, moved, credit[0])])
    if (clash === null) return answer(settlement)
    switch (clash.clash) {
      case 'account': break
      case 'contract': return answer(yield * mustBeDecided(id))
      case 'invoice': throw invoiceSettled()
      case 'output': throw outputUsed()
      case 'coin': return { is: 'short', inputs: (yield * judge(bank, registry, certified, yield * markSpent(bank, inputs, faults))).states }
      default: throw new MixmintError('internal', 'us', `a settlement clashed on its ${clash.clash}`)
    }
  }
}

function answer (decision: Settlement): BankReply {
  if (decision.outcome.outcome.state === 'void') {
    throw new MixmintError('contract-void', 'peer', 'the contract was voided by the owner of its coins; ask for its outcome to have the bank\'s word on that')
  }
  return { is: 'settlement', ...decision }
}

function checkPayee (bank: Bank, id: Uint8Array, { contract, payeeSignature }: SettleRequest): void {
  const right = contract.kind === 'pay'
    ? payeeSignature.length === 64 && bank.suite.ed25519Verify(contract.payee, settleMessage(id), payeeSignature)
    : payeeSignature.length === 0
  if (!right) throw new MixmintError('not-the-payee', 'peer', 'a payment is settled on its payee\'s signature, and anything else without one')
}

function * checkInvoice (contract: Contract, id: Uint8Array): Saga<void> {
  const settled = yield * get(invoiceAt(contract.invoice))
  if (settled !== null && !equal(settled, id)) throw invoiceSettled()
}

function invoiceSettled (): MixmintError {
  return new MixmintError('invoice-settled', 'peer', 'the invoice was paid by another contract; the coins of this one can be reclaimed when it is void')
}

/** What is wrong with each input by itself, as a code, or ''. */
function * inputFaults (bank: Bank, registry: Registry, id: Uint8Array, { contract, inputs }: SettleRequest, now: number): Saga<string[]> {
  const { voidGrace, margin } = registry.parameters
  const faults: string[] = []
  for (const input of inputs) {
    try {
      const { keyset } = yield * checkInput(bank, registry, id, input, now)
      faults.push(contract.settleBy + voidGrace + margin < keyset.redeemUntil ? '' : 'keyset-ends-too-soon')
    } catch (error) {
      if (!isMixmintError(error) || error.fault !== 'peer') throw error
      faults.push(error.code)
    }
  }
  return faults
}

/** A certified contract is served whenever it comes; votes are gathered only for one that could still be made today. */
function checkPassingDates (bank: Bank, registry: Registry, contract: Contract, inputs: readonly Input[], now: number): void {
  try {
    checkContractDates(registry, contract, now)
  } catch (late) {
    if (!areCertified(bank, registry, inputs)) throw late
  }
}

/** All that changes when the contract settles, but for the payee's account and the journal. D comes first: its clash says who won. */
function movement (bank: Bank, contract: Contract, id: Uint8Array, inputs: readonly Input[], outputs: readonly Uint8Array[], settlement: Settlement): Step[] {
  const { suite } = bank
  const spent = encode(Spent, { by: 'settle', contract: id })
  return [
    decide(id, settlement),
    ...(contract.kind === 'pay' ? [insert('invoice', invoiceAt(contract.invoice), id)] : []),
    ...inputs.flatMap(input => [insert('coin', spentAt(coinId(suite, input.spend.coin)), spent), certificateStep(bank, input)]),
    ...outputSteps(outputs, settlement.signatures, id),
    ...(settlement.token === null ? [] : [issuedStep(bank, settlement.token, id)])
  ]
}

function issuedStep (bank: Bank, { token }: SignedToken, id: Uint8Array): Step {
  return insert('token', tokenAt(token.serial), encode(IssuedToken, { token: tokenHash(bank.suite, token), contract: id }))
}
