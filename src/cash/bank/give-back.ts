/**
 * Giving money back as fresh coins: for a coin that its contract left over (reclaim.ts), a coin without a certificate
 * (refund-coin.ts), a token that nobody turned in (refund.ts). They end alike: one insert decides between the owner and whoever else
 * has a right to the money, and the answer is part of that batch.
 */
import { equal } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import { get, type Saga } from '../../kit/saga.ts'
import { checkOutputDates, checkOutputs, total } from '../contract.ts'
import type { Output } from '../formats.ts'
import type { BankReply } from '../messages.ts'
import type { Registry } from '../registry.ts'
import { stored } from '../stored.ts'
import type { Movement } from './ledger.ts'
import { journalStep, outputSteps, outputUsed, parts, signOutputs, type Bank, type BankEffect } from './parts.ts'
import { GivenBack } from './records.ts'
import { commit, insert, type Step } from './steps.ts'

export interface Claim {
  /** The coin's or token's place in the table of what is gone: whoever inserts it has the money. */
  readonly goneAt: Uint8Array
  readonly answerAt: Uint8Array
  /** H(what the owner signed): names this very request. */
  readonly request: Uint8Array
  /** What is said to another request for what is gone. */
  readonly gone: () => MixmintError
}

/** The answer given to this very request, or null while nobody has had the money. @throws `gone` */
export function * givenBack ({ goneAt, answerAt, request, gone }: Claim): Saga<BankReply | null> {
  if ((yield * get(goneAt)) === null) return null
  const value = yield * get(answerAt)
  const before = value === null ? null : stored(GivenBack, value)
  if (before === null || !equal(before.request, request)) throw gone()
  return { is: 'signatures', signatures: before.signatures }
}

/**
 * @returns the hash of each output
 * @throws wrong-sum, and those of checkOutputs, checkOutputDates (peer)
 */
export function checkFresh (bank: Bank, registry: Registry, outputs: readonly Output[], worth: number, now: number): Uint8Array[] {
  const hashes = checkOutputs(bank.suite, registry, bank.bank.publicKey, bank.unit, outputs)
  checkOutputDates(registry, outputs, now)
  if (total(outputs) !== worth) throw new MixmintError('wrong-sum', 'peer', 'the outputs do not add up to exactly what comes back')
  return hashes
}

export interface Return {
  readonly clash: Step['clash']
  /** What stands at `goneAt` from now on. */
  readonly value: Uint8Array
  /** Whatever else is written with it. */
  readonly more?: readonly Step[]
  /** The movement, for the outputs and for the journal. */
  readonly ids: { readonly outputs: Uint8Array, readonly journal: Uint8Array }
  readonly entry: Omit<Movement, 'issued'>
  readonly time: number
}

/** @param hashes of the outputs @throws output-used (peer), and `gone` where somebody came first */
export function * giveBack (claim: Claim, outputs: readonly Output[], hashes: readonly Uint8Array[], { clash, value, more = [], ids, entry, time }: Return): Saga<BankReply, BankEffect> {
  const signatures = yield * signOutputs(outputs)
  const failed = yield * commit([
    insert(clash, claim.goneAt, value),
    ...more,
    insert(clash, claim.answerAt, encode(GivenBack, { request: claim.request, signatures })),
    ...outputSteps(hashes, signatures, ids.outputs),
    journalStep(time, ids.journal, { ...entry, issued: parts(outputs) })
  ])
  if (failed === null) return { is: 'signatures', signatures }
  if (failed.clash === 'output') throw outputUsed()
  const meanwhile = yield * givenBack(claim)
  if (meanwhile === null) throw new MixmintError('internal', 'us', `a ${clash} clashed that is not gone`)
  return meanwhile
}
