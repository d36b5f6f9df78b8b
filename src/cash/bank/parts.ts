/** What the operations of the bank share: its identity, its effects, and how a movement is written. */
import { toHex } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Meter } from '../../kit/ports.ts'
import { gather, get, type Saga } from '../../kit/saga.ts'
import type { Ed25519KeyPair, Suite } from '../../crypto/suite.ts'
import type { AskCenter } from '../certify.ts'
import { total, type SealedKeysOf } from '../contract.ts'
import type { Output } from '../formats.ts'
import type { Registry } from '../registry.ts'
import type { SteadyClock } from '../steady-clock.ts'
import { stored } from '../stored.ts'
import type { Chains } from './chains.ts'
import { accountAt, ALL_CREDITS, journalAt, outputAt } from './keys.ts'
import { postings, type AccountSide, type Movement } from './ledger.ts'
import { Account, AllCredits, JournalEntry, SignedOutput, type Part } from './records.ts'
import { insert, type AccountStep, type Step } from './steps.ts'

export interface BankOptions {
  readonly suite: Suite
  readonly network: string
  readonly bank: Ed25519KeyPair
  /** One engine and one store for each unit. */
  readonly unit: string
  /** What the directory says now. */
  readonly registry: () => Registry
  /** The private half of the token key that the directory lists for this day, while the bank has it. */
  readonly dayKey: (day: number) => Ed25519KeyPair | undefined
  /** The keys of sealed tokens of this hash, those too of days long past: what was bought under them may still be turned in. */
  readonly sealedKeys: SealedKeysOf
  readonly meter: Meter
}

export interface Bank extends BankOptions {
  readonly clock: SteadyClock
  readonly chains: Chains
}

/**
 * The effect: sign `blinded` with the private key of this keyset (or set of keys of sealed tokens) and value. Results in 256 bytes, verified by whoever
 * signs; throws a MixmintError (operator) where there is no such key.
 */
export interface BlindSign {
  readonly do: 'blind-sign'
  readonly keyset: Uint8Array
  readonly value: number
  readonly blinded: Uint8Array
}

export type BankEffect = AskCenter | BlindSign

/** Is this object of this network, bank and unit? @throws wrong-network, wrong-bank, wrong-unit (peer) */
export function checkOurs (bank: Bank, { network, bank: named, unit }: { network: string, bank: Uint8Array, unit: string }): void {
  if (network !== bank.network) throw new MixmintError('wrong-network', 'peer', 'this belongs to another network')
  if (toHex(named) !== toHex(bank.bank.publicKey)) throw new MixmintError('wrong-bank', 'peer', 'this belongs to another bank')
  if (unit !== bank.unit) throw new MixmintError('wrong-unit', 'peer', 'this is in another unit')
}

/** The blind signatures of these outputs, in their order. */
export function * signOutputs (outputs: readonly Output[]): Saga<Uint8Array[], BankEffect> {
  const results = yield * gather(outputs.map(output => signOutput(output)))
  return results.map(result => {
    if (result.state === 'done') return result.value
    throw result.state === 'failed' ? result.error : new MixmintError('internal', 'us', 'a signature was not waited for')
  })
}

function * signOutput ({ keyset, value, blinded }: Output): Saga<Uint8Array, BankEffect> {
  return yield { do: 'blind-sign', keyset, value, blinded }
}

/** One step for each output. @param hashes of the outputs @param signatures in the same order @param movement the id of what they belong to */
export function outputSteps (hashes: readonly Uint8Array[], signatures: readonly Uint8Array[], movement: Uint8Array): Step[] {
  return hashes.map((hash, i) => insert('output', outputAt(hash), encode(SignedOutput, { movement, signature: signatures[i] })))
}

/** A clash on an output, as the asker is told. */
export function outputUsed (): MixmintError {
  return new MixmintError('output-used', 'peer', 'one of the blinded outputs was signed for something else already: make fresh ones')
}

/** @param account the step on the account that takes part, for kinds in which one does */
export function journalStep (time: number, id: Uint8Array, movement: Movement, account?: AccountSide): Step {
  return insert('journal', journalAt(time, id), encode(JournalEntry, { kind: movement.kind, postings: postings(movement, account) }))
}

/** Sums by keyset, in order of first appearance. */
export function parts (items: ReadonlyArray<{ keyset: Uint8Array, value: number }>): Part[] {
  const sums = new Map<string, Part>()
  for (const { keyset, value } of items) {
    const part = sums.get(toHex(keyset))
    if (part === undefined) sums.set(toHex(keyset), { keyset, amount: value })
    else part.amount = total([{ value }], part.amount)
  }
  return [...sums.values()]
}

/**
 * The step that adds to an account, which opens at its first credit. Clashes when the account moved since it was read:
 * then read it again.
 * @param was what the store held for the account
 * @throws bad-amount (peer)
 */
export function creditStep (account: Uint8Array, was: Uint8Array | null, amount: number): AccountStep {
  return accountStep(account, was, total([{ value: amount }], balanceIn(was)))
}

/**
 * The step that counts a credit among all there were: with every unit counted once, no sum of the books can pass 2^53 − 1.
 * @throws bad-amount (peer) when this one would take them there
 */
export function allCreditsStep (was: Uint8Array | null, amount: number): Step {
  const before = was === null ? 0 : stored(AllCredits, was).amount
  const value = encode(AllCredits, { amount: total([{ value: amount }], before) })
  return { clash: 'account', op: { op: 'swap', key: ALL_CREDITS, was, value } }
}

/** The step that takes from an account; see creditStep. @throws insufficient-funds (peer) */
export function debitStep (account: Uint8Array, was: Uint8Array | null, amount: number): AccountStep {
  const left = balanceIn(was) - amount
  if (left < 0) throw new MixmintError('insufficient-funds', 'peer', 'the account does not hold this much')
  return accountStep(account, was, left)
}

function accountStep (account: Uint8Array, was: Uint8Array | null, balance: number): AccountStep {
  const nth = (was === null ? 0 : stored(Account, was).movements) + 1
  return { clash: 'account', account, nth, op: { op: 'swap', key: accountAt(account), was, value: encode(Account, { balance, movements: nth }) } }
}

/** What an account holds; nothing, if it was never opened. */
export function * balanceOf (account: Uint8Array): Saga<number> {
  return balanceIn(yield * get(accountAt(account)))
}

function balanceIn (was: Uint8Array | null): number {
  return was === null ? 0 : stored(Account, was).balance
}
