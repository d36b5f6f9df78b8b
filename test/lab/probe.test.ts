import { describe, expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import type { Rng } from '@mixmint/core/kit/ports'
import { below, exponential, unit } from '@mixmint/core/kit/samplers'
import { writeCover } from '@mixmint/mixnet/cover/message'
import { coverPaths } from '@mixmint/mixnet/directory/route'
import { parseAddress } from '@mixmint/mixnet/sphinx/address'
import { peel } from '@mixmint/mixnet/sphinx/peel'
import { useSurb } from '@mixmint/mixnet/sphinx/surb'
import { seededRng } from '../../lab/kernel/rng.ts'
import { analyse, toleranceOf } from '../../lab/live/analysis.ts'
import { estimateNodes, type Layer, type Trip } from '../../lab/live/estimate.ts'
import { Prober, type Outcome, type ProberEvent } from '../../lab/live/prober.ts'
import type { Probed } from '../../lab/live/session.ts'
import { EPOCH, PARAMETERS, seed } from '../doubles/directory.ts'
import { EngineClock } from '../doubles/engine-clock.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng as testRng } from '../doubles/rng.ts'
import { ksOneSample } from '../reference/statistics.ts'
import { ends, follow, gateway, nameOf, now, PACKET_SIZE, suite, view, wallet } from '../mixnet/cover-material.ts'

const SEND = 50
const RATE = 8

describe('a prober', () => {
  interface Sent { readonly at: number, readonly probe: number | null, readonly firstHop: Uint8Array, readonly packet: Uint8Array }

  /** Sends over the network of cover-material.ts; what comes back is brought back by the test. */
  class Probing {
    readonly sent: Sent[] = []
    readonly outcomes: Outcome[] = []
    readonly clock = new EngineClock(now)
    readonly prober: Prober
    readonly #rng = testRng('prober')
    send = SEND

    constructor (count: number) {
      const paths = coverPaths(() => view, { gateway, peer: ends.walletPeer, mixKey: ends.walletKey })
      this.prober = new Prober({
        suite, meter: new CountingMeter(), parameters: () => ({ send: this.send, packetSize: PACKET_SIZE }), paths, probePaths: paths,
        rate: RATE, count, ready: () => true, homeWithin: () => 5000, done: outcome => { this.outcomes.push(outcome) }
      })
    }

    step (event: ProberEvent): void {
      for (const { probe, firstHop, packet } of this.prober.step(event, this.clock.now, this.#rng)) this.sent.push({ at: this.clock.now, probe, firstHop, packet })
    }

    run (ms: number): this {
      this.step({ is: 'timer' })
      this.clock.run(this.clock.now + ms, this.prober, () => { this.step({ is: 'timer' }) })
      return this
    }

    /** The answer of the service to this probe, as it comes to the wallet. */
    answer ({ firstHop, packet }: Sent, change = (payload: Uint8Array): Uint8Array => payload): void {
      const there = follow(wallet.peer, firstHop, packet)
      if (there.is !== 'exit') throw new Error('a probe ends at a service')
      const answer = useSurb(suite, there.message.surbs[0], writeCover(PACKET_SIZE - 640, { is: 'answer' }))
      if (answer === null) throw new Error('no SURB')
      const back = follow(view.services('bank')[0].peer, answer.firstHop, answer.packet)
      if (back.is !== 'reply') throw new Error('an answer comes back as a reply')
      this.step({ is: 'reply', surbId: back.surbId, payload: change(back.payload) })
    }
  }

  test('leaves at the ticks of a wallet\'s cover, at its rate, probes in the place of drop packets', () => {
    const { sent } = new Probing(Infinity).run(30_000)
    const gaps = sent.slice(1).map(({ at }, i) => at - sent[i].at)
    expect(ksOneSample(gaps, x => 1 - Math.exp(-x / SEND))).toBeGreaterThan(0.001)
    const probes = sent.filter(({ probe }) => probe !== null)
    expect(Math.abs(probes.length / 30 / RATE - 1)).toBeLessThan(0.2)
    // Whether the last one was a probe does not show in the time to the next.
    const after = (isProbe: boolean): number[] => gaps.filter((_, i) => (sent[i].probe !== null) === isProbe)
    for (const isProbe of [true, false]) expect(ksOneSample(after(isProbe), x => 1 - Math.exp(-x / SEND))).toBeGreaterThan(0.001)
  })

  test('no hop sees a difference between a probe and a drop packet', () => {
    const { sent } = new Probing(40).run(20_000)
    const seen = (which: Sent[]): Set<string> => new Set(which.flatMap(({ firstHop, packet }) => {
      const at: string[] = []
      let [address, inner] = [firstHop, packet]
      for (;;) {
        const to = parseAddress(address)
        const peeled = peel(suite, seed(nameOf(toHex(to?.peer ?? new Uint8Array())), EPOCH), inner)
        if (peeled.kind !== 'forward') return [...at, peeled.kind]
        at.push(`${peeled.delay} ms, ${inner.length} bytes, to ${nameOf(toHex(parseAddress(peeled.next)?.peer ?? new Uint8Array())).split(' ')[0]}`);
        [address, inner] = [peeled.next, peeled.packet]
      }
    }))
    expect(seen(sent.filter(({ probe }) => probe !== null))).toEqual(seen(sent.filter(({ probe }) => probe === null)))
  })

  test('is told of the nodes and the time of each that comes home; what is changed or late is lost', () => {
    const probing = new Probing(3).run(4000)
    const [home, changed, late] = probing.sent.filter(({ probe }) => probe !== null)
    probing.answer(home)
    probing.answer(changed, payload => payload.map((byte, i) => i === 100 ? byte ^ 1 : byte))
    expect(probing.outcomes).toMatchObject([{ sent: home.at, took: now + 4000 - home.at }])
    probing.run(6000)
    expect(probing.outcomes.map(({ took }) => took === null)).toEqual([false, true, true])
    probing.answer(late)
    expect(probing.outcomes.length).toBe(3)
    const [{ there, back }] = probing.outcomes
    const passed = follow(wallet.peer, home.firstHop, home.packet)
    expect(there.map(nameOf)).toEqual([...passed.passed, passed.at])
    expect(back.map(nameOf).map(name => name.split(' ')[0])).toEqual(['mix', 'mix', 'mix', 'gateway'])
    // Then only drop packets.
    expect(probing.run(5000).sent.filter(({ probe }) => probe !== null).length).toBe(3)
  })

  test('sends at times of its own where the network prescribes no cover', () => {
    const probing = new Probing(Infinity)
    probing.send = 0
    const { sent } = probing.run(60_000)
    expect(ksOneSample(sent.slice(1).map(({ at }, i) => at - sent[i].at), x => 1 - Math.exp(-x * RATE / 1000))).toBeGreaterThan(0.001)
    expect(sent.every(({ probe }) => probe !== null)).toBe(true)
  })
})

const WIDTH = 3
const MEAN = 0.05
const LINK = 0.002
const LAYERS: readonly Layer[] = [
  { name: 'gateways', nodes: ['g1', 'g2'] }, ...[1, 2, 3].map(layer => ({ name: `layer ${layer}`, nodes: Array.from({ length: WIDTH }, (_, i) => `m${layer}${i}`) })), { name: 'services', nodes: ['s1', 's2'] }
]
const [GATEWAYS, FIRST, SECOND, THIRD, SERVICES] = LAYERS

interface Faults { readonly slow?: { readonly node: string, readonly by: number }, readonly lossy?: { readonly node: string, readonly part: number }, readonly loss?: number }

/** Round trips by the law, with what is wrong in it. */
function trips (count: number, rng: Rng, { slow, lossy, loss = 0 }: Faults): Array<{ there: string[], back: string[], took_s: number | null }> {
  const any = ({ nodes }: Layer): string => nodes[below(rng, nodes.length)]
  return Array.from({ length: count }, () => {
    const own = any(GATEWAYS)
    const [there, back] = [[own, any(FIRST), any(SECOND), any(THIRD), any(SERVICES)], [any(FIRST), any(SECOND), any(THIRD), own]]
    let took = 10 * LINK
    let isLost = false
    for (const node of [...there, ...back]) {
      if (!SERVICES.nodes.includes(node)) took += exponential(rng, MEAN)
      if (node === slow?.node) took += exponential(rng, slow.by)
      if (unit(rng) < (node === lossy?.node ? lossy.part : loss)) isLost = true
    }
    return { there, back, took_s: isLost ? null : took }
  })
}

const asTrips = (all: ReturnType<typeof trips>): Trip[] => all.map(({ there, back, took_s: seconds }) => ({ visits: [...there, ...back], seconds }))

describe('estimates of nodes', () => {
  const named = (faults: Faults, seeds: number, count = 400, tolerance = toleranceOf(MEAN)): { slow: string[], lossy: string[] } => {
    const found = { slow: [] as string[], lossy: [] as string[] }
    for (let seed = 0; seed < seeds; seed++) {
      const { nodes } = estimateNodes(asTrips(trips(count, seededRng(seed, 'trips'), faults)), LAYERS, tolerance)
      found.slow.push(...nodes.filter(({ slow }) => slow).map(({ node }) => node))
      found.lossy.push(...nodes.filter(({ lossy }) => lossy).map(({ node }) => node))
    }
    return found
  }

  test('nobody is named in a network as it should be: of 100 seeds in three at most, without any tolerance of delay', () => {
    const { slow, lossy } = named({ loss: 0.004 }, 100, 400, { delay: 0, loss: 0.01 })
    expect(slow.length).toBeLessThanOrEqual(3)
    expect(lossy.length).toBeLessThanOrEqual(3)
  })

  test('a slow mix is named, and no other', () => {
    const { slow, lossy } = named({ slow: { node: 'm21', by: 0.06 } }, 40)
    expect(slow.filter(node => node === 'm21').length).toBeGreaterThan(36)
    expect(slow.filter(node => node !== 'm21').length + lossy.length).toBeLessThanOrEqual(2)
  })

  test('a mix that loses packets is named, and no other', () => {
    const { slow, lossy } = named({ lossy: { node: 'm30', part: 0.15 }, loss: 0.002 }, 40, 600)
    expect(lossy.filter(node => node === 'm30').length).toBeGreaterThan(36)
    expect(lossy.filter(node => node !== 'm30').length + slow.length).toBeLessThanOrEqual(2)
  })

  test('intervals hold what is true in some 57 of 60 seeds', () => {
    let [delay, loss] = [0, 0]
    for (let seed = 0; seed < 60; seed++) {
      const { nodes } = estimateNodes(asTrips(trips(400, seededRng(seed, 'trips'), { slow: { node: 'm21', by: 0.06 }, lossy: { node: 'm30', part: 0.1 } })), LAYERS, toleranceOf(MEAN))
      const of = (name: string): typeof nodes[number] => nodes.find(({ node }) => node === name) as typeof nodes[number]
      const { excess_s: excess } = of('m21')
      if (excess !== null && excess.low <= 0.06 && excess.high >= 0.06) delay += 1
      if (of('m30').loss.low <= 0.1 && of('m30').loss.high >= 0.1) loss += 1
    }
    for (const held of [delay, loss]) expect(held).toBeGreaterThanOrEqual(51)
  })

  test('of a single path no node is told from the others', () => {
    const path = [...Array.from({ length: 100 }, (_, i): Trip => ({ visits: ['g1', 'm10', 'm20', 'm30', 's1'], seconds: 0.2 + i / 1000 }))]
    const { nodes, layers } = estimateNodes(path, LAYERS, toleranceOf(MEAN))
    expect(nodes.map(({ node, excess_s: excess }) => [node, excess])).toEqual(['g1', 'm10', 'm20', 'm30', 's1'].map(node => [node, null]))
    expect(layers.every(({ p }) => p === null)).toBe(true)
  })
})

describe('against what is foreseen', () => {
  const parameters = { ...PARAMETERS, meanDelay: 1000 * MEAN, cover: { send: 0, echoes: 0, pace: 0, loop: 1000 } }
  const probed = (faults: Faults, seed: number): Probed => ({
    network: 'test', epoch: 1, parameters, layers: LAYERS, rate: 2, documents: 1,
    trips: trips(400, seededRng(seed, 'trips'), faults).map((trip, i) => ({ sent_s: i / 2, ...trip }))
  })

  test('round trips by the law pass, and the links\' delay is found', () => {
    const { summary, scenario } = analyse(suite, probed({}, 1), { scenario: null })
    expect(summary.departs).toEqual([])
    expect(summary.ks?.p).toBeGreaterThan(0.01)
    // The median of 400 of deviation 0.14 s, over ten links.
    expect(Math.abs(summary.link_s - LINK)).toBeLessThan(3 * 1.25 * 0.142 / 20 / 10)
    expect(scenario).toMatchObject({ topology: { layers: 4, width: [2, 3, 3, 3] }, delay: { per_mix_s: MEAN }, link: { delay_s: summary.link_s } })
  })

  test('a slow mix is said, and its round trips do not pass', () => {
    const { summary } = analyse(suite, probed({ slow: { node: 'm21', by: 0.3 } }, 1), { scenario: null })
    expect(summary.ks?.p).toBeLessThan(0.01)
    expect(summary.departs.some(one => one.includes('m21 (layer 2) is slow'))).toBe(true)
  })

  test('what cover adds is foreseen: an answer waits a pace and its turn at the service, and again at the gateway', () => {
    const cover = { send: 100, echoes: 200, pace: 100, loop: 1000 }
    const mean = (of: typeof cover): number => {
      const { predicted, summary } = analyse(suite, { ...probed({}, 1), parameters: { ...parameters, cover: of } }, { scenario: null })
      return predicted.reduce((sum, value) => sum + value, 0) / predicted.length - 10 * summary.link_s
    }
    // 0.1 fixed, an exponential 0.1, and a queue that is busy a fifth of the time: 0.1/(1 − 0.2).
    expect(mean(cover) - mean(parameters.cover)).toBeCloseTo(0.325, 1)
  })
})
