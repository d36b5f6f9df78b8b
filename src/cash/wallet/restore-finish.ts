/** The end of a restore: what was learnt becomes the wallet's own, piece by piece, each in one batch and once (restore.ts). */
import { equal, fromHex, toHex, u64 } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { isMixmintError } from '../../kit/errors.ts'
import type { Op } from '../../kit/ports.ts'
import { batch, get, scanAll, type Saga } from '../../kit/saga.ts'
import { contractId, total } from '../contract.ts'
import type { SignedToken } from '../formats.ts'
import { stored } from '../stored.ts'
import { ASKED, coinAt, COPIED, doneAt, FOUND, GENERATION, invoiceAt, numberIn, openAt, RESTORING, SEQUENCE, spentAt, tokenAt } from './keys.ts'
import { valuesIn } from './copies.ts'
import { doneOperations, isContract, openOperations } from './operations.ts'
import { placesOf } from './outputs.ts'
import type { Wallet } from './parts.ts'
import { isAdrift, promise } from './purse.ts'
import { HeldToken, InvoiceUse, Operation, OwnedCoin, type ContractOperation, type Place, type Promised } from './records.ts'
import { coinsOf, readCopied, rebuilt, type Contracted } from './restore-questions.ts'
import { Copied, Found, Restoring } from './restore-state.ts'
import { keepSealed, sealedIn } from './sealed-outputs.ts'

/** What a restore has brought. Amounts in the unit's smallest coin. */
export interface Restored {
  /** Coins that can be spent. */
  readonly available: number
  /** Coins of contracts that are open, to be completed. */
  readonly inFlight: number
  /** Coins that decided contracts left over, to be reclaimed. */
  readonly leftOver: number
  /** Coins that were signed over to something of which there is no copy, or of which too few keepers say how they stand: refunded in time. */
  readonly unknown: number
  /** Tokens that were bought; whether they were used, their payees know. */
  readonly tokens: number
  /** Batches, and contracts for sealed tokens, where the bank answered with something that is no signature: it owes what was in them. */
  readonly bad: number
}

export function * finishRestore (wallet: Wallet, state: Restoring): Saga<Restored> {
  const found = new Map((yield * scanAll(FOUND)).map(({ key, value }) => [toHex(key.slice(FOUND.length)), stored(Found, value)]))
  const copies = (yield * scanAll(COPIED)).map(({ key, value }) => readCopied(wallet, key.slice(COPIED.length), stored(Copied, value)))
  copies.sort((a, b) => a.copy.started - b.copy.started)
  const sums = { available: 0, inFlight: 0, leftOver: 0, unknown: 0, tokens: 0, bad: 0 }
  // Coins of contracts; and outputs of open ones, which come when these are settled, and not before.
  const taken = new Set<string>()
  const awaited = new Set<string>()
  const awaitAll = (places: readonly Place[]): void => { for (const { generation, counter } of places) awaited.add(`${generation}/${counter}`) }
  // What this wallet has begun itself it completes itself.
  for (const { record } of yield * openOperations()) if ('places' in record) awaitAll(record.places)
  for (const contracted of copies) {
    const { copy, outcome } = contracted
    const ours = coinsOf(wallet, copy).filter(({ id }) => found.has(toHex(id)))
    const unspent = ours.filter(({ id }) => found.get(toHex(id))?.state !== 'spent')
    for (const { id } of ours) taken.add(toHex(id))
    const isOpen = outcome?.outcome.state === 'open'
    if (isOpen) awaitAll(placesOf(copy.generation, copy.batch, copy.values))
    const worth = unspent.reduce((sum, { id }) => sum + (found.get(toHex(id))?.coin.value ?? 0), 0)
    if (isOpen) sums.inFlight += worth
    else sums.leftOver += worth
    sums.tokens += contracted.token?.token.amount ?? 0
    const sealed = yield * keepContract(wallet, contracted, ours, found)
    if (sealed === null) sums.bad += 1
    else sums.tokens += sealed
  }
  for (const [name, { coin, place, state }] of found) {
    if (state === 'spent' || taken.has(name) || awaited.has(`${place.generation}/${place.counter}`)) continue
    const isFree = state === 'free'
    if (isFree) sums.available += coin.value
    else sums.unknown += coin.value
    const id = fromHex(name)
    if ((yield * get(spentAt(id))) !== null) continue
    const was = yield * get(coinAt(id))
    // There already: then it was put there by an earlier run.
    if (was !== null && !isAdrift(was)) continue
    yield * batch([{ op: 'swap', key: coinAt(id), was, value: encode(OwnedCoin, { coin, place, state: isFree ? 'available' : 'left', operation: 0 }) }])
  }
  const asked = yield * scanAll(ASKED)
  sums.bad += asked.filter(({ value }) => value[0] === 2).length
  // In force from here on, in one batch; what is deleted afterwards is of no use any more.
  yield * batch([
    { op: 'put', key: GENERATION, value: u64(state.generation) },
    { op: 'put', key: RESTORING, value: encode(Restoring, { ...state, state: 'done' }) }
  ])
  return sums
}

/**
 * The operation of a contract, as it would be had this wallet begun it; not a second time.
 * @returns what its sealed tokens are worth; null: the bank's signatures of these are none
 */
function * keepContract (wallet: Wallet, contracted: Contracted, ours: ReturnType<typeof coinsOf>, found: ReadonlyMap<string, Found>): Saga<number | null> {
  const { id, copy, outcome, token } = contracted
  const { suite } = wallet
  for (;;) {
    const before = [...yield * openOperations(), ...yield * doneOperations()]
    if (before.some(begun => isContract(begun) && equal(contractId(suite, begun.record.contract), id))) return 0
    const was = yield * get(SEQUENCE)
    const sequence = (was === null ? 0 : numberIn(was)) + 1
    const contract = yield * rebuilt(wallet, copy)
    const state = outcome?.outcome.state ?? 'open'
    const coins: Promised[] = []
    const ops: Op[] = [{ op: 'swap', key: SEQUENCE, was, value: u64(sequence) }]
    for (const { id: coinName, place, active } of ours) {
      const { coin, state: stands } = found.get(toHex(coinName)) as Found
      const owned: OwnedCoin = { coin, place, state: stands === 'spent' ? 'spent' : state === 'open' ? 'promised' : 'left', operation: sequence }
      coins.push({ ...promise(wallet, owned, id), active })
      ops.push({ op: 'put', key: stands === 'spent' ? spentAt(coinName) : coinAt(coinName), value: encode(OwnedCoin, owned) })
    }
    const record: ContractOperation = {
      kind: 'contract', started: copy.started, state, contract, places: placesOf(copy.generation, copy.batch, valuesIn(copy)), coins,
      invoice: copy.invoice, paid: null, outcome, claim: copy.claim, filed: coins.length, waived: false,
      sealed: copy.sealed?.to ?? null
    }
    ops.push({ op: 'insert', key: state === 'open' ? openAt(sequence) : doneAt(sequence), value: encode<Operation>(Operation, record) })
    if (copy.invoice !== null) ops.push({ op: 'put', key: invoiceAt(contract.invoice), value: encode(InvoiceUse, { operation: sequence, serial: new Uint8Array(0) }) })
    if (token !== null) ops.push(keepToken(token, contract.nonce))
    const sealed = state === 'settled' ? yield * sealedOps(wallet, sequence, record, contracted.sealed) : []
    if (!(yield * batch([...ops, ...sealed ?? []])).done) continue
    if (sealed === null) return null
    return state === 'settled' ? total(sealedIn(record)) : 0
  }
}

/** Whether they were used, this wallet does not know either. Null: these are not the bank's signatures. */
function * sealedOps (wallet: Wallet, operation: number, record: ContractOperation, signatures: readonly Uint8Array[]): Saga<Op[] | null> {
  try {
    return yield * keepSealed(wallet, operation, record, signatures, 'presented')
  } catch (error) {
    if (!isMixmintError(error, 'bad-blind-signature')) throw error
    wallet.meter.count('wallet_restore_bad_signature')
    return null
  }
}

/** Whether it was used, this wallet does not know: as with one that was handed over at a till. */
function keepToken (token: SignedToken, nonce: Uint8Array): Op {
  const held: HeldToken = { token, nonce, state: 'presented', invoice: null, presentation: null, paid: null }
  return { op: 'put', key: tokenAt(token.token.serial), value: encode(HeldToken, held) }
}

/** What a finished restore has left of what it learnt. */
export function * forgetQuestions (): Saga<void> {
  for (const prefix of [ASKED, COPIED, FOUND]) {
    for (const { key } of yield * scanAll(prefix)) yield * batch([{ op: 'delete', key }])
  }
}
