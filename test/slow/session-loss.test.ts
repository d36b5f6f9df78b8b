/**
 * That 999 of 1000 requests succeed over paths of five hops that lose 5 % each, with confidence: so many requests that,
 * if one in a thousand failed, so few failures as we see would come with a probability below 5 %. On a virtual clock,
 * with the production engines, packets and strategies; only the ciphers are toys. Requests of 256 KiB are many packets: with
 * MIXMINT_LONG=1 there are as many of them as that confidence takes (some minutes), else enough to see them succeed.
 */
import { describe, expect, it, type TestContext } from 'vitest'
import { binomialTail } from '@mixmint/mixnet/cover/statistics'
import type { Strategy } from '@mixmint/mixnet/directory/formats'
import { lossyRun, type LossyRun } from '../doubles/lossy-run.ts'

const LIMIT = 1 << 18
const DEADLINE = 60_000
const LONG = process.env.MIXMINT_LONG === '1'
/** Of each of three kinds. */
const LARGE_REQUESTS = LONG ? 1000 : 60
const SMALL = { requestSize: 200, replySize: 500, hinted: false, deadline: DEADLINE }

/** If one in a thousand failed: the probability of so few failures. */
function luck (failed: number, requests: number): number {
  return 1 - binomialTail(failed + 1, requests, 0.001)
}

async function report (annotate: TestContext['annotate'], what: string, run: LossyRun): Promise<number> {
  const { failed, latencies, packetsPerRequest, repliesPerRequest, runsPerRequest, clean } = lossyRun(run)
  const at = (p: number): string => `${Math.round(latencies[Math.min(latencies.length - 1, Math.floor(p * latencies.length))])} ms`
  await annotate(`${what}: ${failed} of ${run.requests} failed; median ${at(0.5)}, 99 % ${at(0.99)}, 99.9 % ${at(0.999)}; ` +
    `${packetsPerRequest.toFixed(2)} packets there and ${repliesPerRequest.toFixed(2)} back a request`)
  expect(runsPerRequest).toBe(1)
  expect(clean).toBe(true)
  return failed
}

describe('at a loss of 5 % a hop, 999 of 1000', () => {
  it('small requests succeed', async ({ annotate }) => {
    const failed = await report(annotate, 'small', { ...SMALL, requests: 12_000, seed: 'small' })
    expect(luck(failed, 12_000)).toBeLessThan(0.05)
  }, 900_000)

  it('requests or replies of 256 KiB succeed', async ({ annotate }) => {
    const failed = await report(annotate, '256 KiB there', { requests: LARGE_REQUESTS, requestSize: LIMIT, replySize: 500, hinted: false, deadline: DEADLINE, seed: 'there' }) +
      await report(annotate, '256 KiB back', { requests: LARGE_REQUESTS, requestSize: 200, replySize: LIMIT, hinted: false, deadline: DEADLINE, seed: 'back' }) +
      await report(annotate, '256 KiB there and back', { requests: LARGE_REQUESTS, requestSize: LIMIT, replySize: LIMIT, hinted: true, deadline: DEADLINE, seed: 'both' })
    if (LONG) expect(luck(failed, 3 * LARGE_REQUESTS)).toBeLessThan(0.05)
    else expect(failed).toBe(0)
  }, 1_800_000)

  it.for<Strategy>([
    { kind: 'timed', interval: 200 }, { kind: 'threshold', batch: 4 }, { kind: 'pool', interval: 200, threshold: 20, pool: 10 }
  ])('small requests succeed through $kind mixes', { timeout: 900_000 }, async (strategy, { annotate }) => {
    // Round trips through batches take longer, by as much as they are larger and fewer.
    const failed = await report(annotate, strategy.kind, { ...SMALL, deadline: 2 * DEADLINE, requests: 3000, seed: strategy.kind, network: { strategy, cover: { loop: 100 }, answerKept: 2 * DEADLINE } })
    expect(luck(failed, 3000)).toBeLessThan(0.05)
  })
})
