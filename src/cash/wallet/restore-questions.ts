/** The questions of a restore, each answered durably before it counts as asked (restore.ts). */
import { equal } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { isMixmintError, MixmintError } from '../../kit/errors.ts'
import type { Op } from '../../kit/ports.ts'
import { batch, get, now, type Saga } from '../../kit/saga.ts'
import { lookMessage } from '../bank-requests.ts'
import { coinId, coinMessage } from '../coin.ts'
import { contractId } from '../contract.ts'
import { coinSecrets, copyKey } from '../derive.ts'
import { MAX_OUTPUTS, type Contract, type Output } from '../formats.ts'
import { MAX_RESTORED } from '../messages.ts'
import { checkRecorded, enoughKeepers } from '../recorded.ts'
import { checkSettlement } from '../settlement.ts'
import { stored } from '../stored.ts'
import { openCopy, valuesIn, type Copy } from './copies.ts'
import { askedAt, coinAt, copiedAt, foundAt, spentAt } from './keys.ts'
import { makeOutputs, outputAt, placeOf, placesOf, unblind, valuesOf, type Fresh } from './outputs.ts'
import { askBank, badReply, type Wallet, type WalletEffect } from './parts.ts'
import { isAdrift, isLapsed } from './purse.ts'
import type { Place } from './records.ts'
import { Copied, Found } from './restore-state.ts'
import { kept, makeSealed, recall } from './sealed-outputs.ts'

type Pause = () => Saga<void>

/** One output of a batch that may have been signed. */
interface Candidate { readonly output: Output, readonly place: Place, readonly ordinal: number }

/** Of each value, how many outputs are asked for at first. */
const AT_FIRST = 2

/**
 * What was signed of a batch: of every keyset and value the first outputs, and where the last of these was signed, more.
 * The bank knows that those it has signed belong together, as one withdrawal or contract; the others say nothing to it.
 */
export function * askBatch (wallet: Wallet, generation: number, number: number, pause: Pause): Saga<void, WalletEffect> {
  const registry = wallet.registry()
  const keysets = registry.keysets().filter(({ keyset }) => equal(keyset.bank, wallet.bank) && keyset.unit === wallet.unit)
  const of = (keyset: Uint8Array, value: number, from: number, to: number): Candidate[] => Array.from({ length: to - from }, (_, i) => {
    const place = placeOf(generation, number, from + i)
    return { output: outputAt(wallet, registry.keyset(keyset), value, place), place, ordinal: from + i }
  })
  let bad = false
  const found: Fresh[] = []
  const left = keysets.flatMap(known => valuesOf(known).flatMap(value => of(known.id, value, 0, AT_FIRST)))
  while (left.length > 0) {
    const asked = left.splice(0, MAX_RESTORED)
    yield * pause()
    const reply = yield * askBank('apart', { op: 'restore', outputs: asked.map(({ output }) => output) })
    if (reply.is !== 'restored' || reply.signatures.length !== asked.length) throw badReply('bank')
    for (const [i, { output, place, ordinal }] of asked.entries()) {
      if (reply.signatures[i].length === 0) continue
      try {
        found.push(...unblind(wallet, [output], [place], [reply.signatures[i]]))
      } catch (error) {
        if (!isMixmintError(error, 'bad-blind-signature')) throw error
        wallet.meter.count('wallet_restore_bad_signature')
        bad = true
      }
      // The last that was asked for: there may be more, twice as many as so far.
      if (isLast(ordinal)) left.push(...of(output.keyset, output.value, ordinal + 1, Math.min(MAX_OUTPUTS, 2 * (ordinal + 1) + AT_FIRST)))
    }
  }
  const ops: Op[] = [{ op: 'put', key: askedAt(generation, number), value: Uint8Array.of(bad ? 2 : 1) }]
  for (const { coin, place } of found) {
    const id = coinId(wallet.suite, coin)
    // What this wallet has already, it knows better.
    const held = yield * get(coinAt(id))
    const known = (held === null || isAdrift(held) ? null : held) ?? (yield * get(spentAt(id))) ?? (yield * get(foundAt(id)))
    if (known === null) ops.push({ op: 'put', key: foundAt(id), value: encode(Found, { coin, place, state: 'found' }) })
  }
  yield * batch(ops)
}

/** Ends of the rounds 0…1, 2…5, 6…13, … */
function isLast (ordinal: number): boolean {
  for (let end = AT_FIRST; end <= ordinal + 1; end = 2 * end + AT_FIRST) if (end === ordinal + 1) return ordinal + 1 < MAX_OUTPUTS
  return false
}

/**
 * How a coin stands: spent at the bank, recorded at a keeper, or neither; and whether a copy is filed under it.
 * @throws keepers-silent (retry): too few of them answered to say that it is unspent
 */
export function * lookAt (wallet: Wallet, id: Uint8Array, pause: Pause): Saga<void, WalletEffect> {
  const { suite, seed } = wallet
  yield * pause()
  // Known by now, perhaps, from the contract that took it.
  const was = yield * get(foundAt(id))
  const found = was === null ? null : stored(Found, was)
  if (found?.state !== 'found') return
  const { coin, place } = found
  const { key } = coinSecrets(suite, seed, { keyset: coin.keyset, value: coin.value, ...place })
  const reply = yield * askBank('apart', { op: 'look', coin, signature: suite.ed25519Sign(key, lookMessage(id)) })
  if (reply.is !== 'looked') throw badReply('bank')
  const copy = reply.copy.length === 0 ? null : legible(wallet, copyKey(suite, seed, id), reply.copy)
  // On disk before the copy counts as read: nothing of it can be derived without.
  const isLegible = copy !== 'illegible' && (copy === null || copy.sealed === null || (yield * hasRecalled(wallet, copy.sealed.to.keys, pause)))
  const ops: Op[] = []
  let contract: Uint8Array | null = null
  if (copy !== null && copy !== 'illegible' && isLegible) {
    contract = contractId(suite, yield * rebuilt(wallet, copy))
    ops.push({ op: 'swap', key: copiedAt(contract), was: null, value: encode(Copied, { coin: id, box: reply.copy, outcome: null, token: null, sealed: [] }) })
  }
  const { recorded } = reply
  if (recorded !== null) checkRecorded(suite, wallet.registry(), coin, recorded)
  // When certificates for it count no more, no keeper has a say.
  const isSettled = reply.spent || recorded !== null || reply.heard >= enoughKeepers(wallet.registry(), coin) || isLapsed(wallet, coin, yield * now())
  // Of a coin that is promised to we do not know what, another spend could be a second one.
  const state = reply.spent ? 'spent' : recorded !== null || !isLegible ? 'recorded' : isSettled ? 'free' : 'found'
  ops.push({ op: 'put', key: foundAt(id), value: encode(Found, { coin, place, state }) })
  // A copy that a later one of the same contract replaces: the one with more coins is kept.
  const result = yield * batch(ops)
  if (!result.done && contract !== null) yield * keepFuller(wallet, contract, id, reply.copy, ops.slice(1))
  if (contract !== null) yield * askContract(wallet, contract, pause)
  if (!isSettled && isLegible) throw new MixmintError('keepers-silent', 'peer', 'too few keepers say how a coin stands', { retry: true })
}

/** What another version filed in a form that this one does not know holds up nothing else. */
function legible ({ suite, meter }: Wallet, key: Uint8Array, box: Uint8Array): Copy | null | 'illegible' {
  try {
    return openCopy(suite, key, box)
  } catch (error) {
    if (!isMixmintError(error, 'bad-encoding')) throw error
    meter.count('wallet_restore_illegible')
    return 'illegible'
  }
}

/** False where the bank has these keys no more: a copy that needs them holds up nothing else. */
function * hasRecalled (wallet: Wallet, keys: Uint8Array, pause: Pause): Saga<boolean, WalletEffect> {
  try {
    yield * recall(wallet, keys, pause)
    return true
  } catch (error) {
    if (!isMixmintError(error, 'unknown-sealed-keys')) throw error
    wallet.meter.count('wallet_restore_illegible')
    return false
  }
}

function * keepFuller (wallet: Wallet, contract: Uint8Array, coin: Uint8Array, box: Uint8Array, ops: readonly Op[]): Saga<void> {
  const was = yield * get(copiedAt(contract))
  if (was === null) throw new MixmintError('internal', 'us', 'a copy clashed that is not there')
  const before = stored(Copied, was)
  const next: Copied = { coin, box, outcome: before.outcome, token: before.token, sealed: before.sealed }
  const { copy } = readCopied(wallet, contract, next)
  const fuller: Op[] = []
  if (copy.coins.length > readCopied(wallet, contract, before).copy.coins.length) {
    fuller.push({ op: 'put', key: copiedAt(contract), value: encode(Copied, next) })
    // Of a settled contract the lesser copy had all coins for spent, those for which others were signed over among them (askContract).
    for (const { id } of coinsOf(wallet, copy).filter(({ id, active }) => !active && !equal(id, coin))) {
      const found = yield * get(foundAt(id))
      if (found !== null) fuller.push({ op: 'put', key: foundAt(id), value: encode(Found, { ...stored(Found, found), state: 'found' }) })
    }
  }
  yield * batch([...fuller, ...ops])
}

/** A copy that was read, and the contract that it is of. */
export interface Contracted extends Copied {
  /** D. */
  readonly id: Uint8Array
  readonly copy: Copy
}

export function readCopied ({ suite, seed }: Wallet, id: Uint8Array, copied: Copied): Contracted {
  const copy = openCopy(suite, copyKey(suite, seed, copied.coin), copied.box)
  if (copy === null) throw new MixmintError('store-damaged', 'operator', 'a copy in the store does not open: begin the restore anew in another folder')
  return { ...copied, id, copy }
}

/** The contract as it was signed, its outputs derived anew. @throws unknown-keyset, unknown-denomination, unknown-sealed-keys (peer) */
export function * rebuilt (wallet: Wallet, copy: Copy): Saga<Contract> {
  const { contract, keyset, generation, batch, values, sealed } = copy
  const places = placesOf(generation, batch, valuesIn(copy))
  return {
    ...contract,
    outputs: [
      ...values.length === 0 ? [] : makeOutputs(wallet, wallet.registry().keyset(keyset), values, places),
      ...sealed === null ? [] : makeSealed(wallet, yield * kept(wallet, sealed.to.keys), sealed.values, places.slice(values.length), sealed.to)
    ]
  }
}

/** The bank's word on a contract. If it was settled with all its coins, these are spent. */
export function * askContract (wallet: Wallet, id: Uint8Array, pause: Pause): Saga<void, WalletEffect> {
  const value = yield * get(copiedAt(id))
  const { copy, coin, box, outcome } = readCopied(wallet, id, stored(Copied, value))
  if (outcome !== null) return
  yield * pause()
  const contract = yield * rebuilt(wallet, copy)
  const reply = yield * askBank('apart', { op: 'outcome', contract })
  if (reply.is !== 'outcome') throw badReply('bank')
  const { state } = checkSettlement(wallet.suite, contract, reply, id)
  // If a fuller copy has come meanwhile, this is asked once more.
  const ops: Op[] = [{ op: 'swap', key: copiedAt(id), was: value, value: encode(Copied, { coin, box, outcome: reply.outcome, token: reply.token, sealed: copy.sealed === null ? [] : reply.signatures.slice(copy.values.length) }) }]
  if (state === 'settled' && copy.coins.every(({ active }) => active)) {
    for (const name of coinsOf(wallet, copy)) {
      const was = yield * get(foundAt(name.id))
      if (was !== null) ops.push({ op: 'put', key: foundAt(name.id), value: encode(Found, { ...stored(Found, was), state: 'spent' }) })
    }
  }
  yield * batch(ops)
}

/** The coins that a copy speaks of. */
export function coinsOf ({ suite, seed }: Wallet, { keysets, coins }: Copy): Array<{ readonly id: Uint8Array, readonly place: Place, readonly active: boolean }> {
  return coins.map(({ keyset, value, generation, counter, active }) => {
    const place = { generation, counter }
    const { key } = coinSecrets(suite, seed, { keyset: keysets[keyset], value, ...place })
    return { id: suite.sha256(coinMessage(keysets[keyset], value, key.publicKey)), place, active }
  })
}
