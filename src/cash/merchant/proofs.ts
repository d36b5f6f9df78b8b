/**
 * Double spends that were tried here: proofs for the operator. Whoever spends one coin in vain again and again makes them, a coin
 * for each; so they are kept short, the keyset of many once, and of so many only the latest.
 */
import { u64 } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { isMixmintError } from '../../kit/errors.ts'
import type { Op } from '../../kit/ports.ts'
import { batch, get, scan, type Saga } from '../../kit/saga.ts'
import { coinId } from '../coin.ts'
import { Input, SignedKeyset, type DoubleSpendProofFile, type Spend } from '../formats.ts'
import { verifyDoubleSpend } from '../spend.ts'
import { stored } from '../stored.ts'
import { contestAt, numberIn, proofAt, provenAt, PROOFS, PROVEN_COUNT, provenKeysetAt } from './keys.ts'
import type { Merchant } from './parts.ts'
import { Proof } from './records.ts'

/** About 1 KiB each, and as much for the votes of which the bank was not told yet. */
const MOST_PROOFS = 4096

/** One that is printed: `number` counts from 1, and `file` anyone can check. */
export interface KeptProof {
  readonly number: number
  /** coinId. */
  readonly coin: Uint8Array
  readonly file: DoubleSpendProofFile
}

/**
 * Keep a double spend: the first proof of each coin against its payer, and the votes that we have, which may convict those
 * who gave others for the first spend (a center restored from an old disk does not repeat those).
 */
export function * keepDoubleSpend (merchant: Merchant, first: Spend, second: Input): Saga<void> {
  const { coin } = second.spend
  const id = coinId(merchant.suite, coin)
  merchant.meter.count('double_spend')
  for (;;) {
    const ops: Op[] = []
    if ((yield * get(provenAt(id))) === null) {
      const was = yield * get(PROVEN_COUNT)
      const number = was === null ? 1 : numberIn(was) + 1
      ops.push(
        { op: 'swap', key: PROVEN_COUNT, was, value: u64(number) },
        { op: 'insert', key: provenAt(id), value: u64(number) },
        { op: 'insert', key: proofAt(number), value: encode(Proof, { coin: id, proof: { first, second: second.spend } }) },
        ...yield * keysetOnce(merchant, coin.keyset), ...yield * forgetting(number - (merchant.mostProofs ?? MOST_PROOFS))
      )
    }
    if (second.votes.length > 0) ops.push({ op: 'put', key: contestAt(id), value: encode(Input, second) })
    if (ops.length === 0 || (yield * batch(ops)).done) return
  }
}

/** The bank says that a coin was redeemed for another spend: that is believed, and kept, as far as it proves itself. */
export function * keepIfProven (merchant: Merchant, first: Spend, second: Input): Saga<void> {
  try {
    verifyDoubleSpend(merchant.suite, merchant.registry().keyset(second.spend.coin.keyset), { first, second: second.spend })
  } catch (error) {
    if (isMixmintError(error)) return
    throw error
  }
  yield * keepDoubleSpend(merchant, first, second)
}

function * keysetOnce (merchant: Merchant, id: Uint8Array): Saga<Op[]> {
  if ((yield * get(provenKeysetAt(id))) !== null) return []
  return [{ op: 'put', key: provenKeysetAt(id), value: encode(SignedKeyset, merchant.registry().keyset(id).signed) }]
}

function * forgetting (number: number): Saga<Op[]> {
  const value = number < 1 ? null : yield * get(proofAt(number))
  if (value === null) return []
  const { coin } = stored(Proof, value)
  return [{ op: 'delete', key: proofAt(number) }, { op: 'delete', key: provenAt(coin) }, { op: 'delete', key: contestAt(coin) }]
}

/** The latest proofs, the newest first. @param before only those with a lower number @param last at most so many */
export function * proofs (last: number, before = Number.MAX_SAFE_INTEGER): Saga<KeptProof[]> {
  const count = yield * get(PROVEN_COUNT)
  const end = Math.min(before, count === null ? 1 : numberIn(count) + 1)
  const limit = Math.min(last, end - 1)
  if (limit < 1) return []
  const page = yield * scan({ prefix: PROOFS, after: proofAt(end - 1 - limit), limit })
  const kept: KeptProof[] = []
  // Of the oldest ones some are forgotten, and then others stand in their place.
  for (const { key, value } of page.reverse()) if (numberIn(key, PROOFS) < end) kept.push(yield * printed(numberIn(key, PROOFS), value))
  return kept
}

/** The proof about this coin; null if there is none, or no more. */
export function * proofOf (coin: Uint8Array): Saga<KeptProof | null> {
  const number = yield * get(provenAt(coin))
  const value = number === null ? null : yield * get(proofAt(numberIn(number)))
  return number === null || value === null ? null : yield * printed(numberIn(number), value)
}

function * printed (number: number, value: Uint8Array): Saga<KeptProof> {
  const { coin, proof } = stored(Proof, value)
  return { number, coin, file: { proof, keyset: stored(SignedKeyset, yield * get(provenKeysetAt(proof.first.coin.keyset))) } }
}
