/**
 * That 999 of 1000 requests succeed over paths of five hops that lose 5 % each, with confidence: so many requests that,
 * if one in a thousand failed, so few failures as we see would come with a probability below 5 %. On a virtual clock,
 * with the production engines, packets and strategies; only the ciphers are toys.
 */
import { describe, expect, it } from 'vitest'
import type { Strategy } from '@mixmint/mixnet/directory/formats'
import { lossyRun, type LossyRun } from '../doubles/lossy-run.ts'

const LIMIT = 1 << 18
const DEADLINE = 60_000
const SMALL = { requestSize: 200, replySize: 500, hinted: false, deadline: DEADLINE }

/** The probability of at most k failures of n, if each fails with probability p. */
function atMost (k: number, n: number, p: number): number {
  let term = (1 - p) ** n
  let sum = 0
  for (let i = 0; i <= k; i++) {
    sum += term
    term *= (n - i) / (i + 1) * p / (1 - p)
  }
  return sum
}

function report (what: string, run: LossyRun): number {
  const { failed, latencies, packetsPerRequest, repliesPerRequest, runsPerRequest, clean } = lossyRun(run)
  const at = (p: number): string => `${Math.round(latencies[Math.min(latencies.length - 1, Math.floor(p * latencies.length))])} ms`
  console.log(`${what}: ${failed} of ${run.requests} failed; median ${at(0.5)}, 99 % ${at(0.99)}, 99.9 % ${at(0.999)}; ` +
    `${packetsPerRequest.toFixed(2)} packets there and ${repliesPerRequest.toFixed(2)} back a request`)
  expect(runsPerRequest).toBe(1)
  expect(clean).toBe(true)
  return failed
}

describe('at a loss of 5 % a hop, 999 of 1000', () => {
  it('small requests succeed', () => {
    const failed = report('small', { ...SMALL, requests: 12_000, seed: 'small' })
    expect(atMost(failed, 12_000, 0.001)).toBeLessThan(0.05)
  }, 900_000)

  it('requests or replies of 256 KiB succeed', () => {
    const failed = report('256 KiB there', { requests: 1000, requestSize: LIMIT, replySize: 500, hinted: false, deadline: DEADLINE, seed: 'there' }) +
      report('256 KiB back', { requests: 1000, requestSize: 200, replySize: LIMIT, hinted: false, deadline: DEADLINE, seed: 'back' }) +
      report('256 KiB there and back', { requests: 1000, requestSize: LIMIT, replySize: LIMIT, hinted: true, deadline: DEADLINE, seed: 'both' })
    expect(atMost(failed, 3000, 0.001)).toBeLessThan(0.05)
  }, 1_800_000)

  it.each([
    { kind: 'timed', interval: 200 }, { kind: 'threshold', batch: 4 }, { kind: 'pool', interval: 200, threshold: 20, pool: 10 }
  ] satisfies Strategy[])('small requests succeed through $kind mixes', strategy => {
    const failed = report(strategy.kind, { ...SMALL, requests: 3000, seed: strategy.kind, network: { strategy, cover: { loop: 100 } } })
    expect(atMost(failed, 3000, 0.001)).toBeLessThan(0.05)
  }, 900_000)
})
