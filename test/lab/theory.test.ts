/** Closed forms where there are some, near what is measured; and none where there is none. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { normalCdf, sumCdf } from '../../lab/measure/convolution.ts'
import { erlangCdf } from '../../lab/measure/statistics.ts'
import { simulate } from '../../lab/run/simulate.ts'
import { readScenario, type Raw } from '../../lab/scenario/read.ts'

const BASE: Record<string, Raw> = {
  topology: { layers: 2, width: 4 }, strategy: { kind: 'threshold', batch: 20 }, link: { delay_s: 0.01 }, clients: { count: 50, total_rate: 800 }, run: { duration_s: 30, warmup_s: 2 }
}

function compare (set: Record<string, Raw>): { readonly theory: number | null, readonly measured: number, readonly p: number | undefined, readonly bits: number | undefined } {
  const sections = [...new Set([...Object.keys(BASE), ...Object.keys(set)])]
  const raw = Object.fromEntries(sections.map(section => [section, { ...BASE[section], ...set[section] }]))
  const { summary: { theory, transit_s: transit } } = simulate(readScenario(raw, 'test'))
  return { theory: theory?.transit_s.mean ?? null, measured: transit?.mean ?? NaN, p: theory?.ks?.p, bits: theory?.mix_entropy_bits }
}

const ONE = { layers: 1, width: 1 }
const POOL = { kind: 'pool', interval_s: 0.2, threshold: 10_000, pool: 50 }
const TIMED = { kind: 'timed', interval_s: 0.2 }
const COVERED = { cover: { send_s: 0.05 }, clients: { behaviour: 'bursty' } }

test.each<[string, Record<string, Raw>]>([
  ['threshold', {}],
  ['threshold, links that lose', { link: { loss: 0.1 } }],
  ['threshold, loops and links that lose', { link: { loss: 0.1 }, cover: { loop_s: 0.05 }, topology: { layers: 3 } }],
  ['threshold, whatever clients do behind cover', COVERED],
  ['threshold, a cascade, through which batches stay together', { topology: { kind: 'cascade', layers: 3 } }],
  ['threshold, a layer of one mix', { topology: { width: [4, 1] } }],
  ['timed', { topology: ONE, strategy: TIMED }],
  ['timed, links that lose', { topology: ONE, strategy: TIMED, link: { loss: 0.2 } }],
  ['pool, links that lose', { topology: ONE, strategy: POOL, link: { loss: 0.3 } }],
  ['pool, whatever clients do behind cover', { topology: ONE, strategy: POOL, ...COVERED }],
  ['poisson, uniform links', { strategy: { kind: 'poisson' }, delay: { per_mix_s: 0.02 }, link: { kind: 'uniform', delay_s: 0.05, spread_s: 0.04 } }],
  ['poisson, log-normal links', { strategy: { kind: 'poisson' }, delay: { per_mix_s: 0.02 }, link: { kind: 'log-normal', delay_s: 0.05, sigma: 0.7 } }],
  ['poisson, bursts and links that lose', { strategy: { kind: 'poisson' }, delay: { per_mix_s: 0.1 }, clients: { behaviour: 'bursty' }, link: { loss: 0.1 } }]
])('%s: the mean is as the closed form has it', (name, set) => {
  const { theory, measured, p } = compare(set)
  expect(Math.abs(measured / (theory ?? NaN) - 1)).toBeLessThan(0.025)
  if (name.startsWith('poisson')) expect(p).toBeDefined()
  if (p !== undefined) expect(p).toBeGreaterThan(0.001)
})

describe('links from a matrix', () => {
  const dir = mkdtempSync(join(tmpdir(), 'lab-'))
  afterAll(() => { rmSync(dir, { recursive: true }) })
  const file = join(dir, 'places.csv')
  // Far apart, and not the same there and back, so that a wrong mean is seen.
  writeFileSync(file, '0.001,0.4,0.02\n0.1,0.002,0.3\n0.05,0.7,0.003\n')

  test.each<[string, Raw]>([
    ['stratified', { layers: 3, width: [2, 5, 3] }], ['a cascade', { kind: 'cascade', layers: 3, width: 4 }], ['free routes', { kind: 'free-route', layers: 3, width: 2 }], ['one mix', { layers: 1, width: 1 }]
  ])('%s: the mean is by the places that the seed draws', (_, topology) => {
    const means = ['1', '2', '3'].map(seed => {
      const { theory, measured, p } = compare({ topology, strategy: { kind: 'poisson' }, delay: { per_mix_s: 0.01 }, link: { kind: 'matrix', file }, clients: { count: 7 }, run: { seed: Number(seed), duration_s: 60 } })
      expect(Math.abs(measured / (theory ?? NaN) - 1)).toBeLessThan(0.02)
      expect(p).toBeUndefined()
      return theory
    })
    expect(new Set(means).size).toBe(3)
  })

  test('of clients whose file says who writes whom there is none', () => {
    const mail = join(dir, 'mail.csv')
    writeFileSync(mail, '3,0,1\n')
    expect(compare({ strategy: { kind: 'poisson' }, delay: { per_mix_s: 0.01 }, link: { kind: 'matrix', file }, clients: { total_rate: 0, behaviour: 'trace', file: mail } }).theory).toBeNull()
  })
})

test.each<[string, Record<string, Raw>]>([
  ['threshold, bursts without cover', { clients: { behaviour: 'bursty' } }],
  ['threshold, more to a batch than find room', { mix: { queue_limit: 19 } }],
  ['threshold, a cascade that loses', { topology: { kind: 'cascade' }, link: { loss: 0.1 } }],
  ['threshold, free routes', { topology: { kind: 'free-route' } }],
  ['timed, late ones find no room', { topology: ONE, strategy: TIMED, mix: { queue_limit: 150 } }],
  ['timed, days as short as intervals', { topology: ONE, strategy: TIMED, clients: { behaviour: 'diurnal', period_s: 1 } }],
  ['pool, bursts without cover', { topology: ONE, strategy: POOL, clients: { behaviour: 'bursty' } }],
  ['mixes that stop', { strategy: { kind: 'poisson' }, delay: { per_mix_s: 0.1 }, churn: { up_s: 10 } }]
])('%s: no form is claimed', (_, set) => {
  expect(compare({ ...set, run: { duration_s: 1 } }).theory).toBeNull()
})

test('the law of a sum on a grid: of two uniform terms a triangle, of exponential ones Erlang\'s', () => {
  const uniform = { cdf: (x: number) => Math.min(1, Math.max(0, x)), most: 1 }
  const triangle = sumCdf([uniform, uniform])
  for (const [x, p] of [[-1, 0], [0.1, 0.005], [0.5, 0.125], [1, 0.5], [1.5, 0.875], [3, 1]]) expect(triangle(x)).toBeCloseTo(p, 4)
  const one = { cdf: (x: number) => erlangCdf(1, 0.1, x), most: 2 }
  const three = sumCdf([one, one, one])
  for (const x of [0.05, 0.2, 0.3, 0.7, 1.5]) expect(Math.abs(three(x) - erlangCdf(3, 0.1, x))).toBeLessThan(2e-4)
  expect([normalCdf(0), normalCdf(1.959964), normalCdf(-1)].map(p => Math.round(p * 1e6) / 1e6)).toEqual([0.5, 0.975, 0.158655])
})

test('Danezis\' form for one mix: of what links leave of a Poisson process, and of no other', () => {
  const bits = (set: Record<string, Raw>): number | undefined => compare({ ...set, strategy: { kind: 'poisson' }, delay: { per_mix_s: 0.1 }, run: { duration_s: 1 } }).bits
  expect(bits({})).toBeCloseTo(Math.log2(200 * Math.E / 10), 9)
  expect(bits({ link: { loss: 0.5 } })).toBeCloseTo(Math.log2(100 * Math.E / 10), 9)
  expect(bits(COVERED)).toBeCloseTo(Math.log2(250 * Math.E / 10), 9)
  expect(bits({ clients: { behaviour: 'bursty' } })).toBeUndefined()
  expect(bits({ clients: { total_rate: 40 } })).toBeUndefined()
})
