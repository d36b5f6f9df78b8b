/**
 * Copies of contracts, kept by the bank for a wallet whose machine is lost (DESIGN §4, restore). Before the first spend of a
 * contract leaves, an encrypted copy of it is filed under the first of its coins, and so is another before the coins that
 * replace some leave. The bank learns that this coin is about to be spent, and which of a few lengths the copy has.
 * Decision record: docs/decisions/0035-restore.md
 */
import { concat, toHex, u32 } from '../../kit/bytes.ts'
import { anything, decode, encode, list, maybeBytes, nullable, record, bytes, uint, bool, tagged, type Of } from '../../kit/codec.ts'
import { isMixmintError, MixmintError } from '../../kit/errors.ts'
import { batch, type Saga } from '../../kit/saga.ts'
import type { Suite } from '../../crypto/suite.ts'
import { fileMessage } from '../bank-requests.ts'
import { coinId } from '../coin.ts'
import { copyKey } from '../derive.ts'
import { Contract, MAX_INPUTS, MAX_OUTPUTS, MAX_SEALED, SignedInvoice } from '../formats.ts'
import { COPY_SIZES } from '../messages.ts'
import { busy, rewrite, type Begun } from './operations.ts'
import { batchOf, noteAnswered } from './outputs.ts'
import { askBank, badReply, Unanswered, type Wallet, type WalletEffect } from './parts.ts'
import { derivedKey } from './purse.ts'
import { ROUNDS, SealedFor, type ContractOperation } from './records.ts'
import { coinsAmong, sealedIn } from './sealed-outputs.ts'

/** All that it takes to write the operation anew from the seed and the coins: blinded outputs and spends derive from it. */
export const Copy = record({
  /** Without its outputs. */
  contract: Contract, started: uint(),
  /** Of the outputs that are coins: their keyset, the batch that all outputs are of, their values in order. */
  keyset: maybeBytes(32), generation: uint(2 ** 32 - 1), batch: uint(), values: list(uint(), MAX_OUTPUTS),
  /** Of those that are sealed tokens, which come after them. */
  sealed: nullable(record({ to: SealedFor, values: list(uint(), MAX_SEALED, 1) })),
  /** Every coin that was promised so far; `keyset` is a place in `keysets`. */
  keysets: list(bytes(32), 64),
  coins: list(record({ keyset: uint(63), value: uint(), generation: uint(2 ** 32 - 1), counter: uint(), active: bool }), ROUNDS * MAX_INPUTS),
  invoice: nullable(SignedInvoice),
  /** Of a coin that is taken back out of a bundle, the bundle's id; else empty. */
  claim: maybeBytes(32)
})
export type Copy = Of<typeof Copy>

const NONCE = 24
const TAG = 16
const LENGTH = 4

/**
 * See that a copy covers every coin of this contract, and results in the operation.
 * @throws double-spend (caller): another wallet of these words has promised the coin; that the bank did not answer (retry).
 *   Not where the copy was waived: then it is tried again before anything else is sent, and of two contracts the centers choose
 */
export function * ensureFiled (wallet: Wallet, begun: Begun<ContractOperation>): Saga<Begun<ContractOperation>, WalletEffect> {
  const { suite, seed } = wallet
  const { coins, filed, waived, places } = begun.record
  if (filed === coins.length) return begun
  const { input: { spend: { coin } }, place } = coins[filed]
  // A coin that came in a bundle derives from nothing that a restore knows: no copy would be found.
  if (place === null) return begun
  const key = derivedKey(wallet, coin, place)
  const id = coinId(suite, coin)
  const box = sealCopy(suite, copyKey(suite, seed, id), copyOf(begun.record))
  try {
    const reply = yield * askBank('mixnet', { op: 'file', coin, box, signature: suite.ed25519Sign(key, fileMessage(suite, id, box)) })
    if (reply.is !== 'filed') throw badReply('bank')
  } catch (error) {
    if (waived && (error instanceof Unanswered || isMixmintError(error, 'copy-exists'))) {
      wallet.meter.count('wallet_copy_waived')
      return begun
    }
    if (isMixmintError(error, 'copy-exists')) throw spentElsewhere()
    throw error
  }
  const { begun: next, op } = rewrite(begun, { ...begun.record, filed: coins.length })
  if (!(yield * batch([op, ...places.slice(0, 1).map(place => noteAnswered(place.generation, batchOf(place)))])).done) throw busy()
  return next
}

function copyOf (record: ContractOperation): Copy {
  const { contract, started, places, coins, invoice, sealed, claim } = record
  const fresh = contract.outputs.slice(0, coinsAmong(record))
  const keysets: Uint8Array[] = []
  const seen = new Map<string, number>()
  const indexOf = (keyset: Uint8Array): number => {
    const name = toHex(keyset)
    const found = seen.get(name) ?? keysets.push(keyset) - 1
    seen.set(name, found)
    return found
  }
  return {
    contract: { ...contract, outputs: [] }, started,
    keyset: fresh.length === 0 ? new Uint8Array(0) : fresh[0].keyset,
    generation: places.length === 0 ? 0 : places[0].generation, batch: places.length === 0 ? 0 : batchOf(places[0]),
    values: fresh.map(({ value }) => value), sealed: sealed === null ? null : { to: sealed, values: sealedIn(record).map(({ value }) => value) }, keysets,
    coins: coins.flatMap(({ input: { spend: { coin } }, place, active }) => place === null ? [] : [{ keyset: indexOf(coin.keyset), value: coin.value, ...place, active }]),
    invoice, claim
  }
}

/** Of all outputs, in their order. */
export function valuesIn ({ values, sealed }: Copy): number[] {
  return [...values, ...sealed?.values ?? []]
}

/** Encrypted, and as long as many others. The nonce is of what is in it, so that the same copy has the same bytes. */
function sealCopy (suite: Suite, key: Uint8Array, copy: Copy): Uint8Array {
  const content = encode(Copy, copy)
  const size = COPY_SIZES.find(size => content.length + NONCE + TAG + LENGTH <= size)
  if (size === undefined) throw new MixmintError('too-many-coins', 'caller', 'this contract has too many coins to be copied: exchange some of them into larger ones first')
  const padded = new Uint8Array(size - NONCE - TAG)
  padded.set(concat(u32(content.length), content))
  return sealed(suite, key, padded)
}

/** Null: it was not made with this key. @throws bad-encoding (peer), for one in a form that no version up to this one made */
export function openCopy (suite: Suite, key: Uint8Array, box: Uint8Array): Copy | null {
  const padded = unsealed(suite, key, box)
  if (padded === null) return null
  const length = new DataView(padded.buffer, padded.byteOffset).getUint32(0)
  const content = padded.slice(LENGTH, LENGTH + length)
  return decode(Copy, encode(anything, inThisForm(decode(anything, content))))
}

/** Copies stay with the bank as they were filed: earlier ones named no claim, no till in the invoice, no sealed tokens. */
function inThisForm (copy: unknown): unknown {
  if (!(copy instanceof Map)) return copy
  const signed: unknown = copy.get('invoice')
  const invoice: unknown = signed instanceof Map ? signed.get('invoice') : null
  if (!copy.has('sealed')) copy.set('sealed', null)
  for (const [fields, name] of [[copy, 'claim'], [invoice, 'till']] as const) {
    if (fields instanceof Map && !fields.has(name)) fields.set(name, new Uint8Array(0))
  }
  return copy
}

/** nonce ‖ ciphertext ‖ tag; the same content under the same key makes the same bytes. */
export function sealed (suite: Suite, key: Uint8Array, content: Uint8Array): Uint8Array {
  const nonce = suite.hmacSha256(key, tagged('seal-nonce', content)).slice(0, NONCE)
  return concat(nonce, suite.seal(key, nonce, content, new Uint8Array(0)))
}

/** Null: it is not authentic. */
export function unsealed (suite: Suite, key: Uint8Array, box: Uint8Array): Uint8Array | null {
  return box.length < NONCE + TAG ? null : suite.open(key, box.slice(0, NONCE), box.slice(NONCE), new Uint8Array(0))
}

export function spentElsewhere (): MixmintError {
  return new MixmintError('double-spend', 'caller', 'one of these coins was promised to another contract before, by a wallet of the same words. If that was a lost machine, whose wallet this one was restored from, the coin was spent there, and nothing is wrong. Else a copy of this wallet is in use elsewhere: stop using this one, and restore the wallet from its words')
}
