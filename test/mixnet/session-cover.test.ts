/** Requests where there is cover: they are answered, and the line of the wallet does not tell that there are any. */
import { describe, expect, it } from 'vitest'
import type { Strategy } from '@mixmint/mixnet/directory/formats'
import { lossyRun } from '../doubles/lossy-run.ts'
import { MixNetwork } from '../doubles/mix-network.ts'
import { toySuite } from '../doubles/toy-suite.ts'
import { ksOneSample, ksTwoSample } from '../reference/statistics.ts'
import { LIMIT } from './session-material.ts'

const COVER = { send: 100, echoes: 200, pace: 100, loop: 0 }
const OBSERVED = 200_000

/** When packets pass the wallet's line, up and down, while it asks, one after the other, for so many bytes with so many. */
function observe (seed: string, asking: { readonly size: number, readonly replySize: number } | null): { up: number[], down: number[], answered: number, packets: number } {
  const net = new MixNetwork({ suite: toySuite, seed, loss: 0.05, cover: COVER, handler: () => ({ answer: new Uint8Array(asking?.replySize ?? 0), after: 10 }) })
  const [up, down]: number[][] = [[], []]
  net.onUp = () => { up.push(net.now) }
  net.onDown = () => { down.push(net.now) }
  const end = net.now + OBSERVED
  while (net.now < end) {
    const call = asking === null ? null : net.request(new Uint8Array(asking.size), { replySize: asking.replySize })
    do net.run(net.now + 1000)
    while (net.now < end && (call === null || !net.outcomes.has(call)))
  }
  const answered = [...net.outcomes.values()].filter(outcome => 'content' in outcome).length
  return { up, down, answered, packets: net.packetsSent }
}

function gapsOf (times: readonly number[]): number[] {
  return times.slice(1).map((at, i) => at - times[i])
}

/** Of successive values, between −1 and 1; of independent ones about as far from 0 as 1 / √n. */
function autocorrelation (values: readonly number[]): number {
  const mean = values.reduce((a, b) => a + b, 0) / values.length
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return values.slice(1).reduce((sum, value, i) => sum + (value - mean) * (values[i] - mean), 0) / variance
}

describe('the line of a wallet', () => {
  const idle = observe('idle', null)

  it.each([
    { what: 'long requests', size: LIMIT, replySize: 10 },
    { what: 'long answers', size: 10, replySize: LIMIT },
    { what: 'short requests', size: 10, replySize: 10 }
  ])('looks the same with $what, retransmissions among them, as with none', asking => {
    const busy = observe(asking.what, asking)
    expect(busy.answered).toBeGreaterThan(5)
    expect(busy.packets).toBeGreaterThan(100)
    for (const way of ['up', 'down'] as const) {
      const [gaps, others] = [gapsOf(busy[way]), gapsOf(idle[way])]
      expect(ksOneSample(gaps, x => 1 - Math.exp(-x / 100)), way).toBeGreaterThan(0.001)
      expect(ksTwoSample(gaps, others), way).toBeGreaterThan(0.001)
      expect(Math.abs(autocorrelation(gaps)), way).toBeLessThan(3.3 / Math.sqrt(gaps.length))
      expect(Math.abs(gaps.length - OBSERVED / 100), way).toBeLessThan(4 * Math.sqrt(OBSERVED / 100))
    }
  })
})

it('a request that takes long to leave is not taken for lost meanwhile', () => {
  const { failed, packetsPerRequest } = lossyRun({ requests: 2, requestSize: LIMIT, replySize: 500, hinted: false, deadline: 60_000, seed: 'slots', network: { cover: COVER, loss: 0 } })
  expect(failed).toBe(0)
  // Its bucket, and hardly anything again.
  expect(packetsPerRequest).toBeLessThan(99)
})

describe('through mixes that let packets go in batches', () => {
  it.each<{ strategy: Strategy, median: number }>([
    { strategy: { kind: 'timed', interval: 100 }, median: 4000 },
    { strategy: { kind: 'pool', interval: 100, threshold: 20, pool: 5 }, median: 5000 },
    { strategy: { kind: 'threshold', batch: 4 }, median: 6000 }
  ])('requests under cover succeed, sent once, with $strategy.kind', ({ strategy, median }) => {
    const { failed, latencies, packetsPerRequest, runsPerRequest, clean } = lossyRun({
      requests: 60, requestSize: 200, replySize: 500, hinted: false, deadline: 60_000, seed: strategy.kind, network: { strategy, cover: { ...COVER, loop: 100 }, loss: 0 }
    })
    expect([failed, runsPerRequest, clean]).toEqual([0, 1, true])
    expect(latencies[latencies.length >> 1]).toBeLessThan(median)
    // Nothing that is merely slow is taken for lost.
    expect(packetsPerRequest).toBeLessThan(1.05)
  })
})

describe('where there is cover, over paths that lose 5 % a hop', () => {
  it.each([
    { requests: 100, requestSize: 200, replySize: 500, hinted: false, median: 2500 },
    { requests: 4, requestSize: LIMIT, replySize: 500, hinted: false, median: 30_000 },
    { requests: 4, requestSize: 200, replySize: LIMIT, hinted: true, median: 30_000 }
  ])('$requestSize bytes there and $replySize back succeed', ({ median, ...sizes }) => {
    const { failed, latencies, runsPerRequest, clean } = lossyRun({ ...sizes, deadline: 60_000, seed: 'cover', network: { cover: COVER } })
    expect(failed).toBe(0)
    expect(latencies[latencies.length >> 1]).toBeLessThan(median)
    expect(runsPerRequest).toBe(1)
    expect(clean).toBe(true)
  })
})
