import { describe, expect, it } from 'vitest'
import { isZero } from '@mixmint/core/kit/bytes'
import type { BatchResult, Op, Store } from '@mixmint/core/kit/ports'
import { drive, type Saga } from '@mixmint/core/kit/saga'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { MixKeys, type Rotation } from '@mixmint/mixnet/directory/keys'
import { VirtualClock } from '../doubles/clock.ts'
import { EPOCH, PARAMETERS, START } from '../doubles/directory.ts'
import { MemoryStore } from '../doubles/memory-store.ts'
import { seededRng } from '../doubles/rng.ts'

const suite = await defaultSuite()
const { epochLength, epochGrace } = PARAMETERS

class Holder {
  readonly keys = new MixKeys(suite, PARAMETERS)
  readonly clock: VirtualClock
  readonly store: Store
  readonly #seed: string

  constructor (clock = new VirtualClock(START), store: Store = new MemoryStore(), seed = 'keys') {
    this.clock = clock
    this.store = store
    this.#seed = seed
  }

  async run<T> (saga: Saga<T>): Promise<T> {
    return await drive(saga, { clock: this.clock, rng: seededRng(this.#seed), store: this.store, wait: this.clock.wait }, async () => null)
  }

  async rotate (): Promise<Rotation> { return await this.run(this.keys.rotate()) }
  get epochs (): number[] { return this.keys.all.map(({ epoch }) => epoch - EPOCH) }
  async stored (): Promise<number> { return (await this.store.scan({ prefix: new TextEncoder().encode('directory/mix-key/'), limit: 100 })).length }
}

describe('mix keys', () => {
  it('are made for this epoch and the two after, and published', async () => {
    const holder = new Holder()
    const { made, destroyed, next } = await holder.rotate()
    expect(made.map(({ epoch }) => epoch - EPOCH)).toEqual([0, 1, 2])
    expect(destroyed).toEqual([])
    expect(next).toBe(START + epochLength)
    expect(holder.keys.published(START)).toEqual(made.map(({ epoch, publicKey }) => ({ epoch, key: publicKey })))
    for (const { secret, publicKey } of made) expect(suite.x25519Base(secret)).toEqual(publicKey)
    expect(new Set(made.map(({ publicKey }) => publicKey.join())).size).toBe(3)
  })

  it('live from a grace before their epoch to a grace after it', async () => {
    const holder = new Holder()
    await holder.rotate()
    const [first] = holder.keys.all
    expect([first.from, first.until]).toEqual([START - epochGrace, START + epochLength + epochGrace])
  })

  it('are kept through the grace and then destroyed, in memory and in the store', async () => {
    const holder = new Holder()
    await holder.rotate()
    const [first] = holder.keys.all
    holder.clock.set(START + epochLength)
    expect((await holder.rotate()).next).toBe(START + epochLength + epochGrace + 1)
    expect(holder.epochs).toEqual([0, 1, 2, 3])
    expect(holder.keys.published(holder.clock.now()).map(({ epoch }) => epoch - EPOCH)).toEqual([1, 2, 3])
    holder.clock.set(first.until)
    expect((await holder.rotate()).destroyed).toEqual([])
    expect(isZero(first.secret)).toBe(false)
    holder.clock.advance(1)
    const { destroyed } = await holder.rotate()
    expect(destroyed).toEqual([first])
    expect(isZero(first.secret)).toBe(true)
    expect(holder.epochs).toEqual([1, 2, 3])
    expect(await holder.stored()).toBe(3)
  })

  it('are overwritten in the store before they are deleted', async () => {
    const inner = new MemoryStore()
    const seen: Array<readonly Op[]> = []
    const store: Store = { get: inner.get.bind(inner), scan: inner.scan.bind(inner), close: inner.close.bind(inner), batch: async (ops): Promise<BatchResult> => { seen.push(ops); return await inner.batch(ops) } }
    const holder = new Holder(undefined, store)
    await holder.rotate()
    holder.clock.set(START + epochLength + epochGrace + 1)
    seen.length = 0
    await holder.rotate()
    const steps = seen.flat().filter(({ op }) => op === 'put' || op === 'delete')
    expect(steps.map(({ op }) => op)).toEqual(['put', 'delete'])
    expect(steps[0]).toMatchObject({ value: new Uint8Array(32) })
  })

  it('are the same after a restart, and those that expired meanwhile are gone', async () => {
    const holder = new Holder()
    await holder.rotate()
    const before = holder.keys.all.map(({ publicKey }) => publicKey)
    const again = new Holder(holder.clock, holder.store, 'other')
    await again.run(again.keys.open())
    expect((await again.rotate()).made).toEqual([])
    expect(again.keys.all.map(({ publicKey }) => publicKey)).toEqual(before)
    holder.clock.set(START + 10 * epochLength)
    const late = new Holder(holder.clock, holder.store, 'late')
    await late.run(late.keys.open())
    const { destroyed } = await late.rotate()
    expect(destroyed).toHaveLength(3)
    expect(late.epochs).toEqual([10, 11, 12])
    expect(await late.stored()).toBe(3)
  })

  it('are shown only once they are durable', async () => {
    const inner = new MemoryStore()
    const store: Store = { get: inner.get.bind(inner), scan: inner.scan.bind(inner), close: inner.close.bind(inner), batch: async () => { throw new Error('power lost') } }
    const holder = new Holder(undefined, store)
    await expect(holder.rotate()).rejects.toThrow('power lost')
    expect(holder.keys.published(START)).toEqual([])
  })
})
