/**
 * What was measured of a running network, as a scenario: from the folder of a probing and from the metrics of its daemons
 * (docs/watching.md), which are blunt (decision 56): what people do is told in steps of 16. Each figure says where it comes from.
 */
import { bad } from '../scenario/fields.ts'
import { parseToml, readScenario } from '../scenario/read.ts'
import { SCENARIO } from '../scenario/schema.ts'
import type { readProbes } from './folder.ts'

/** Series of one daemon: by name, with labels sorted in braces where there are any. */
export type Series = ReadonlyMap<string, number>

/** The metrics of one daemon, at one or two times. */
export interface Node { readonly after: Series, readonly before: Series | null }

/** In Prometheus' text format (exposition format 0.0.4). @throws bad-scenario (caller) */
export function readMetrics (text: string, where: string): Series {
  const series = new Map<string, number>()
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const found = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?\s*$/.exec(line)
    if (found === null) throw bad(where, `line ${i + 1}: no line of Prometheus' text format`)
    const [, name, labels = '', value] = found
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([pair]) => pair).sort()
    series.set(pairs.length === 0 ? name : `${name}{${pairs.join()}}`, value === '+Inf' ? Infinity : Number(value))
  }
  return series
}

/** A line of the scenario. */
interface Line { readonly key: string, readonly value: string, readonly from: string }

/**
 * @param seconds between `before` and `after`; null: there is no `before`
 * @returns TOML that `lab run` takes
 * @throws bad-scenario (caller)
 */
export function traceScenario (probes: ReturnType<typeof readProbes>, nodes: readonly Node[], seconds: number | null): string {
  const { summary, parameters, layers } = probes
  const { cover, strategy, meanDelay, queueLimit, packetSize } = parameters
  const path = layers.slice(0, -1)
  const directory = 'the directory\'s document'
  const sections: Record<string, Line[]> = {
    scenario: [{ key: 'name', value: JSON.stringify(`${summary.network}, epoch ${summary.epoch}`), from: directory }],
    topology: [
      { key: 'layers', value: String(path.length), from: `${directory}: gateways, and layers of mixes` },
      { key: 'width', value: JSON.stringify(path.map(({ nodes }) => Math.max(1, nodes.length))), from: `${directory}: nodes of each` }
    ],
    strategy: Object.entries(strategy).map(([key, value]) => ({ key: key === 'interval' ? 'interval_s' : key, value: JSON.stringify(key === 'interval' ? Number(value) / 1000 : value), from: directory })),
    delay: strategy.kind === 'poisson' ? [{ key: 'per_mix_s', value: String(meanDelay / 1000), from: `${directory}${told(nodes, seconds)}` }] : [],
    link: [
      { key: 'kind', value: '"constant"', from: 'assumed' },
      { key: 'delay_s', value: figure(summary.link_s), from: `probes: what the median of ${summary.probes.home} round trips takes beyond a network without links, over the links of one` },
      { key: 'loss', value: figure(1 - (1 - summary.probes.loss) ** (1 / (2 * parameters.pathLength))), from: `probes: ${summary.probes.lost} of ${summary.probes.ended} were lost, spread over the links of a round trip` }
    ],
    clients: clients(nodes, seconds, cover),
    cover: [
      { key: 'send_s', value: figure(cover.send / 1000), from: `${directory}${wallets(nodes, seconds, cover)}` },
      { key: 'loop_s', value: figure(cover.loop / 1000), from: directory }
    ],
    mix: [{ key: 'queue_limit', value: String(Math.max(1, queueLimit)), from: directory }],
    cost: [{ key: 'packet_bytes', value: String(packetSize), from: directory }, ...processor(nodes, seconds)],
    run: [{ key: 'duration_s', value: '60', from: 'assumed' }, { key: 'warmup_s', value: String(SCENARIO.run.warmup_s.fallback), from: 'assumed' }]
  }
  const text = Object.entries(sections).filter(([, lines]) => lines.length > 0)
    .map(([section, lines]) => `[${section}]\n${lines.map(({ key, value, from }) => `${key} = ${value}  # ${from}\n`).join('')}`).join('\n')
  readScenario(parseToml(text, 'trace'), 'trace')
  return text
}

const FALLBACK_CLIENTS = 200

/** Wallets, and what they say: their links tell neither, services count requests. */
function clients (nodes: readonly Node[], seconds: number | null, cover: { readonly send: number }): Line[] {
  const gateways = nodes.filter(({ after }) => after.has('mixmint_gateway_wallets{state="attached"}'))
  const attached = gateways.reduce((sum, { after }) => sum + (after.get('mixmint_gateway_wallets{state="attached"}') ?? 0), 0)
  const count: Line = attached > 0
    ? { key: 'count', value: String(attached), from: `metrics: wallets at ${gateways.length} gateways, told in steps of 16 each` }
    : { key: 'count', value: String(FALLBACK_CLIENTS), from: 'assumed: no gateway\'s metrics tell of wallets' }
  const asked = rate(nodes, seconds, 'mixmint_service_requests_total{via="mixnet"}')
  const most = cover.send > 0 ? 1000 / cover.send : Infinity
  const each = asked === null ? 0 : Math.min(most, asked / Number(count.value))
  return [count, each > 0
    ? { key: 'rate', value: figure(each), from: 'metrics: requests that services were asked over the mixnet, for each wallet; of one message each' }
    : { key: 'rate', value: figure(Math.min(1, most / 2)), from: 'assumed: cover hides what is a message, and no service\'s metrics tell it' }]
}

/** A second, of all nodes that tell it; null: none, or one time only. */
function rate (nodes: readonly Node[], seconds: number | null, name: string): number | null {
  if (seconds === null) return null
  const grown = nodes.flatMap(({ before, after }) => after.has(name) && before !== null ? [Math.max(0, (after.get(name) as number) - (before.get(name) ?? 0))] : [])
  return grown.length === 0 ? null : grown.reduce((sum, one) => sum + one, 0) / seconds
}

function told (nodes: readonly Node[], seconds: number | null): string {
  const [sum, count] = [rate(nodes, seconds, 'mixmint_mix_delay_seconds_sum'), rate(nodes, seconds, 'mixmint_mix_delay_seconds_count')]
  return sum === null || count === null || count === 0 ? '' : `; metrics: packets stayed ${figure(sum / count)} s`
}

function wallets (nodes: readonly Node[], seconds: number | null, { send }: { readonly send: number }): string {
  const sent = rate(nodes, seconds, 'mixmint_gateway_packets_received_total')
  return sent === null ? '' : `; metrics: gateways got ${figure(sent)} packets/s from wallets${send === 0 ? '' : `, as ${figure(sent * send / 1000)} wallets with cover send`}`
}

/** Of mixes and gateways, all that their processes do, over the packets that came. */
function processor (nodes: readonly Node[], seconds: number | null): Line[] {
  const mixes = nodes.filter(({ after }) => after.has('mixmint_mix_packets_received_total') && [...after.keys()].some(name => /^mixmint_build_info\{.*role="(mix|gateway)"/.test(name)))
  const [used, packets] = [rate(mixes, seconds, 'process_cpu_seconds_total'), rate(mixes, seconds, 'mixmint_mix_packets_received_total')]
  return used === null || packets === null || packets === 0 || used === 0
    ? []
    : [{ key: 'peel_us', value: figure(used / packets * 1e6), from: `metrics: processor time of ${mixes.length} mixes and gateways for each packet, with all else that they do` }]
}

/** Six digits, as TOML has numbers. */
function figure (value: number): string {
  return String(Number(value.toPrecision(6)))
}
