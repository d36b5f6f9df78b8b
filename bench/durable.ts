/**
 * What the benches of engines share: sagas driven many at a time against a real LMDB in a folder of its own, beside the
 * primitives that each of them cannot do without, in turn, so that a busy machine is busy for both.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Op, Store } from '@mixmint/core/kit/ports'
import { drive, type BasePorts, type Saga } from '@mixmint/core/kit/saga'
import { sleep, systemClock, systemRng } from '../nodes/clock.ts'
import { openLmdb } from '../nodes/store/lmdb.ts'
import { median, timeInFlight as inFlight } from './harness.ts'

export const IN_FLIGHT = 64

/** Run `work` with a fresh durable store, and clear away behind it. */
export async function withStore<T> (work: (store: Store) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'mixmint-bench-'))
  const store = await openLmdb(folder)
  try {
    return await work(store)
  } finally {
    await store.close()
    rmSync(folder, { recursive: true })
  }
}

/** Microseconds of each of `count` calls, 64 of them in flight at any time. */
export async function timeInFlight (count: number, call: (i: number) => Promise<unknown>): Promise<number> {
  return await inFlight(count, IN_FLIGHT, call)
}

/** Drive a saga that has no effects of its own. */
export async function run<T> (store: Store, saga: Saga<T>): Promise<T> {
  const ports: BasePorts = { clock: systemClock, rng: systemRng, store, wait: sleep }
  return await drive(saga, ports, async effect => { throw new Error(`no such effect: ${String(effect)}`) })
}

export async function insertAll (store: Store, ops: readonly Op[]): Promise<void> {
  const result = await store.batch(ops)
  if (!result.done) throw new Error('the bench inserts a key twice')
}

export interface Primitive {
  readonly name: string
  /** Calls in one of what is measured. */
  readonly times: number
  /** Microseconds of one call, measured over `count` calls from number `from` on. */
  readonly measure: (count: number, from: number) => number | Promise<number>
}

export interface Compared {
  readonly ratio: number
  /** Microseconds. */
  readonly engine: number
  readonly sum: number
  /** Of each primitive, all its calls together. */
  readonly parts: ReadonlyArray<{ readonly name: string, readonly value: number }>
}

/** The engine and its primitives in turn, `rounds` rounds of `count`: medians, and the median of the rounds' ratios. */
export async function compare (rounds: number, count: number, engine: (count: number, from: number) => Promise<number>, primitives: readonly Primitive[]): Promise<Compared> {
  const taken: Array<{ engine: number, parts: number[] }> = []
  for (let round = 0; round <= rounds; round++) {
    const parts: number[] = []
    for (const { times, measure } of primitives) parts.push(times * await measure(count, round * count))
    taken.push({ engine: await engine(count, round * count), parts })
  }
  const measured = taken.slice(1)
  const sum = (parts: readonly number[]): number => parts.reduce((a, b) => a + b, 0)
  return {
    ratio: median(measured.map(({ engine, parts }) => engine / sum(parts))),
    engine: median(measured.map(({ engine }) => engine)),
    sum: median(measured.map(({ parts }) => sum(parts))),
    parts: primitives.map(({ name, times }, i) => ({ name: times === 1 ? name : `${times} × ${name}`, value: median(measured.map(({ parts }) => parts[i])) }))
  }
}
