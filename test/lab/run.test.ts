import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { reportOf } from '../../lab/report/run.ts'
import { pointOf, readFolder, writeFolder } from '../../lab/run/folder.ts'
import { parseSweep, pointsOf } from '../../lab/run/points.ts'
import { simulate, type Trace } from '../../lab/run/simulate.ts'
import { runAll } from '../../lab/run/sweep.ts'
import { readScenario, setKey, type Raw } from '../../lab/scenario/read.ts'
import type { Scenario } from '../../lab/scenario/schema.ts'

const dir = mkdtempSync(join(tmpdir(), 'lab-'))
afterAll(() => { rmSync(dir, { recursive: true }) })

const SMALL: Raw = {
  topology: { layers: 2, width: 3 }, delay: { per_mix_s: 0.1 }, link: { delay_s: 0.01 }, clients: { count: 20, total_rate: 100 },
  measure: { targets: 5, target_interval_s: 0.5 }, run: { warmup_s: 1 }
}

function scenario (set: Readonly<Record<string, string>> = {}): Scenario {
  const raw = structuredClone(SMALL)
  for (const [key, value] of Object.entries(set)) setKey(raw, key, value)
  return readScenario(raw, 'test')
}

const bytes = (folder: string): string[] => readdirSync(folder).sort().map(file => `${file}: ${readFileSync(join(folder, file), 'utf8')}`)

describe('a run', () => {
  test('is repeated by its seed to the byte, and not by another one', () => {
    const write = (name: string, seed: string): string[] => {
      const one = scenario({ 'run.seed': seed })
      writeFolder(join(dir, name), [pointOf(one, simulate(one))])
      return bytes(join(dir, name))
    }
    const first = write('a', '7')
    expect(write('b', '7')).toEqual(first)
    expect(write('c', '8')).not.toEqual(first)
  })

  test('counts every packet: what was sent is received or dropped', () => {
    const { summary: { packets, messages } } = simulate(scenario({ 'link.loss': '0.05', 'cover.send_s': '0.1', 'cover.loop_s': '0.5', 'run.duration_s': '20', 'mix.queue_limit': '14', 'churn.up_s': '5', 'churn.down_s': '1' }))
    const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((a, b) => a + b, 0)
    expect(packets.dropped).toEqual({ 'link': expect.any(Number) as number, 'queue-full': expect.any(Number) as number, 'mix-down': expect.any(Number) as number, 'adversary': 0 })
    expect(Object.values(packets.dropped).filter(n => n > 0)).toHaveLength(3)
    // Messages are waited for, what hides them is not.
    const [sent, ended] = [sum(packets.sent), sum(packets.received) + sum(packets.dropped)]
    expect(ended).toBeLessThanOrEqual(sent)
    expect(ended).toBeGreaterThan(0.98 * sent)
    expect(messages.loss).toBeGreaterThan(1 - 0.95 ** 3 - 0.02)
  })

  test('tells of each message when it is asked to', () => {
    const lines: Trace[] = []
    const { summary } = simulate(scenario(), { trace: line => { lines.push(line) } })
    expect(lines.length).toBe(summary.messages.sent)
    for (const { written_s, received_s, path } of lines) {
      expect(received_s as number - written_s).toBeGreaterThan(0.03)
      expect(path.map(mix => Math.floor(mix / 3))).toEqual([0, 1])
    }
  })

  test('cover: packets leave at times that do not tell when there is something to say', () => {
    const packets = (rate: string): number => {
      const { summary } = simulate(scenario({ 'cover.send_s': '0.05', 'clients.total_rate': rate, 'run.duration_s': '60', 'measure.targets': '0' }))
      return summary.packets.sent.message + summary.packets.sent.drop
    }
    const expected = 20 / 0.05 * 60
    for (const rate of ['1', '200']) expect(Math.abs(packets(rate) - expected)).toBeLessThan(4 * Math.sqrt(expected))
  })

  test.each<[string, Readonly<Record<string, string>>, number]>([
    ['bursty', { 'clients.behaviour': 'bursty', 'clients.burst': '5' }, 100],
    ['diurnal', { 'clients.behaviour': 'diurnal', 'clients.period_s': '5' }, 100]
  ])('clients that are %s write as much as they are to', (_, set, rate) => {
    const { summary } = simulate(scenario({ ...set, 'run.duration_s': '100', 'measure.targets': '0' }))
    expect(Math.abs(summary.messages.sent / (100 * rate) - 1)).toBeLessThan(0.12)
  })
})

describe('the adversary', () => {
  const bits = (set: Readonly<Record<string, string>>): number => simulate(scenario({ 'measure.targets': '25', ...set })).summary.entropy_bits?.mean ?? NaN

  test('who owns all mixes knows the one message; who owns none, least', () => {
    const [none, half, all] = ['0', '0.5', '1'].map(part => bits({ 'adversary.corrupt_fraction': part }))
    expect(all).toBe(0)
    expect(half).toBeGreaterThan(0)
    expect(none).toBeGreaterThan(half)
  })

  test('who sees fewer links knows less', () => {
    expect(bits({ 'adversary.observer': 'partial', 'adversary.links_seen': '0' })).toBeGreaterThan(bits({}) + 0.2)
  })

  /** E log2(1 + n), n being inside when the target comes: of the Poisson law of what is left after the hold and the wait for it. */
  const beside = (rate: number, mean: number, hold: number): number => {
    const of = (load: number): number => {
      let [sum, p] = [0, Math.exp(-load)]
      for (let n = 0; n < 100; n++, p *= load / n) sum += p * Math.log2(1 + n)
      return sum
    }
    const steps = 1000
    return Array.from({ length: steps }, (_, i) => of(rate * mean * Math.exp(-(hold - Math.log((i + 0.5) / steps) / rate) / mean))).reduce((a, b) => a + b) / steps
  }

  test('who is active has a target beside what was left in its first mix when it came, and alone if he waited; what he kept is lost', () => {
    const [passive, ...active] = [{}, ...['0', '0.1', '2'].map(hold => ({ 'adversary.observer': 'active', 'adversary.hold_s': hold }))]
      .map(set => simulate(scenario({ 'topology.layers': '1', 'topology.width': '2', 'measure.targets': '100', 'measure.target_interval_s': '2', ...set })).summary)
    for (const [i, hold] of [0, 0.1, 2].entries()) expect(Math.abs((active[i].entropy_bits?.mean ?? NaN) - beside(50, 0.1, hold))).toBeLessThan(0.2)
    const [none, , all] = active
    expect(all).toMatchObject({ entropy_bits: { mean: 0 }, right_guess: 1 })
    expect(passive.entropy_bits?.mean).toBeGreaterThan((none.entropy_bits?.mean ?? NaN) + 0.8)
    // Of 50 that come in a second, for as long as he holds them back and the target is inside.
    expect(Math.abs(all.packets.dropped.adversary / 100 / (50 * 2.1) - 1)).toBeLessThan(0.1)
    expect(passive.packets.dropped.adversary).toBe(0)
  })

  test('who is active has no more than the first mix, of whatever topology', () => {
    const of = (kind: string, set: Readonly<Record<string, string>> = {}): number => bits({ 'topology.kind': kind, 'topology.width': '6', 'adversary.observer': 'active', 'adversary.hold_s': '1', ...set })
    expect(of('free-route')).toBeGreaterThan(2)
    expect(of('stratified')).toBeGreaterThan(1)
    expect(of('stratified', { 'topology.layers': '1' })).toBe(0)
  })

  test('knows more of a cascade\'s messages than of as many layers', () => {
    expect(bits({ 'topology.kind': 'cascade' })).toBeLessThan(bits({}) - 0.5)
  })

  test('batches: a threshold mix hides each among its batch', () => {
    expect(bits({ 'topology.width': '1', 'topology.layers': '1', 'strategy.kind': 'threshold', 'strategy.batch': '16' })).toBeCloseTo(4, 6)
  })
})

describe('a scenario', () => {
  test.each<[string, Raw, RegExp]>([
    ['a key that is not there', { topology: { layer: 3 } }, /no topology\.layer; did you mean topology\.layers\?/],
    ['a section that is not there', { topologie: {} }, /no topologie; did you mean topology\?/],
    ['a value of another kind', { topology: { layers: '3' } }, /topology\.layers: a whole number from 1 to 16 wanted/],
    ['links that take longer than all', { delay: { end_to_end_s: 0.2 }, clients: { rate: 1 }, run: { duration_s: 1 } }, /the 4 links alone take 0\.2 s/],
    ['no end', { delay: { per_mix_s: 1 }, clients: { rate: 1 } }, /run\.duration_s: wanted/],
    ['an active observer without targets', { delay: { per_mix_s: 1 }, clients: { rate: 1 }, run: { duration_s: 1 }, adversary: { observer: 'active' } }, /measure\.targets: wanted where adversary\.observer is active/],
    ['an active observer of batches', { strategy: { kind: 'threshold' }, clients: { rate: 1 }, measure: { targets: 1 }, adversary: { observer: 'active' } }, /strategy\.kind: poisson or timed wanted/],
    ['two rates', { delay: { per_mix_s: 1 }, clients: { rate: 1, total_rate: 1 }, run: { duration_s: 1 } }, /rate or total_rate/]
  ])('refuses %s', (_, raw, why) => {
    expect(() => readScenario(raw, 'file.toml')).toThrow(why)
  })

  test('a budget of delays is divided among the layers there are', () => {
    const mean = (layers: string): number => simulate(scenario({ 'delay.per_mix_s': '0', 'delay.end_to_end_s': '0.5', 'topology.layers': layers, 'run.duration_s': '60', 'measure.targets': '0' })).summary.theory?.transit_s.mean ?? NaN
    expect([mean('1'), mean('4')]).toEqual([0.5, 0.5])
  })
})

test('a sweep is the same over any number of threads, and joined from jobs', async () => {
  const scenarios = pointsOf(SMALL, [parseSweep('topology.layers=1,2'), parseSweep('topology.width=2,[3,3]')], 1)
    .filter(raw => (raw.topology as Raw).layers === 2).flatMap(raw => pointsOf(raw, [], 2)).map(raw => readScenario(raw, 'test'))
  expect(scenarios.map(({ topology: { width }, run: { seed } }) => [width, seed])).toEqual([[2, 1], [2, 2], [[3, 3], 1], [[3, 3], 2]])
  const parts: number[] = []
  const points = await runAll(scenarios, 2, dir, part => { parts.push(part) })
  expect(parts.at(-1)).toBe(1)
  writeFolder(join(dir, 'sweep'), points)
  scenarios.forEach((one, i) => { writeFolder(join(dir, `job${i}`), [pointOf(one, simulate(one))]) })
  writeFolder(join(dir, 'joined'), scenarios.flatMap((_, i) => readFolder(join(dir, `job${i}`))))
  expect(bytes(join(dir, 'joined'))).toEqual(bytes(join(dir, 'sweep')))
  const html = reportOf(points)
  expect(html).toMatch(/<table>/)
  // A page of its own: nothing is fetched.
  expect(html).not.toMatch(/(?:src|href)="https?:/)
})
