import { expect, test } from 'vitest'
import type { Op, Store } from '@mixmint/core/kit/ports'
import { drive } from '@mixmint/core/kit/saga'
import { CLOCK_STEP, SteadyClock } from '@mixmint/core/cash/steady-clock'
import { VirtualClock } from '../doubles/clock.ts'
import { never, START } from '../doubles/economy.ts'
import { FaultyStore } from '../doubles/faulty-store.ts'
import { MemoryStore } from '../doubles/memory-store.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'

function setUp (store: Store = new MemoryStore()) {
  const wall = new VirtualClock(START)
  const meter = new CountingMeter()
  const start = (): SteadyClock => new SteadyClock(meter)
  const tell = async (clock: SteadyClock): Promise<number> => await drive(clock.now(), { clock: wall, rng: seededRng(1), store, wait: wall.wait }, never)
  return { wall, meter, start, tell }
}

test('tells the wall clock\'s time while that goes forward', async () => {
  const { wall, meter, start, tell } = setUp()
  const clock = start()
  for (const step of [0, 1, 999, 1, 5000, 86_400_000]) {
    wall.advance(step)
    expect(await tell(clock)).toBe(wall.now())
  }
  expect(meter.of('clock_behind')).toBe(0)
})

test('does not run back, and says so', async () => {
  const { wall, meter, start, tell } = setUp()
  const clock = start()
  await tell(clock)
  wall.advance(-CLOCK_STEP)
  expect(await tell(clock)).toBe(START)
  expect(meter.of('clock_behind')).toBe(0)
  wall.advance(-1)
  expect(await tell(clock)).toBe(START)
  expect(meter.of('clock_behind')).toBe(1)
})

test('nor across a restart, by more than a step', async () => {
  const { wall, start, tell } = setUp()
  const clock = start()
  for (let i = 0; i < 100; i++) {
    wall.advance(i * 37)
    const told = await tell(clock)
    const here = wall.now()
    wall.set(0)
    expect(await tell(start())).toBeGreaterThanOrEqual(told - CLOCK_STEP)
    wall.set(here)
  }
})

test('writes once a step, not every time', async () => {
  let writes = 0
  class Counting extends MemoryStore {
    override async batch (ops: readonly Op[]) {
      writes += 1
      return await super.batch(ops)
    }
  }
  const { wall, start, tell } = setUp(new Counting())
  const clock = start()
  for (let i = 0; i < 1000; i++) {
    wall.advance(10)
    await tell(clock)
  }
  expect(writes).toBeGreaterThanOrEqual(9)
  expect(writes).toBeLessThanOrEqual(11)
})

test('tells nothing that is not yet written', async () => {
  const gate = Promise.withResolvers<undefined>()
  class Slow extends MemoryStore {
    override async batch (ops: readonly Op[]) {
      await gate.promise
      return await super.batch(ops)
    }
  }
  const { start, tell } = setUp(new Slow())
  const clock = start()
  let told = 0
  const asked = Promise.all([tell(clock), tell(clock)]).then(times => { told = times[0] })
  await new Promise(resolve => setImmediate(resolve))
  expect(told).toBe(0)
  gate.resolve(undefined)
  await asked
  expect(told).toBe(START)
})

test('several on one store hold each other to the latest time', async () => {
  const { wall, start, tell } = setUp()
  const [a, b] = [start(), start()]
  await tell(b)
  wall.advance(10_000)
  const times = await Promise.all([tell(a), tell(b), tell(a)])
  expect(times).toEqual([wall.now(), wall.now(), wall.now()])
  wall.set(START + 5_000)
  expect(await tell(start())).toBe(START + 10_000)
})

test('a slow writer does not put an earlier time over a later one', async () => {
  const disk = new MemoryStore()
  const gate = Promise.withResolvers<void>()
  const slow = setUp(new FaultyStore(disk, { before: async operation => { if (operation === 'batch') await gate.promise } }))
  const fast = setUp(disk)
  fast.wall.advance(10_000)
  const told = slow.tell(slow.start())
  await new Promise(resolve => setImmediate(resolve))
  await fast.tell(fast.start())
  gate.resolve()
  await told
  fast.wall.set(0)
  expect(await fast.tell(fast.start())).toBe(START + 10_000)
})

test.each(['put', 'delete'] as const)('a store that was put back under it (%s) is told, and never brought forward again', async op => {
  const store = new MemoryStore()
  const { wall, start, tell } = setUp(store)
  const clock = start()
  await tell(clock)
  const [{ key, value }] = await store.scan({ prefix: new Uint8Array(0), limit: 1 })
  wall.advance(10 * CLOCK_STEP)
  await tell(clock)
  await store.batch([op === 'put' ? { op, key, value } : { op, key }])
  const before = await store.get(key)
  wall.advance(2 * CLOCK_STEP)
  for (let i = 0; i < 2; i++) await expect(tell(clock)).rejects.toMatchObject({ code: 'store-older', fault: 'operator' })
  expect(await store.get(key)).toEqual(before)
})
