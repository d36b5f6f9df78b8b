import { describe, expect, it } from 'vitest'
import { isZero } from '@mixmint/core/kit/bytes'
import { drive } from '@mixmint/core/kit/saga'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { MixKeys, type Rotation } from '@mixmint/mixnet/directory/keys'
import { VirtualClock } from '../doubles/clock.ts'
import { EPOCH, PARAMETERS, START } from '../doubles/directory.ts'
import { MemoryKeys } from '../doubles/memory-keys.ts'
import { MemoryStore } from '../doubles/memory-store.ts'
import { seededRng } from '../doubles/rng.ts'

const suite = await defaultSuite()
const { epochLength, epochGrace } = PARAMETERS

class Holder {
  readonly keys: MixKeys
  readonly clock: VirtualClock
  readonly files: MemoryKeys
  readonly #seed: string

  private constructor (keys: MixKeys, clock: VirtualClock, files: MemoryKeys, seed: string) {
    this.keys = keys
    this.clock = clock
    this.files = files
    this.#seed = seed
  }

  static async open (clock = new VirtualClock(START), files = new MemoryKeys(), seed = 'keys'): Promise<Holder> {
    return new Holder(new MixKeys(suite, PARAMETERS, await files.load()), clock, files, seed)
  }

  /** @param reached by default the clock is right */
  async rotate (reached = this.clock.now()): Promise<Rotation> {
    const ports = { clock: this.clock, rng: seededRng(this.#seed), store: new MemoryStore(), wait: this.clock.wait }
    return await drive(this.keys.rotate(reached), ports, async effect => {
      if (effect.do === 'keep-key') await this.files.keep(effect.key)
      else await this.files.destroy(effect.epoch)
    })
  }

  get epochs (): number[] { return this.keys.all.map(({ epoch }) => epoch - EPOCH) }
  get kept (): number[] { return [...this.files.keys.keys()].map(epoch => epoch - EPOCH).sort((a, b) => a - b) }
}

describe('mix keys', () => {
  it('are made for this epoch and the two after, and published', async () => {
    const holder = await Holder.open()
    const { added, destroyed, failure, next } = await holder.rotate()
    expect(added.map(({ epoch }) => epoch - EPOCH)).toEqual([0, 1, 2])
    expect([destroyed, failure]).toEqual([[], null])
    expect(next).toBe(START + epochLength)
    expect(holder.keys.published(START)).toEqual(added.map(({ epoch, publicKey }) => ({ epoch, key: publicKey })))
    for (const { secret, publicKey } of added) expect(suite.x25519Base(secret)).toEqual(publicKey)
    expect(new Set(added.map(({ publicKey }) => publicKey.join())).size).toBe(3)
    expect((await holder.rotate()).added).toEqual([])
  })

  it('live from a grace before their epoch to a grace after it', async () => {
    const holder = await Holder.open()
    await holder.rotate()
    const [first] = holder.keys.all
    expect([first.from, first.until]).toEqual([START - epochGrace, START + epochLength + epochGrace])
  })

  it('are kept through the grace and then destroyed, in memory and on the disk', async () => {
    const holder = await Holder.open()
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
    expect(holder.kept).toEqual([1, 2, 3])
  })

  it('are the same after a restart, and those that expired meanwhile are destroyed', async () => {
    const holder = await Holder.open()
    await holder.rotate()
    const before = holder.keys.all.map(({ publicKey }) => publicKey)
    const again = await Holder.open(holder.clock, holder.files, 'other')
    expect((await again.rotate()).added.map(({ publicKey }) => publicKey)).toEqual(before)
    expect(again.keys.all.map(({ publicKey }) => publicKey)).toEqual(before)
    holder.clock.set(START + 10 * epochLength)
    const late = await Holder.open(holder.clock, holder.files, 'late')
    const { added, destroyed } = await late.rotate()
    expect(destroyed).toHaveLength(3)
    expect(added.map(({ epoch }) => epoch - EPOCH)).toEqual([10, 11, 12])
    expect(late.epochs).toEqual([10, 11, 12])
    expect(late.kept).toEqual([10, 11, 12])
  })
})

describe('a clock that jumps', () => {
  it('forward destroys nothing, however far, until the time is certain', async () => {
    const holder = await Holder.open()
    await holder.rotate()
    const before = holder.keys.all
    for (const jump of [3_600_000, 365 * 86_400_000]) {
      holder.clock.set(START + jump)
      for (const reached of [-Infinity, START, before[0].until]) {
        const { destroyed } = await holder.rotate(reached)
        expect(destroyed).toEqual([])
      }
    }
    // Set right: the keys that the documents list are there.
    holder.clock.set(START + 1000)
    await holder.rotate()
    expect(holder.keys.published(START + 1000)).toEqual(before.map(({ epoch, publicKey }) => ({ epoch, key: publicKey })))
    expect(before.every(({ secret }) => !isZero(secret))).toBe(true)
  })

  it('back destroys nothing, and publishes no more than keys of the epoch it shows', async () => {
    const holder = await Holder.open()
    await holder.rotate()
    holder.clock.set(START - 5 * epochLength)
    expect((await holder.rotate(START + 10 * epochLength)).destroyed).toEqual([])
    expect(holder.keys.published(holder.clock.now()).map(({ epoch }) => epoch - EPOCH)).toEqual([-5, -4, -3])
    holder.clock.set(START)
    await holder.rotate()
    expect(holder.epochs).toEqual([0, 1, 2])
    expect(holder.kept).toEqual([0, 1, 2])
  })

  it('asks to be called when the lagging certainty is there, or not at all while there is none', async () => {
    const holder = await Holder.open()
    await holder.rotate()
    const { until } = holder.keys.all[0]
    holder.clock.set(until + 10)
    expect((await holder.rotate(until - 500)).next).toBe(until + 10 + 501)
    expect((await holder.rotate(-Infinity)).next).toBe(START + 2 * epochLength)
  })
})

describe('a disk that refuses', () => {
  it('a new key: it is not shown, the others serve on, and it is made when there is room', async () => {
    const holder = await Holder.open()
    await holder.rotate()
    holder.files.failure = new Error('disk full')
    holder.clock.set(START + epochLength)
    expect(await holder.rotate()).toMatchObject({ added: [], failure: holder.files.failure })
    expect(holder.keys.published(holder.clock.now()).map(({ epoch }) => epoch - EPOCH)).toEqual([1, 2])
    holder.files.failure = null
    expect((await holder.rotate()).added.map(({ epoch }) => epoch - EPOCH)).toEqual([3])
  })

  it('to make the second of three keys: the first is shown', async () => {
    const holder = await Holder.open()
    const { keep } = holder.files
    holder.files.keep = async key => {
      if (key.epoch > EPOCH) throw new Error('disk full')
      await keep(key)
    }
    expect((await holder.rotate()).added.map(({ epoch }) => epoch - EPOCH)).toEqual([0])
    holder.files.keep = keep
    expect((await holder.rotate()).added.map(({ epoch }) => epoch - EPOCH)).toEqual([1, 2])
  })

  it('to destroy a key: it is gone from memory, and destroyed as soon as may be', async () => {
    const holder = await Holder.open()
    await holder.rotate()
    const [first] = holder.keys.all
    holder.clock.set(first.until + 1)
    await holder.rotate(first.until)
    holder.files.failure = new Error('input/output error')
    expect(await holder.rotate()).toMatchObject({ destroyed: [first], failure: holder.files.failure })
    expect(isZero(first.secret)).toBe(true)
    expect(holder.kept).toContain(0)
    holder.files.failure = null
    expect(await holder.rotate()).toMatchObject({ destroyed: [], failure: null })
    expect(holder.kept).toEqual([1, 2, 3])
  })

  it('to destroy a key, and a clock that goes back meanwhile: none is made in its place', async () => {
    const holder = await Holder.open()
    await holder.rotate()
    holder.clock.set(START + epochLength + epochGrace + 1)
    holder.files.destroy = async () => { throw new Error('input/output error') }
    await holder.rotate()
    holder.clock.set(START)
    expect((await holder.rotate()).added).toEqual([])
  })
})
