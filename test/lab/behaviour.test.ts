/** Who writes when, how long links take and which mixes a path has: seen in what a run tells of its messages. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { simulate, type Trace } from '../../lab/run/simulate.ts'
import type { Summary } from '../../lab/run/summary.ts'
import { readScenario, type Raw } from '../../lab/scenario/read.ts'

const dir = mkdtempSync(join(tmpdir(), 'lab-'))
afterAll(() => { rmSync(dir, { recursive: true }) })

function traced (raw: Raw): { readonly lines: Trace[], readonly summary: Summary } {
  const lines: Trace[] = []
  const { summary } = simulate(readScenario(raw, 'test'), { trace: line => { lines.push(line) } })
  return { lines: lines.sort((a, b) => a.written_s - b.written_s), summary }
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
const deviation = (values: readonly number[]): number => Math.sqrt(mean(values.map(value => (value - mean(values)) ** 2)))

/** Variance over mean of how many come in windows of this length: 1 of a Poisson process. */
function dispersion (lines: readonly Trace[], window: number, seconds: number): number {
  const counts = Array.from({ length: Math.floor(seconds / window) }, () => 0)
  for (const { written_s: at } of lines) if (at - 1 < counts.length * window) counts[Math.floor((at - 1) / window)] += 1
  return deviation(counts) ** 2 / mean(counts)
}

const FAST: Raw = { topology: { layers: 1, width: 1 }, delay: { per_mix_s: 1e-6 }, link: { delay_s: 0.001 }, run: { warmup_s: 1, duration_s: 300 } }

describe('clients', () => {
  const write = (clients: Raw): Trace[] => traced({ ...FAST, clients: { count: 20, total_rate: 20, ...clients } }).lines

  test('that are poisson write one after the other as chance has it', () => {
    const lines = write({})
    expect(Math.abs(lines.length / 6000 - 1)).toBeLessThan(0.05)
    expect(Math.abs(dispersion(lines, 1, 300) - 1)).toBeLessThan(0.35)
  })

  test('that are bursty write bursts: of geometric length, one client each, with exponential gaps', () => {
    const lines = write({ count: 2000, behaviour: 'bursty', burst: 8, burst_gap_s: 0.1 })
    // Of so many clients none begins another burst while one goes on: what is less than 3 s apart is of one.
    const last = new Map<number, number>()
    const gaps: number[] = []
    let bursts = 0
    for (const { sender, written_s: at } of lines) {
      const gap = at - (last.get(sender) ?? -Infinity)
      last.set(sender, at)
      if (gap < 3) gaps.push(gap)
      else bursts += 1
    }
    expect(Math.abs(lines.length / bursts / 8 - 1)).toBeLessThan(0.15)
    expect(Math.abs(mean(gaps) / 0.1 - 1)).toBeLessThan(0.1)
    expect(Math.abs(deviation(gaps) / 0.1 - 1)).toBeLessThan(0.15)
    // E N² / E N of a geometric burst of mean b: 2b − 1.
    expect(Math.abs(dispersion(lines, 10, 300) / 15 - 1)).toBeLessThan(0.5)
  })

  test('that are diurnal write more in the first half of the day, by the law of their swing', () => {
    const lines = write({ behaviour: 'diurnal', swing: 0.8, period_s: 100, total_rate: 40 })
    const first = lines.filter(({ written_s: at }) => at % 100 < 50).length / lines.length
    expect(Math.abs(first - (0.5 + 0.8 / Math.PI))).toBeLessThan(0.02)
    const around = (from: number): number => lines.filter(({ written_s: at }) => at % 100 >= from && at % 100 < from + 10).length
    expect(around(20)).toBeGreaterThan(5 * around(70))
  })
})

describe('links', () => {
  /** Two links, and a mix that takes no time. */
  const over = (link: Raw, clients: Raw = { count: 20, total_rate: 20 }): number[] =>
    traced({ ...FAST, link, clients }).lines.map(({ received_s: received, sent_s: sent }) => (received ?? NaN) - sent)

  test('of constant delay take it', () => {
    const all = over({ delay_s: 0.05 })
    expect(Math.min(...all)).toBeGreaterThan(0.0999)
    expect(Math.max(...all)).toBeLessThan(0.1001)
  })

  test('that are uniform take anything within their spread', () => {
    const all = over({ kind: 'uniform', delay_s: 0.05, spread_s: 0.03 })
    expect(Math.abs(mean(all) / 0.1 - 1)).toBeLessThan(0.02)
    expect(Math.abs(deviation(all) / (0.03 * Math.sqrt(2 / 3)) - 1)).toBeLessThan(0.05)
    expect(Math.min(...all)).toBeGreaterThan(0.04)
    expect(Math.min(...all)).toBeLessThan(0.045)
    expect(Math.max(...all)).toBeGreaterThan(0.155)
    expect(Math.max(...all)).toBeLessThan(0.1601)
  })

  test('that are log-normal have the mean that they are to have, and the deviation of the law', () => {
    const sigma = 0.6
    const all = over({ kind: 'log-normal', delay_s: 0.05, sigma })
    expect(Math.abs(mean(all) / 0.1 - 1)).toBeLessThan(0.03)
    expect(Math.abs(deviation(all) / (0.05 * Math.sqrt(2 * (Math.exp(sigma ** 2) - 1))) - 1)).toBeLessThan(0.1)
    expect(Math.min(...all)).toBeGreaterThan(0)
  })

  test('of a matrix take what stands in the row of where they begin, and the column of where they end', () => {
    const file = join(dir, 'matrix.csv')
    writeFileSync(file, '0.01,0.2\n3,0.04\n')
    const { lines } = traced({ ...FAST, link: { kind: 'matrix', file }, clients: { count: 12, total_rate: 20 } })
    const took = lines.map(({ sender, receiver, sent_s: sent, received_s: received }) => ({ sender, receiver, ms: Math.round(1000 * ((received ?? NaN) - sent)) }))
    // Who writes to himself from where the mix is: 10 + 10, or 40 + 40; from elsewhere 3000 + 200.
    const beside = new Set(took.filter(({ sender, receiver, ms }) => sender === receiver && ms < 100).map(({ sender }) => sender))
    const ofWay = (isSenderBeside: boolean, isReceiverBeside: boolean): number[] =>
      [...new Set(took.filter(({ sender, receiver }) => beside.has(sender) === isSenderBeside && beside.has(receiver) === isReceiverBeside).map(({ ms }) => ms))]
    const isFirst = ofWay(true, true)[0] === 20
    expect([ofWay(true, true), ofWay(false, true), ofWay(true, false), ofWay(false, false)]).toEqual(isFirst ? [[20], [3010], [210], [3200]] : [[80], [240], [3040], [3200]])
  })

  test('a matrix that is none is an error that names its line', () => {
    const file = join(dir, 'bad.csv')
    writeFileSync(file, '0.1,0.2\n0.1,-1\n')
    expect(() => over({ kind: 'matrix', file })).toThrow(/bad\.csv: line 2: delays in seconds wanted/)
    writeFileSync(file, '0.1,0.2\n0.1\n')
    expect(() => over({ kind: 'matrix', file })).toThrow(/line 2: 2 delays wanted/)
    expect(() => over({ kind: 'matrix', file: join(dir, 'none.csv') })).toThrow(/none\.csv: ENOENT/)
  })

  test('lose as many messages as they are to, whatever loops and cover lose on longer and shorter ways', () => {
    const { summary: { messages, packets } } = traced({
      topology: { layers: 3, width: 2 }, delay: { per_mix_s: 0.01 }, link: { delay_s: 0.01, loss: 0.1 }, clients: { count: 20, total_rate: 20 },
      cover: { loop_s: 0.02 }, run: { warmup_s: 1, duration_s: 200 }
    })
    const lost = 1 - 0.9 ** 4
    expect(messages.lost + messages.received).toBe(messages.sent)
    expect(Math.abs(messages.loss - lost)).toBeLessThan(4 * Math.sqrt(lost * (1 - lost) / messages.sent))
    // A loop goes over three links, so that of all packets fewer are lost.
    expect(packets.sent.loop).toBeGreaterThan(10 * messages.sent)
  })
})

describe('paths', () => {
  const paths = (kind: string, set: Raw = {}): ReadonlyArray<readonly number[]> =>
    traced({ topology: { kind, layers: 3, width: 2, ...set }, delay: { per_mix_s: 1e-4 }, link: { delay_s: 0.001 }, clients: { count: 5, total_rate: 50 }, run: { warmup_s: 1, duration_s: 60 } }).lines.map(({ path }) => path)

  test('of free routes have different mixes, any at any place, each as often', () => {
    const all = paths('free-route')
    expect(all.every(path => path.length === 3 && new Set(path).size === 3)).toBe(true)
    for (let place = 0; place < 3; place++) {
      for (let mix = 0; mix < 6; mix++) expect(Math.abs(all.filter(path => path[place] === mix).length / all.length - 1 / 6)).toBeLessThan(0.03)
    }
    // Any order of any three.
    expect(new Set(all.map(String)).size).toBe(6 * 5 * 4)
  })

  test('of layers have one mix of each, any after any; of cascades always the same', () => {
    expect(new Set(paths('stratified').map(String))).toEqual(new Set([0, 1].flatMap(a => [2, 3].flatMap(b => [4, 5].map(c => `${a},${b},${c}`)))))
    expect(new Set(paths('cascade').map(String))).toEqual(new Set(['0,2,4', '1,3,5']))
  })
})
