/** Scenarios from text: TOML, what is set over it, and what only makes sense together. */
import { parse } from 'smol-toml'
import { isMixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import type { Strategy } from '@mixmint/mixnet/directory/formats'
import { bad, readFields } from './fields.ts'
import { SCENARIO, type Scenario } from './schema.ts'

export type Raw = Record<string, unknown>

/** @param where the file, for errors @throws bad-scenario (caller) */
export function parseToml (text: string, where: string): Raw {
  try {
    return parse(text)
  } catch (error) {
    if (isMixmintError(error)) throw error
    throw bad(where, (error as Error).message.split('\n')[0])
  }
}

/**
 * Set `section.key` in place.
 * @param value as it would stand in TOML; a text may stand without its quotes
 * @throws bad-scenario (caller)
 */
export function setKey (raw: Raw, key: string, value: string): void {
  const parts = key.split('.')
  if (parts.length !== 2 || parts.some(part => part === '')) throw bad('--set', `${key}: section.key wanted, such as topology.layers`)
  const [section, name] = parts
  const table = (raw[section] ??= {}) as Raw
  table[name] = valueOf(value)
}

export function valueOf (text: string): unknown {
  try {
    return parse(`v = ${text}`).v
  } catch {
    return text
  }
}

/** @throws bad-scenario (caller) */
export function readScenario (raw: Raw, where: string): Scenario {
  const scenario = readFields(SCENARIO, raw, where)
  const { topology, clients, run, measure, strategy, cover, link } = scenario
  if (Array.isArray(topology.width) && topology.width.length !== topology.layers) throw bad(where, `topology.width: ${topology.layers} numbers wanted, one a layer, or a single one`)
  if (topology.kind === 'cascade' && Array.isArray(topology.width)) throw bad(where, 'topology.width: a single number wanted, as all layers of cascades are as wide')
  if (clients.behaviour !== 'trace' && (clients.rate > 0) === (clients.total_rate > 0)) throw bad(where, 'clients: rate or total_rate wanted, one of them')
  if ((clients.behaviour === 'trace') !== (clients.file !== '')) throw bad(where, 'clients.file: wanted where clients.behaviour is trace, and only there')
  if ((link.kind === 'matrix') !== (link.file !== '')) throw bad(where, 'link.file: wanted where link.kind is matrix, and only there')
  if (link.kind === 'uniform' && link.spread_s > link.delay_s) throw bad(where, 'link.spread_s: no more than link.delay_s wanted')
  if (run.duration_s === 0 && measure.targets === 0) throw bad(where, 'run.duration_s: wanted where measure.targets is 0, as nothing else ends the run')
  if (strategy.kind === 'pool' && strategy.pool >= strategy.threshold) throw bad(where, 'strategy.pool: less than strategy.threshold wanted')
  if (scenario.adversary.observer === 'active') active(scenario, where)
  if (cover.send_s > 0 && rateOf(scenario) * cover.send_s > 1) throw bad(where, 'cover.send_s: clients write more messages than they may send')
  perMix(scenario, where)
  return scenario
}

/** Against batches and pools, of which something stays until more comes, he would need packets of his own. @throws bad-scenario (caller) */
function active ({ measure, strategy, churn }: Scenario, where: string): void {
  if (measure.targets === 0) throw bad(where, 'measure.targets: wanted where adversary.observer is active, as he does nothing but to targets')
  if (strategy.kind !== 'poisson' && strategy.kind !== 'timed') throw bad(where, 'strategy.kind: poisson or timed wanted where adversary.observer is active, as he has others empty no mix')
  if (churn.up_s > 0) throw bad(where, 'churn.up_s: 0 wanted where adversary.observer is active')
}

/** Messages a second of each client, on the mean. */
export function rateOf ({ clients }: Scenario): number {
  return clients.rate > 0 ? clients.rate : clients.total_rate / clients.count
}

export function widths ({ topology: { layers, width } }: Scenario): readonly number[] {
  return typeof width === 'number' ? Array.from({ length: layers }, () => width) : width
}

/** The mean delay that packets ask for at each mix, ms. @throws bad-scenario (caller) */
export function perMix ({ delay, topology: { layers }, link, strategy }: Scenario, where = 'scenario'): Millis {
  if (strategy.kind !== 'poisson') return 0
  if ((delay.per_mix_s > 0) === (delay.end_to_end_s > 0)) throw bad(where, 'delay: per_mix_s or end_to_end_s wanted, one of them')
  if (delay.per_mix_s > 0) return delay.per_mix_s * 1000
  if (link.kind === 'matrix') throw bad(where, 'delay.per_mix_s: wanted where link.kind is matrix, as the mean of the links is not known beforehand')
  const left = delay.end_to_end_s - (layers + 1) * link.delay_s
  if (left <= 0) throw bad(where, `delay.end_to_end_s: the ${layers + 1} links alone take ${(layers + 1) * link.delay_s} s`)
  return left / layers * 1000
}

/** As the directory would prescribe it. */
export function strategyOf ({ strategy: { kind, batch, interval_s, threshold, pool } }: Scenario): Strategy {
  switch (kind) {
    case 'poisson': return { kind }
    case 'threshold': return { kind, batch }
    case 'timed': return { kind, interval: interval_s * 1000 }
    case 'pool': return { kind, interval: interval_s * 1000, threshold, pool }
  }
}
