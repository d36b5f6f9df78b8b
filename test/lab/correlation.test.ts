/** Flow correlation of a wallet's link with the bank's: found without cover, and not with it. */
import { describe, expect, test } from 'vitest'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { hollow } from '../../lab/attack/hollow.ts'
import { meet } from '../../lab/attack/meeting.ts'
import { correlation, type CorrelationPlan } from '../../lab/attack/correlation.ts'

const suite = await defaultSuite()

describe('flow correlation', () => {
  const PLAN: CorrelationPlan = {
    cover: { send: 200, echoes: 200, pace: 200, loop: 0 }, mixes: 4, meanDelay: 50, link: 30, services: 4, others: 10, every: 5000, request: 4500, answer: 700, loss: 0, wallets: 24, observed: [20, 60], seed: 2
  }
  const rows = correlation(suite, PLAN)
  const row = (cover: boolean, seconds: number): typeof rows[number] => rows.find(one => one.cover === cover && one.observed_s === seconds) as typeof rows[number]

  test('without cover the link tells whether, and both links whom a wallet asks', () => {
    expect(row(false, 60).link_count.auc).toBe(1)
    expect(row(false, 60).both.auc).toBeGreaterThan(0.98)
    expect(row(false, 60).found_at_1pc).toBeGreaterThan(0.9)
    expect(row(false, 60).both.auc).toBeGreaterThanOrEqual(row(false, 20).both.auc)
  })

  test('with cover the link tells nothing', () => {
    for (const seconds of PLAN.observed) {
      // Of eight intervals of 95 % one may miss it: as far again is what none may be off.
      for (const { auc, ci95: [low, high] } of [row(true, seconds).link_count, row(true, seconds).link_bursts, row(true, seconds).both, row(true, seconds).both_idle]) expect(Math.abs(auc - 0.5)).toBeLessThan(high - low)
      // Of 24 none may be taken for one: by chance a third of the others is beyond all of them once in a thousand times.
      expect(row(true, seconds).found_at_1pc).toBeLessThan(1 / 3)
    }
  })

  test('requests are of production sessions: where links lose packets they are asked for again, and answered all the same', () => {
    const LOSSY = { ...PLAN, wallets: 3, observed: [100], every: 20_000 }
    const [without, withCover] = correlation(suite, { ...LOSSY, loss: 0.03 })
    // What was asked in the last seconds is still under way.
    for (const { answered } of [without, withCover]) expect(answered).toBeGreaterThan(0.8)
    // Of a request of two packets and its answer, 15 links, so many would be whole at the first try: 0.97 ** 15.
    expect(without.answered).toBeGreaterThan(0.97 ** 15)
    const [{ up }, { up: again }] = [0, 0.03].map(loss => meet(hollow(suite), { ...LOSSY, cover: { send: 0, echoes: 0, pace: 0, loop: 0 }, loss }, 'the bank', 1_000_000, 5))
    expect(again.length).toBeGreaterThan(up.length)
  })

  test('the matched filter is no weaker with cover on: a wallet whose packets nearly all go to the bank is found', () => {
    const [{ both }] = correlation(suite, { ...PLAN, others: 0, services: 40, every: 500, wallets: 10, observed: [40] }).filter(({ cover }) => cover)
    expect(both.auc).toBeGreaterThan(0.9)
  })
})
