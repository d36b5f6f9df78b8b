/** What is measured is what happens: mixes that tick, messages that wait, targets that are lost. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { simulate } from '../../lab/run/simulate.ts'
import { readScenario, type Raw } from '../../lab/scenario/read.ts'

const finished = (raw: Raw): ReturnType<typeof simulate> => simulate(readScenario(raw, 'test'))

test('a mix that ticks is looked at in every phase', () => {
  const { summary: { mixes: { occupancy, utilisation } } } = finished({
    topology: { layers: 1, width: 1 }, strategy: { kind: 'timed', interval_s: 0.2 }, clients: { total_rate: 400 }, cost: { peel_us: 1000 }, run: { duration_s: 400, warmup_s: 1 }
  })
  // Between 0 and 80, evenly: 80²/12, and a Poisson number's own 40.
  expect(Math.abs(occupancy.mean - 40)).toBeLessThan(4 * Math.sqrt(573 / 400))
  expect(Math.abs(occupancy.variance / 573 - 1)).toBeLessThan(0.25)
  expect(utilisation).toBeCloseTo(0.4, 1)
})

test.each(['timed', 'pool'])('of a path of several %s mixes no law is claimed, as beats are kept', kind => {
  const of = (layers: number): unknown => finished({
    topology: { layers, width: 1 }, strategy: { kind, interval_s: 0.2, pool: 10, threshold: 1000 }, clients: { total_rate: 400 }, run: { duration_s: 2 }
  }).summary.theory
  expect(of(1)).not.toBeNull()
  expect(of(2)).toBeNull()
})

test('messages that wait at their client when the measured time is over are waited for', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'lab-')), 'trace.csv')
  // All written within a second, at the last moment that counts too; the client sends about one a second.
  writeFileSync(file, Array.from({ length: 51 }, (_, i) => `${1 + i / 50},0,1\n`).join(''))
  const { summary: { messages, latency_s: latency } } = finished({
    topology: { layers: 1, width: 1 }, delay: { per_mix_s: 0.01 }, clients: { count: 2, behaviour: 'trace', file }, cover: { send_s: 1 }, run: { warmup_s: 1, duration_s: 1 }
  })
  rmSync(dirname(file), { recursive: true })
  expect(messages).toEqual({ sent: 51, received: 51, lost: 0, loss: 0, unfinished: 0 })
  // The i-th waits for i ticks: 26 on the mean.
  expect(latency?.mean).toBeGreaterThan(13)
  expect(latency?.most).toBeGreaterThan(30)
})

const ONE_MIX: Raw = { topology: { layers: 1, width: 1 }, delay: { per_mix_s: 0.02 }, run: { warmup_s: 1 } }

test('targets are apart by their interval at least, whatever silences there are', () => {
  const { tally: { anonymity } } = finished({
    ...ONE_MIX, clients: { count: 2, total_rate: 20, behaviour: 'bursty', burst: 100, burst_gap_s: 0.01 }, measure: { targets: 60, target_interval_s: 2 }
  })
  const sent = anonymity.map(one => one.sent).sort((a, b) => a - b)
  expect(sent).toHaveLength(60)
  expect(Math.min(...sent.slice(1).map((at, i) => at - sent[i]))).toBeGreaterThanOrEqual(2000)
})

test('targets that are lost are counted, and the run ends without them', () => {
  const { summary: { entropy_bits: bits, measured_s: seconds } } = finished({
    ...ONE_MIX, clients: { total_rate: 200 }, link: { loss: 0.1 }, measure: { targets: 100, target_interval_s: 0.5 }
  })
  expect(seconds).toBeLessThan(500)
  expect(bits?.n).toBeLessThan(100)
  expect(bits?.n).toBeGreaterThan(70)
})

test('a message that is received costs what it and those that are lost take: visits, bytes on links, processors', () => {
  const { summary: { cost, mixes: { utilisation }, messages } } = finished({
    topology: { layers: 2, width: 2 }, delay: { per_mix_s: 0.02 }, link: { delay_s: 0.01, loss: 0.2 }, clients: { total_rate: 200 }, cost: { packet_bytes: 1000, peel_us: 500 }, run: { warmup_s: 1, duration_s: 200 }
  })
  expect(Math.abs(messages.loss - (1 - 0.8 ** 3))).toBeLessThan(0.01)
  // Of each message sent 0.8 + 0.8² visits and 1 + 0.8 + 0.8² transmissions, and 0.8³ are received.
  expect(Math.abs((cost?.packets ?? 0) / ((0.8 + 0.64) / 0.512) - 1)).toBeLessThan(0.02)
  expect(Math.abs((cost?.bytes ?? 0) / (1000 * (1 + 0.8 + 0.64) / 0.512) - 1)).toBeLessThan(0.02)
  expect(cost?.cpu_ms).toBeCloseTo((cost?.packets ?? 0) * 0.5, 9)
  // Over four mixes, of which two see 0.8 of all and two 0.64.
  expect(Math.abs(utilisation / (200 * (0.8 + 0.64) / 4 * 500e-6) - 1)).toBeLessThan(0.02)
})

test('of what loops and drop packets cost, messages bear all', () => {
  const { summary: { cost } } = finished({
    topology: { layers: 2, width: 2 }, delay: { per_mix_s: 0.02 }, clients: { count: 10, total_rate: 10 }, cover: { send_s: 0.2, loop_s: 0.1 }, run: { warmup_s: 1, duration_s: 300 }
  })
  // A second: 50 packets of clients with two visits, 40 loops with one; ten messages.
  expect(Math.abs((cost?.packets ?? 0) / ((100 + 40) / 10) - 1)).toBeLessThan(0.08)
  expect(Math.abs((cost?.bytes ?? 0) / (4608 * (150 + 80) / 10) - 1)).toBeLessThan(0.08)
})
