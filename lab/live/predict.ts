/**
 * How long a round trip of a probe takes by what the directory prescribes: both ways through the simulated network (a scenario of
 * gateways and mixes), between them the production's `ServiceCover`, in which an answer waits, and at the end its `Pacer`, which
 * gives a wallet what came for it. On a virtual clock.
 */
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import { below, exponential } from '@mixmint/core/kit/samplers'
import type { Suite } from '@mixmint/core/crypto/suite'
import { Pacer } from '@mixmint/mixnet/cover/pacer'
import { ServiceCover } from '@mixmint/mixnet/cover/service'
import type { Parameters } from '@mixmint/mixnet/directory/formats'
import { AnyAgenda } from '../kernel/agenda.ts'
import { seededRng } from '../kernel/rng.ts'
import { simulate } from '../run/simulate.ts'
import { readScenario, type Raw } from '../scenario/read.ts'
import type { Scenario } from '../scenario/schema.ts'

/** What of a directory's document decides how long packets take. */
export interface Prescribed {
  readonly parameters: Pick<Parameters, 'pathLength' | 'strategy' | 'meanDelay' | 'cover' | 'packetSize' | 'queueLimit'>
  /** Gateways, then the mixes of each layer. */
  readonly widths: readonly number[]
}

/** Messages that a simulation is to see. */
const MESSAGES = 20_000
const CLIENTS = 200
/** Long queues settle within it. */
const WARMUP_S = 30

/** One way, as a scenario that `lab run` takes. @param link delay of each link, s; loss: of each link */
export function scenarioOf ({ parameters, widths }: Prescribed, link: { readonly delay: number, readonly loss: number }, clients = CLIENTS): Scenario {
  const { strategy, meanDelay, cover, packetSize, queueLimit } = parameters
  const rate = cover.send > 0 ? Math.min(2, 500 / cover.send) : 1
  const raw: Raw = {
    scenario: { name: 'one way through the network of the probes', about: 'As its directory prescribes; what wallets there are is not known.' },
    topology: { layers: widths.length, width: [...widths] },
    strategy: strategyKeys(strategy),
    delay: strategy.kind === 'poisson' ? { per_mix_s: meanDelay / 1000 } : {},
    link: { kind: 'constant', delay_s: link.delay, loss: link.loss },
    clients: { count: clients, rate },
    cover: { send_s: cover.send / 1000, loop_s: cover.loop / 1000 },
    mix: { queue_limit: queueLimit },
    cost: { packet_bytes: packetSize },
    run: { warmup_s: WARMUP_S, duration_s: Math.ceil(MESSAGES / (clients * rate)) }
  }
  return readScenario(raw, 'the directory')
}

function strategyKeys (strategy: Parameters['strategy']): Raw {
  switch (strategy.kind) {
    case 'poisson': return { kind: 'poisson' }
    case 'threshold': return { kind: 'threshold', batch: strategy.batch }
    case 'timed': return { kind: 'timed', interval_s: strategy.interval / 1000 }
    case 'pool': return { kind: 'pool', interval_s: strategy.interval / 1000, threshold: strategy.threshold, pool: strategy.pool }
  }
}

/**
 * @param scenario one way; what it loses is not home
 * @param rate probes of a wallet, a second
 * @returns seconds of each of many round trips, in rising order
 */
export function predict (suite: Suite, scenario: Scenario, { send, pace }: Pick<Parameters['cover'], 'send' | 'pace'>, rate: number, progress: (part: number) => void = () => {}): number[] {
  const { tally } = simulate(scenario, { progress })
  const rng = seededRng(scenario.run.seed, 'round trips')
  const ways = tally.transits.values
  const way = (): Millis => ways[below(rng, ways.length)] * 1000
  return roundTrips(suite, way, { send, pace }, rate, ways.length, rng).map(ms => ms / 1000).sort((a, b) => a - b)
}

/** Events, each of a trip: it comes to the service, then to the gateway. */
function roundTrips (suite: Suite, way: () => Millis, { send, pace }: { readonly send: Millis, readonly pace: Millis }, rate: number, count: number, rng: Rng): Millis[] {
  const meter = { count: () => {} }
  const service = new ServiceCover({ suite, meter, parameters: () => ({ pace, packetSize: 0 }), echoLimit: 0, queueLimit: Infinity })
  const pacer = new Pacer({ meter, cover: () => ({ send, pace }), ready: () => true, queueLimit: Infinity, totalLimit: Infinity })
  const [toService, toGateway] = [new AnyAgenda(), new AnyAgenda()]
  const sent: Millis[] = []
  let now: Millis = 0
  for (let trip = 0; trip < count; trip++) {
    now += exponential(rng, 1000 / rate)
    sent.push(now)
    toService.put(now + way(), trip)
  }
  pacer.step({ is: 'attach', wallet: '' }, 0, rng)
  const took: Millis[] = []
  const answers = (effects: ReturnType<typeof service.step>, at: Millis): void => { for (const { packet } of effects) toGateway.put(at + way(), tripOf(packet)) }
  const home = (effects: ReturnType<typeof pacer.step>, at: Millis): void => {
    for (const { packet } of effects) if (packet !== null) took.push(at - sent[tripOf(packet)])
  }
  while (took.length < count) {
    const due = { service: service.due ?? Infinity, pacer: pacer.due ?? Infinity, came: toService.firstAt, back: toGateway.firstAt }
    const at = Math.min(due.service, due.pacer, due.came, due.back)
    if (at === Infinity) break
    if (at === due.came) answers(service.step({ is: 'answer', packets: [{ firstHop: packetOf(0), packet: packetOf(toService.take()) }], asked: at }, at, rng), at)
    else if (at === due.service) answers(service.step({ is: 'timer' }, at, rng), at)
    else if (at === due.back) home(pacer.step({ is: 'packet', wallet: '', packet: packetOf(toGateway.take()) }, at, rng), at)
    else home(pacer.step({ is: 'timer' }, at, rng), at)
  }
  return took
}

function packetOf (trip: number): Uint8Array {
  const packet = new Uint8Array(4)
  new DataView(packet.buffer).setUint32(0, trip)
  return packet
}

function tripOf (packet: Uint8Array): number {
  return new DataView(packet.buffer, packet.byteOffset).getUint32(0)
}
