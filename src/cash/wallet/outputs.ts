/**
 * Fresh coins: their places are reserved on disk before anything is derived from them, so that no crash makes the wallet
 * use one twice; their blind signatures are finalized and verified before they count as money.
 */
import { u64 } from '../../kit/bytes.ts'
import { isMixmintError, MixmintError } from '../../kit/errors.ts'
import type { Millis, Op } from '../../kit/ports.ts'
import { batch, get, scan, type Saga } from '../../kit/saga.ts'
import { blind, blindedMessage, blindingFactor, finalize, type Blinded } from '../../crypto/rsabssa.ts'
import { coinMessage } from '../coin.ts'
import { coinSecrets } from '../derive.ts'
import { MAX_OUTPUTS, type Coin, type Output } from '../formats.ts'
import type { KnownKeyset } from '../known-keyset.ts'
import { answeredAt, answeredIn, batchAt, GENERATION, numberIn, SEQUENCE } from './keys.ts'
import type { Wallet } from './parts.ts'
import type { Place } from './records.ts'
import { isRestoring } from './restore-state.ts'
import { split } from './selection.ts'

/** RFC 9474 PSSZERO. */
const NO_SALT = new Uint8Array(0)

/**
 * The keyset for fresh coins: it issues now, and its coins can still be spent when a contract until settleBy is decided.
 * @throws no-keyset (peer, retry)
 */
export function issuingKeyset (wallet: Wallet, now: Millis, settleBy: Millis = now): KnownKeyset {
  const registry = wallet.registry()
  const { voidGrace, margin } = registry.parameters
  const found = registry.issuing(wallet.bank, wallet.unit, now).find(({ keyset }) => settleBy + voidGrace + margin < keyset.spendUntil)
  if (found === undefined) {
    throw new MixmintError('no-keyset', 'peer', 'the directory lists no coins that this bank issues now and that last long enough: fetch its latest document and try again', { retry: true })
  }
  return found
}

/**
 * Is it certain that the bank will never sign these outputs, whichever copy of the request comes to it, however late? It
 * says so itself by a clock that never runs back; of a keyset that it has not heard of, only its end makes that certain. What it has
 * signed for something else, asked for by a copy of this wallet, it signs for nothing else.
 */
export function isRefusedForGood (wallet: Wallet, outputs: readonly Output[], error: unknown, now: Millis): boolean {
  if (isMixmintError(error, 'keyset-not-issuing') || isMixmintError(error, 'output-used')) return true
  if (!isMixmintError(error, 'unknown-keyset')) return false
  return outputs.every(({ keyset }) => hasIssued(wallet, keyset, now))
}

/** Has this keyset ceased to issue, by anybody's clock? */
export function hasIssued (wallet: Wallet, keyset: Uint8Array, now: Millis): boolean {
  const registry = wallet.registry()
  const known = registry.find(keyset)
  return known === undefined || now - 2 * registry.parameters.clockSkew >= known.keyset.issueUntil
}

/** The values of a keyset, in rising order. */
export function valuesOf ({ keyset }: KnownKeyset): number[] {
  return keyset.denominations.map(({ value }) => value)
}

/** One coin of this value where the keyset has it, else the parts of it. */
export function splitOf (known: KnownKeyset, value: number): number[] {
  const values = valuesOf(known)
  return values.includes(value) ? [value] : split(value, values)
}

export interface Reserved {
  /** The number of the operation. */
  readonly sequence: number
  readonly generation: number
  /** One for each value, in their order. */
  readonly places: Place[]
}

/**
 * A fresh operation number and a fresh place for each value; durable when this returns, whatever becomes of them. All places
 * of an operation are of one batch, so that a restore can ask for what belongs together, and for nothing else at once.
 * @param isCopied a copy is filed before anything leaves, by which a restore finds this batch however far on it is
 * @throws restore-under-way, too-many-coins (caller); too-many-unanswered (peer, retry)
 */
export function * reserve (values: readonly number[], isCopied = false): Saga<Reserved> {
  if (values.length > MAX_OUTPUTS) throw new MixmintError('too-many-coins', 'caller', `this would take ${values.length} fresh coins, more than ${MAX_OUTPUTS} at once: do it in smaller parts`)
  if (yield * isRestoring()) throw new MixmintError('restore-under-way', 'caller', 'this wallet is being restored: let `restore` come to its end first')
  const generation = yield * generationNow()
  for (;;) {
    const was = yield * get(SEQUENCE)
    const sequence = next(was) + 1
    const ops: Op[] = [{ op: 'swap', key: SEQUENCE, was, value: u64(sequence) }]
    let batchNumber = 0
    if (values.length > 0) {
      const was = yield * get(batchAt(generation))
      batchNumber = next(was) + 1
      if (!isCopied) yield * checkGap(generation, batchNumber)
      ops.push({ op: 'swap', key: batchAt(generation), was, value: u64(batchNumber) })
    }
    const result = yield * batch(ops)
    if (result.done) return { sequence, generation, places: placesOf(generation, batchNumber, values) }
  }
}

/** A restore gives up looking after so many batches of which it finds nothing; so a wallet never goes further, but elsewhere (room.ts). */
export const GAP = 16

function * checkGap (generation: number, batch: number): Saga<void> {
  if (batch <= GAP) return
  const found = yield * scan({ prefix: answeredIn(generation), after: answeredAt(generation, batch - GAP - 1), limit: 1 })
  if (found.length === 0) throw new MixmintError('too-many-unanswered', 'peer', `${GAP} operations in a row have no answer from the bank: let \`recover\` complete them when the bank is back`, { retry: true })
}

/** The number under which outputs are derived: 0 for the first wallet of these words, drawn at random by each restore. */
export function * generationNow (): Saga<number> {
  return next(yield * get(GENERATION))
}

/** Where the outputs of a batch derive from, one for each value, in their order. Batches are counted from 1. */
export function placesOf (generation: number, batch: number, values: readonly number[]): Place[] {
  const before = new Map<number, number>()
  return values.map(value => {
    const ordinal = before.get(value) ?? 0
    before.set(value, ordinal + 1)
    return placeOf(generation, batch, ordinal)
  })
}

/** @param ordinal among the outputs of this batch with the same value */
export function placeOf (generation: number, batch: number, ordinal: number): Place {
  return { generation, counter: batch * MAX_OUTPUTS + ordinal }
}

export function batchOf ({ counter }: Place): number {
  return Math.floor(counter / MAX_OUTPUTS)
}

/** The step that notes that a restore finds this batch. */
export function noteAnswered (generation: number, batch: number): Op {
  return { op: 'put', key: answeredAt(generation, batch), value: Uint8Array.of(1) }
}

function next (stored: Uint8Array | null): number {
  return stored === null ? 0 : numberIn(stored)
}

/** @param values and their places, in the same order */
export function makeOutputs (wallet: Wallet, known: KnownKeyset, values: readonly number[], places: readonly Place[]): Output[] {
  return values.map((value, i) => outputAt(wallet, known, value, places[i]))
}

/** A coin, and where it derives from. */
export interface Fresh {
  readonly coin: Coin
  readonly place: Place
}

/**
 * The coins that the bank's answer makes of these outputs.
 * @throws bad-settlement, bad-blind-signature (peer): then nothing of the answer is used
 */
export function unblind (wallet: Wallet, outputs: readonly Output[], places: readonly Place[], signatures: readonly Uint8Array[]): Fresh[] {
  if (signatures.length !== outputs.length) throw new MixmintError('bad-settlement', 'peer', 'the bank did not answer for each output; keep the answer as evidence and ask again')
  const registry = wallet.registry()
  return outputs.map(({ keyset, value }, i) => {
    const known = registry.keyset(keyset)
    const { message, publicKey, inverse } = secretsOf(wallet, known, value, places[i])
    const signature = finalize(wallet.suite, known.keyFor(value), message, inverse, signatures[i], 0)
    return { coin: { keyset, value, publicKey, signature }, place: places[i] }
  })
}

/** The output of one place: to be signed, and to be recognised among those that were. */
export function outputAt ({ suite, seed }: Wallet, known: KnownKeyset, value: number, place: Place): Output {
  const { key, blinding } = coinSecrets(suite, seed, { keyset: known.id, value, ...place })
  const bankKey = known.keyFor(value)
  const blinded = blindedMessage(suite, bankKey, coinMessage(known.id, value, key.publicKey), NO_SALT, blindingFactor(suite, bankKey, blinding))
  return { keyset: known.id, value, blinded }
}

function secretsOf (wallet: Wallet, known: KnownKeyset, value: number, place: Place): Blinded & { message: Uint8Array, publicKey: Uint8Array } {
  const { suite, seed } = wallet
  const { key, blinding } = coinSecrets(suite, seed, { keyset: known.id, value, ...place })
  const bankKey = known.keyFor(value)
  const message = coinMessage(known.id, value, key.publicKey)
  return { ...blind(suite, bankKey, message, NO_SALT, blindingFactor(suite, bankKey, blinding)), message, publicKey: key.publicKey }
}
