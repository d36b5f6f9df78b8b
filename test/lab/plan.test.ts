import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { exponential } from '@mixmint/core/kit/samplers'
import { seededRng } from '../../lab/kernel/rng.ts'
import { PARTS, readCosts, timesOf, variationOf, type Costs, type Times } from '../../lab/plan/costs.ts'
import { planFor, type Goal, type Plan } from '../../lab/plan/plan.ts'
import { meanSojourn, simulatePayments, sojournQuantile } from '../../lab/plan/queue.ts'
import { planReport } from '../../lab/report/plan.ts'
import { ringOf } from '../../lab/ring/ring.ts'

const suite = await defaultSuite()
const always = (us: number): Times => ({ mean: us, quantiles: [us] })
const exponentials = (us: number): Times => ({ ...timesOf(Array.from({ length: PARTS }, (_, i) => -Math.log(1 - (i + 0.5) / PARTS) * us)) })

/** Round figures: 10 ms a spend, 20 ms a settlement, 5 ms a signature, 1 ms a packet. */
const COSTS: Costs = {
  machine: 'a made-up machine', measured: '2026-11-27', version: '0.1.0', node: 'v22', load: 0, cores: 2,
  center: { spend_us: always(10_000), request_bytes: 1000, reply_bytes: 500, disk_bytes: 2000 },
  bank: { settle_us: always(20_000), settle_coins: 4, settle_outputs: 2, withdraw_output_us: 1000, sign_us: 5000, request_bytes: 8000, reply_bytes: 2000, disk_bytes: 10_000, postgres: null },
  mix: { packet_us: 1000, packets_s: 600, packet_bytes: 4608, tag_bytes: 36 }
}
const GOAL: Goal = {
  payments: 10, p99_s: 3, survive: 1, coins: 4, change: 2, packets: 2, session_s: 20, utilisation: 0.5, link_s: 0.02, layers: 3, delay_s: null,
  cover: { send_s: 0.1, echoes: 0.2, pace_s: 0.1, loop_s: 1 }, virtualNodes: 512, seed: 1
}
const plan = (changes: Partial<Goal> = {}, costs = COSTS): Plan => planFor(suite, { ...GOAL, ...changes }, costs)

describe('a queue', () => {
  const CENTERS = 4
  /** One coin for each payment, kept by all, so that each center has a Poisson stream of its own. */
  const simulated = (rate: number, spend: Times, payments = 40_000): ReturnType<typeof simulatePayments> => simulatePayments({
    rate, coins: 1, ring: ringOf(suite, { centers: CENTERS, virtualNodes: 8, replicas: 4, faults: 1, quorum: 3 }, 1), dead: new Set(), spend, banks: 1, settle: always(1), link_s: 0
  }, payments, seededRng(1, 'queue'))
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

  test.each([0.3, 0.7])('of exponential and of constant times, busy %f of its time, is as Pollaczek and Khinchine say', busy => {
    for (const times of [exponentials(1000), always(1000)]) {
      const { sojourns, busiest } = simulated(busy * 1000, times)
      expect(busiest).toBeCloseTo(busy, 1)
      expect(mean(sojourns) / meanSojourn(busy * 1000, times)).toBeCloseTo(1, 0.7)
    }
  })

  test('the quantile by formula is exact for exponential times: P(T > t) = e^(−(1 − ρ) t / s)', () => {
    // Of a sojourn; that of the wait and the service's mean is a little less.
    const exact = 0.001 / (1 - 0.7) * Math.log(100)
    const formula = sojournQuantile(700, exponentials(1000), 0.99)
    expect(Math.abs(formula / exact - 1)).toBeLessThan(0.1)
    const { sojourns } = simulated(700, exponentials(1000))
    expect(Math.abs(sojourns.toSorted((a, b) => a - b)[Math.floor(0.99 * sojourns.length)] / exact - 1)).toBeLessThan(0.15)
    expect([meanSojourn(1001, always(1000)), sojournQuantile(1001, always(1000), 0.99)]).toEqual([Infinity, Infinity])
  })

  test('a coin has its certificate with the last of a quorum\'s votes: links there and back, one service; with too few keepers it has none', () => {
    const ring = ringOf(suite, { centers: 4, virtualNodes: 8, replicas: 4, faults: 1, quorum: 3 }, 1)
    const system = { rate: 0.01, coins: 2, ring, spend: always(10_000), banks: 1, settle: always(20_000), link_s: 0.05 }
    // Two coins of the same keepers: the second waits for the first.
    const { certified, settled, stuck } = simulatePayments({ ...system, dead: new Set([0]) }, 100, seededRng(1, 'queue'))
    for (const at of certified) expect(at).toBeCloseTo(0.12, 9)
    for (const at of settled) expect(at).toBeCloseTo(0.12 + 0.02 + 0.1, 9)
    expect(stuck).toBe(0)
    expect(simulatePayments({ ...system, dead: new Set([0, 1]) }, 100, seededRng(1, 'queue')).stuck).toBe(100)
  })
})

describe('a plan', () => {
  test('of a small system, by hand', () => {
    const { centers, bank, mixes, gateways, ring, parameters } = plan()
    // 10 payments × 4 coins × 4 keepers × 10 ms = 1.6 of a center; half of the time: 3.2, of which the busiest has more than the mean, and a coin has 4 keepers.
    expect(ring).toMatchObject({ replicas: 4, faults: 1, quorum: 3, coins_lost_with_survive_down: 0 })
    expect(centers.count).toBe(4)
    for (const [value, wanted] of [[centers.spends_s, 40], [centers.utilisation, 0.4], [centers.bytes_in_day / 86_400, 40 * 1000], [centers.disk_bytes_day / 86_400, 40 * 2000]]) expect(value).toBeCloseTo(wanted, 6)
    // 10 × (20 ms + 2 outputs × 1 ms) = 0.22 of a process; one, and one that may be down. 40 signatures × 5 ms = 0.2 of a thread.
    expect(bank).toMatchObject({ count: 2, signing_threads: 1, signatures_s: 40 })
    expect(bank.utilisation_degraded).toBeCloseTo(0.22, 9)
    // 200 wallets × 10 packets and 2 answers a second = 2400 packets × 1 ms, beside 3 loops: ⌈2.4 / 0.497⌉, and one.
    expect(parameters.wallets_at_a_time).toBe(200)
    expect(mixes).toMatchObject({ per_layer: 6, count: 18 })
    expect(mixes.packets_s).toBeCloseTo(400, 6)
    expect(gateways).toMatchObject({ count: 6 })
    expect(mixes.utilisation_degraded).toBeCloseTo(0.483, 9)
  })

  test('of a bank of several processes counts what its PostgreSQL takes; one server may not do', () => {
    const postgres = { settle_us: always(30_000), withdraw_output_us: 2000, server_us: 4000, disk_bytes: 5000 }
    const shared = { ...COSTS, bank: { ...COSTS.bank, postgres } }
    // 60 × (30 ms + 2 × 2 ms) = 2.04 of a process, half of the time: ⌈4.08⌉ and one. 60 × 4 ms = 0.24 of a server.
    const { bank } = plan({ payments: 60 }, shared)
    expect(bank).toMatchObject({ count: 6, postgres: { servers: 1, standbys: 1, settlements_s: 60 } })
    expect(bank.postgres?.utilisation).toBeCloseTo(0.24, 9)
    expect(bank.disk_bytes_day / 86_400).toBeCloseTo(60 * 5000, 6)
    // 200 × 4 ms = 0.8: two servers, which no single bank has.
    const large = plan({ payments: 200 }, shared)
    expect(large.bank.postgres).toMatchObject({ servers: 2, standbys: 2 })
    expect(large.notes.join('\n')).toContain('as many banks')
    // Whose one process is enough has its money in its own folder; of costs without PostgreSQL it is said that it was not measured.
    expect(plan({ survive: 0 }, shared).bank).toMatchObject({ count: 1, postgres: null })
    const unmeasured = plan()
    expect(unmeasured.bank.postgres).toBe(null)
    expect(unmeasured.notes.join('\n')).toContain('without one')
  })

  test('more payments, or more that may be down, never take fewer machines', () => {
    const sizes = (all: Plan[]): number[][] => all.map(({ centers, bank, mixes, gateways }) => [centers.count, bank.count, bank.signing_threads, mixes.count, gateways.count])
    const isRising = (rows: number[][]): boolean => rows.every((row, i) => i === 0 || row.every((value, j) => value >= rows[i - 1][j]))
    expect(isRising(sizes([1, 3, 10, 30, 60].map(payments => plan({ payments }))))).toBe(true)
    expect(isRising(sizes([0, 1, 2].map(survive => plan({ survive }))))).toBe(true)
  })

  test('is in time as simulated, with all up and with as many down as may be; nothing is overloaded', () => {
    for (const survive of [0, 1, 2]) {
      const { payment_s: payment, centers, bank, mixes, gateways, ring } = plan({ survive, payments: 30 }, { ...COSTS, center: { ...COSTS.center, spend_us: exponentials(10_000) } })
      expect(payment.all_up.p99).toBeLessThanOrEqual(3)
      expect(payment.degraded.p99).toBeLessThanOrEqual(3)
      for (const { utilisation_degraded: busy } of [centers, bank, mixes, gateways]) expect(busy).toBeLessThanOrEqual(0.5)
      expect(ring.coins_lost_with_survive_down).toBe(0)
      expect(ring.coins_lost_with_one_more_down).toBeGreaterThan(0)
    }
  })

  test('delays at mixes as long as the goal permits; a goal that nothing meets is refused, and says what takes the time', () => {
    const [tight, wide] = [1.7, 3].map(p99_s => plan({ p99_s }))
    expect(tight.parameters.mean_delay_s).toBeLessThan(wide.parameters.mean_delay_s)
    expect(wide.parameters.mean_delay_s).toBe(0.05)
    expect(tight.payment_s.degraded.p99).toBeLessThanOrEqual(1.7)
    expect(() => plan({ p99_s: 0.5 })).toThrow(expect.objectContaining({ code: 'goal-out-of-reach', message: expect.stringContaining('cover') as string }) as Error)
    expect(() => plan({ p99_s: 1.7, delay_s: 0.05 })).toThrow(expect.objectContaining({ code: 'goal-out-of-reach' }) as Error)
  })

  test('says what takes most: without cover it is no longer the mixes', () => {
    expect(plan().binding.cores).toBe('mixes')
    expect(plan({ payments: 60, cover: { send_s: 0, echoes: 0, pace_s: 0, loop_s: 0 } }).binding.cores).toBe('centers')
  })

  test('says when packets of mixes were measured far from the rate that is planned', () => {
    const notes = (packets_s: number): string => plan({}, { ...COSTS, mix: { ...COSTS.mix, packets_s } }).notes.join('\n')
    expect(notes(100)).toMatch(/measured at 100 a second, and here are 4\d\d/)
    expect(notes(600)).not.toContain('a packet costs a mix')
  })

  test('is a page that needs nothing beside it', () => {
    const html = planReport(plan())
    expect(html).toContain('10 payments a second')
    expect(html).not.toMatch(/<script|https?:\/\/(?!www\.w3\.org)/)
  })
})

describe('costs', () => {
  test('keep mean and spread of what was measured, the rare long ones too', () => {
    const rng = seededRng(1, 'gaps')
    const gaps = Array.from({ length: 20_000 }, (_, i) => i % 100 === 0 ? 5000 : exponential(rng, 100))
    const times = timesOf(gaps)
    expect(times.mean).toBeCloseTo(gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length, 6)
    expect(times.quantiles.reduce((sum, value) => sum + value, 0) / PARTS).toBeCloseTo(times.mean, 6)
    const spread = gaps.reduce((sum, gap) => sum + (gap - times.mean) ** 2, 0) / gaps.length / times.mean ** 2
    expect(Math.abs(variationOf(times) / spread - 1)).toBeLessThan(0.1)
  })

  test('that are old, of another version, or none, are refused', () => {
    const dir = mkdtempSync(join(tmpdir(), 'lab-costs-'))
    const file = join(dir, 'costs.json')
    const write = (value: unknown): void => { writeFileSync(file, JSON.stringify(value)) }
    const at = Date.parse('2026-12-01')
    write(COSTS)
    expect(readCosts(file, at, '0.1.0', false)).toEqual(COSTS)
    const old = expect.objectContaining({ code: 'old-costs' }) as Error
    expect(() => readCosts(file, at + 181 * 86_400_000, '0.1.0', false)).toThrow(old)
    expect(() => readCosts(file, at, '0.2.0', false)).toThrow(old)
    expect(readCosts(file, at + 1e12, '0.2.0', true)).toEqual(COSTS)
    for (const wrong of [{}, { ...COSTS, bank: { ...COSTS.bank, postgres: { settle_us: always(1), withdraw_output_us: 1, server_us: 0, disk_bytes: 1 } } }, { ...COSTS, machine: '' }, { ...COSTS, mix: { ...COSTS.mix, packet_us: 0 } }, { ...COSTS, center: { ...COSTS.center, spend_us: { mean: 1, quantiles: [] } } }]) {
      write(wrong)
      expect(() => readCosts(file, at, '0.1.0', false)).toThrow(expect.objectContaining({ code: 'bad-scenario' }) as Error)
    }
    rmSync(dir, { recursive: true })
  })
})
