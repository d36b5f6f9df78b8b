/**
 * Trust (DESIGN §5): coins that find no certificate, because their keepers do not answer, are taken all the same, up to limits
 * that the merchant set. What is at risk is written in the batch that says paid, and given free in the one that decides it.
 */
import { equal, toHex } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import type { Op } from '../../kit/ports.ts'
import { get, scanAll, type Saga } from '../../kit/saga.ts'
import { coinId } from '../coin.ts'
import { total } from '../contract.ts'
import type { Contract, Input } from '../formats.ts'
import type { InputState } from '../messages.ts'
import { stored } from '../stored.ts'
import { refusals } from './due.ts'
import { EXPOSURE, LOST, riskAt, SETTLED, takenAt } from './keys.ts'
import type { Merchant } from './parts.ts'
import { Exposure, Lost, Risk, Settled } from './records.ts'

/**
 * The steps by which this contract is taken on trust; null where the merchant does not want that, where a coin is bad or spent and
 * not merely without a certificate, or where one has paid here before. They fail when something else was put at risk meanwhile.
 * @param contract D
 */
export function * onTrust (merchant: Merchant, id: Uint8Array, { amount }: Contract, inputs: readonly Input[], states: readonly InputState[]): Saga<Op[] | null> {
  const { trust } = merchant
  if (trust === undefined || !mayTrust(merchant, { amount })) return null
  if (states.some(({ state }) => state !== 'certified' && state !== 'unavailable')) return null
  for (const { coin } of states) {
    const taken = yield * get(takenAt(coin))
    if (taken !== null && !equal(taken, id)) return null
  }
  const keysets = distinct(inputs.filter((_, i) => states[i].state !== 'certified').map(({ spend }) => spend.coin.keyset))
  const was = yield * get(EXPOSURE)
  const next = added(was === null ? { total: 0, keysets: [] } : stored(Exposure, was), { amount, keysets })
  if (next.total > trust.total || next.keysets.some(one => one.amount > trust.perKeyset)) return null
  return [
    { op: 'swap', key: EXPOSURE, was, value: encode(Exposure, next) },
    { op: 'insert', key: riskAt(id), value: encode(Risk, { amount, keysets }) },
    ...states.map(({ coin }): Op => ({ op: 'insert', key: takenAt(coin), value: id }))
  ]
}

/** Is this a sum that the merchant takes on trust at all? */
export function mayTrust ({ trust }: Merchant, { amount }: Pick<Contract, 'amount'>): boolean {
  return trust !== undefined && amount <= trust.perOrder
}

/** The steps that remember which coins have paid, so that none of them is taken on trust again. */
export function taking (merchant: Merchant, id: Uint8Array, inputs: readonly Input[]): Op[] {
  return merchant.trust === undefined ? [] : inputs.map(({ spend }) => ({ op: 'put', key: takenAt(coinId(merchant.suite, spend.coin)), value: id }))
}

/** The steps that end the risk of a contract, if it was taken on trust. @param id D */
export function * settledRisk (id: Uint8Array): Saga<Op[]> {
  const risk = yield * get(riskAt(id))
  if (risk === null) return []
  const { amount, keysets } = stored(Risk, risk)
  const was = yield * get(EXPOSURE)
  const next = added(was === null ? { total: amount, keysets: [] } : stored(Exposure, was), { amount: -amount, keysets })
  return [{ op: 'swap', key: riskAt(id), was: risk, value: null }, { op: 'swap', key: EXPOSURE, was, value: encode(Exposure, next) }]
}

export function * isAtRisk (id: Uint8Array): Saga<boolean> {
  return (yield * get(riskAt(id))) !== null
}

/** What is at risk now, in all. */
export function * exposure (): Saga<number> {
  const value = yield * get(EXPOSURE)
  return value === null ? 0 : stored(Exposure, value).total
}

function added ({ total: sum, keysets }: Exposure, { amount, keysets: named }: { amount: number, keysets: readonly Uint8Array[] }): Exposure {
  const changed = distinct([...keysets.map(({ keyset }) => keyset), ...named]).map(keyset => {
    const before = keysets.find(one => equal(one.keyset, keyset))?.amount ?? 0
    return { keyset, amount: named.some(one => equal(one, keyset)) ? Math.max(0, before + amount) : before }
  })
  return { total: Math.max(0, total([{ value: amount }], sum)), keysets: changed.filter(one => one.amount > 0) }
}

function distinct (keysets: readonly Uint8Array[]): Uint8Array[] {
  return [...new Map(keysets.map(keyset => [toHex(keyset), keyset])).values()]
}

/** Delivered, and never paid for. */
export interface Loss {
  readonly how: 'token' | 'sealed' | 'coins'
  readonly amount: number
  /** Why: the bank's code for a token, `void`, `double-spend`, `coin-spent`. */
  readonly code: string
  readonly time: number
}

/** In no order. */
export function * losses (): Saga<Loss[]> {
  const found: Loss[] = []
  for (const { value } of yield * scanAll(LOST)) found.push({ how: 'coins', ...stored(Lost, value) })
  found.push(...yield * refusals())
  for (const { value } of yield * scanAll(SETTLED)) {
    const { amount, settlement: { outcome: { outcome: { state, time } } } } = stored(Settled, value)
    if (state === 'void') found.push({ how: 'coins', amount, code: 'void', time })
  }
  return found
}
