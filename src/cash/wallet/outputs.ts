/**
 * Fresh coins: their counters are reserved on disk before anything is derived from them, so that no crash makes the wallet
 * use one twice; their blind signatures are finalized and verified before they count as money.
 */
import { u64 } from '../../kit/bytes.ts'
import { isMixmintError, MixmintError } from '../../kit/errors.ts'
import type { Millis, Op } from '../../kit/ports.ts'
import { batch, get, type Saga } from '../../kit/saga.ts'
import { blind, blindingFactor, finalize, type Blinded } from '../../crypto/rsabssa.ts'
import { coinMessage } from '../coin.ts'
import { coinSecrets } from '../derive.ts'
import { MAX_OUTPUTS, type Coin, type Output } from '../formats.ts'
import type { KnownKeyset } from '../known-keyset.ts'
import { counterAt, numberIn, SEQUENCE } from './keys.ts'
import type { Wallet } from './parts.ts'
import type { Place } from './records.ts'
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
 * says so itself by a clock that never runs back; of a keyset that it has not heard of, only its end makes that certain.
 */
export function isRefusedForGood (wallet: Wallet, outputs: readonly Output[], error: unknown, now: Millis): boolean {
  if (isMixmintError(error, 'keyset-not-issuing')) return true
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
  /** One for each value, in their order. */
  readonly places: Place[]
}

/**
 * A fresh operation number and a fresh counter for each value; durable when this returns, whatever becomes of them.
 * @param also values of another keyset, or of sealed tokens; their places come after the others
 */
export function * reserve (wallet: Wallet, keyset: Uint8Array, values: readonly number[], also: { keyset: Uint8Array, values: readonly number[] } | null = null): Saga<Reserved> {
  const groups = [{ keyset, values }, ...also === null ? [] : [also]]
  const count = groups.reduce((sum, { values }) => sum + values.length, 0)
  if (count > MAX_OUTPUTS) throw new MixmintError('too-many-coins', 'caller', `this would take ${count} fresh coins, more than ${MAX_OUTPUTS} at once: do it in smaller parts`)
  const { generation } = wallet
  for (;;) {
    const was = yield * get(SEQUENCE)
    const sequence = next(was) + 1
    const ops: Op[] = [{ op: 'swap', key: SEQUENCE, was, value: u64(sequence) }]
    const places: Place[] = []
    for (const { keyset, values } of groups) {
      const counters = new Map<number, number>()
      for (const value of new Set(values)) {
        const key = counterAt(generation, keyset, value)
        const was = yield * get(key)
        counters.set(value, next(was))
        ops.push({ op: 'swap', key, was, value: u64(next(was) + values.filter(other => other === value).length) })
      }
      for (const value of values) {
        const counter = counters.get(value) ?? 0
        counters.set(value, counter + 1)
        places.push({ generation, counter })
      }
    }
    const result = yield * batch(ops)
    if (result.done) return { sequence, places }
  }
}

function next (stored: Uint8Array | null): number {
  return stored === null ? 0 : numberIn(stored)
}

/** @param values and their places, in the same order */
export function makeOutputs (wallet: Wallet, known: KnownKeyset, values: readonly number[], places: readonly Place[]): Output[] {
  return values.map((value, i) => ({ keyset: known.id, value, blinded: secretsOf(wallet, known, value, places[i]).blinded }))
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

function secretsOf (wallet: Wallet, known: KnownKeyset, value: number, place: Place): Blinded & { message: Uint8Array, publicKey: Uint8Array } {
  const { suite, seed } = wallet
  const { key, blinding } = coinSecrets(suite, seed, { keyset: known.id, value, ...place })
  const bankKey = known.keyFor(value)
  const message = coinMessage(known.id, value, key.publicKey)
  return { ...blind(suite, bankKey, message, NO_SALT, blindingFactor(suite, bankKey, blinding)), message, publicKey: key.publicKey }
}
