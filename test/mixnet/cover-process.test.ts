import { describe, expect, test } from 'vitest'
import { PoissonProcess } from '@mixmint/mixnet/cover/process'
import { EngineClock } from '../doubles/engine-clock.ts'
import { seededRng } from '../doubles/rng.ts'
import { chiSquare, ksOneSample } from '../reference/statistics.ts'

const exponentialCdf = (mean: number) => (x: number): number => x <= 0 ? 0 : 1 - Math.exp(-x / mean)
const gaps = (times: readonly number[]): number[] => times.slice(1).map((time, i) => time - times[i])

/** The times of its ticks, as a caller sees them that is woken `late` ms after each is due. */
function run (process: PoissonProcess, ms: number, { clock = new EngineClock(), late = (): number => 0, rng = seededRng('process') } = {}): number[] {
  const times: number[] = []
  const look = (now: number): void => { for (let ticks = process.ticks(now, rng); ticks > 0; ticks--) times.push(now) }
  look(clock.now)
  clock.run(clock.now + ms, process, look, late)
  return times
}

describe('a Poisson process', () => {
  test('has independent, exponential distances', () => {
    const distances = gaps(run(new PoissonProcess(() => 100), 300_000))
    expect(ksOneSample(distances, exponentialCdf(100))).toBeGreaterThan(0.001)
    // Short after short as often as short after long.
    const pairs = [0, 0, 0, 0]
    for (let i = 0; i + 1 < distances.length; i += 2) pairs[(distances[i] < 69 ? 2 : 0) + (distances[i + 1] < 69 ? 1 : 0)] += 1
    const share = 1 - Math.exp(-0.69)
    const total = pairs.reduce((a, b) => a + b)
    const expected = [(1 - share) ** 2, (1 - share) * share, share * (1 - share), share ** 2].map(p => p * total)
    expect(chiSquare(pairs, expected)).toBeGreaterThan(0.001)
  })

  test('keeps its rate when timers are late, and only then has several ticks at once', () => {
    const rng = seededRng('late')
    const onTime = run(new PoissonProcess(() => 10), 100_000)
    expect(new Set(onTime).size).toBe(onTime.length)
    const late = run(new PoissonProcess(() => 10), 100_000, { late: () => rng.bytes(1)[0] / 4 })
    expect(Math.abs(late.length - 10_000)).toBeLessThan(4 * Math.sqrt(10_000))
  })

  test.each([['slept for an hour', 3_600_000], ['was set back by an hour', -3_600_000], ['was set ahead by two seconds', 2_000]])('goes on from now when the clock %s: no burst, no pause', (_what, jump) => {
    const clock = new EngineClock(1e9)
    const process = new PoissonProcess(() => 100)
    run(process, 10_000, { clock })
    clock.now += jump
    const woken = clock.now
    const rng = seededRng('after')
    expect(process.ticks(woken, rng)).toBe(0)
    const times = run(process, 10_000, { clock, rng })
    expect(Math.abs(times.length - 100)).toBeLessThan(40)
    expect(times[0] - woken).toBeLessThan(1_000)
  })

  test('takes up another mean, and stops and begins with it', () => {
    let mean = 0
    const rng = seededRng('mean')
    const process = new PoissonProcess(() => mean)
    expect([process.ticks(0, rng), process.due]).toEqual([0, null])
    mean = 100
    expect(process.ticks(10, rng)).toBe(0)
    expect(process.due).toBeGreaterThan(10)
    mean = 5
    const times = run(process, 10_000, { clock: new EngineClock(20), rng })
    expect(Math.abs(times.length - 2000)).toBeLessThan(4 * Math.sqrt(2000))
    // Nor is a long wait that was drawn before waited for.
    mean = 1e7
    process.ticks(10_030, rng)
    mean = 5
    process.ticks(10_040, rng)
    expect(process.due).toBeLessThan(10_240)
    mean = 0
    expect([process.ticks(20_000, rng), process.due]).toEqual([0, null])
  })
})
