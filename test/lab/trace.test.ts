import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { analyse } from '../../lab/live/analysis.ts'
import { readProbes, writeProbes } from '../../lab/live/folder.ts'
import type { Probed } from '../../lab/live/session.ts'
import { readMetrics, traceScenario, type Node } from '../../lab/live/trace.ts'
import { simulate } from '../../lab/run/simulate.ts'
import { parseToml, readScenario } from '../../lab/scenario/read.ts'
import { PARAMETERS } from '../doubles/directory.ts'

const suite = await defaultSuite()
const SCENARIO = readScenario({
  topology: { layers: 4, width: [2, 3, 3, 3] }, delay: { per_mix_s: 0.05 }, link: { delay_s: 0.02 }, clients: { count: 64, rate: 2 }, cover: { send_s: 0.1, loop_s: 1 }, run: { duration_s: 100 }
}, 'test')
const SECONDS = 300

/** Probes of a network that is as the scenario says: two ways each, without cover at the service and the gateway. */
function probed (): Probed {
  const { tally: { transits: { values } } } = simulate(SCENARIO)
  const layers = [2, 3, 3, 3].map((width, i) => ({ name: i === 0 ? 'gateways' : `layer ${i}`, nodes: Array.from({ length: width }, (_, j) => `n${i}${j}`) }))
  const path = [0, 1, 2, 3].map(i => `n${i}0`)
  return {
    network: 'test', epoch: 7, parameters: { ...PARAMETERS, meanDelay: 50, queueLimit: 4096, cover: { send: 100, echoes: 0, pace: 0, loop: 1000 } },
    layers: [...layers, { name: 'services', nodes: ['bank'] }], rate: 2, documents: 1,
    trips: Array.from({ length: 1000 }, (_, i) => ({ sent_s: i / 2, there: [...path, 'bank'], back: [...path.slice(1), 'n00'], took_s: i % 10 === 9 ? null : values[2 * i] + values[2 * i + 1] }))
  }
}

function exposed (role: string, figures: Readonly<Record<string, number>>): string {
  return [
    '# HELP mixmint_build_info 1, with what runs here.', '# TYPE mixmint_build_info gauge', `mixmint_build_info{version="0.1.0",role="${role}",suite="native"} 1`, '',
    ...Object.entries(figures).map(([name, value]) => `${name} ${value}`), ''
  ].join('\n')
}

test('what is written of a network that is simulated is the scenario of it, within what probes and blunt metrics tell', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'lab-trace-'))
  const probes = probed()
  writeProbes(dir, probes, analyse(suite, probes, { scenario: null }))
  const [wallets, requests] = ['mixmint_gateway_wallets{state="attached"}', 'mixmint_service_requests_total{via="mixnet"}']
  const node = (role: string, before: Record<string, number>, after: Record<string, number>): Node =>
    ({ before: readMetrics(exposed(role, before), 'before'), after: readMetrics(exposed(role, { ...before, ...after }), 'after') })
  const [sent, came, cpu] = ['mixmint_gateway_packets_received_total', 'mixmint_mix_packets_received_total', 'process_cpu_seconds_total']
  const nodes = [
    node('gateway', { [wallets]: 32, [sent]: 1600, [came]: 3200, [cpu]: 10 }, { [sent]: 97_600, [came]: 195_200, [cpu]: 68 }),
    node('gateway', { [wallets]: 32, [sent]: 0, [came]: 0, [cpu]: 0 }, { [sent]: 96_000, [came]: 192_000, [cpu]: 58 }),
    node('bank', { [requests]: 16, [came]: 10_000_000, [cpu]: 0 }, { [requests]: 38_416, [cpu]: 1000 })
  ]
  const text = traceScenario(readProbes(dir), nodes, SECONDS)
  rmSync(dir, { recursive: true })
  const scenario = readScenario(parseToml(text, 'traced'), 'traced')
  expect(scenario).toMatchObject({
    topology: SCENARIO.topology, strategy: { kind: 'poisson' }, delay: SCENARIO.delay, clients: { count: 64, rate: 2 }, cover: SCENARIO.cover, mix: { queue_limit: 4096 }
  })
  expect(Math.abs(scenario.link.delay_s - 0.02)).toBeLessThan(0.003)
  expect(scenario.link.loss).toBeCloseTo(1 - 0.9 ** 0.1, 5)
  // Of mixes and gateways only: (58 + 58 s) over (192 000 + 192 000) packets.
  expect(scenario.cost.peel_us).toBeCloseTo(116 / 384_000 * 1e6, 1)
  // Each line says where it comes from.
  expect(text.split('\n').filter(line => line !== '' && !line.startsWith('[')).every(line => line.includes('  # '))).toBe(true)
})

test('without metrics it says what is assumed; text that is none is refused', () => {
  const dir = mkdtempSync(join(tmpdir(), 'lab-trace-'))
  const probes = probed()
  writeProbes(dir, probes, analyse(suite, probes, { scenario: null }))
  const text = traceScenario(readProbes(dir), [], null)
  rmSync(dir, { recursive: true })
  expect(text).toMatch(/^count = 200 {2}# assumed/m)
  expect(text).toMatch(/^rate = .* {2}# assumed/m)
  expect(() => readMetrics('<html>', 'page')).toThrow(/page: line 1/)
  expect(() => readProbes('/nowhere')).toThrow(/no folder of `lab probe`/)
})
