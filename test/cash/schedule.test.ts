import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nextKeyset, type KeysetDates, type Periods } from '@mixmint/core/cash/schedule'
import { DAY, HOUR, START } from '../doubles/economy.ts'

const periods: Periods = { issue: 30 * DAY, spend: 20 * DAY, redeem: 10 * DAY, refund: 5 * DAY, ahead: 7 * DAY }

test('the first issues at once, and each date comes so long after the one before', () => {
  const first = nextKeyset([], periods, START) as KeysetDates
  expect(first.issueFrom).toBe(START - 60_000)
  expect(first.issueUntil - first.issueFrom).toBe(30 * DAY)
  expect(first.spendUntil - first.issueUntil).toBe(20 * DAY)
  expect(first.redeemUntil - first.spendUntil).toBe(10 * DAY)
  expect(first.refundUntil - first.redeemUntil).toBe(5 * DAY)
})

test('the next is made ahead, and begins when the last one ends; one further is not made', () => {
  const first = nextKeyset([], periods, START) as KeysetDates
  expect(nextKeyset([first], periods, first.issueUntil - 7 * DAY - 1)).toBeNull()
  const second = nextKeyset([first], periods, first.issueUntil - 7 * DAY) as KeysetDates
  expect(second.issueFrom).toBe(first.issueUntil)
  expect(nextKeyset([first, second], periods, first.issueUntil)).toBeNull()
})

test('after a pause it begins at once, but never before the last one ended', () => {
  const first = nextKeyset([], periods, START) as KeysetDates
  expect(nextKeyset([first], periods, first.issueUntil + 1000)?.issueFrom).toBe(first.issueUntil)
  expect(nextKeyset([first], periods, first.issueUntil + HOUR)?.issueFrom).toBe(first.issueUntil + HOUR - 60_000)
})

test('whenever the bank looks, at no time two issue, and none is missing while it looks often enough', () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 40 }), waits => {
    const made: KeysetDates[] = []
    let now = START
    let gap = false
    for (const days of waits) {
      now += days * DAY
      for (let next = nextKeyset(made, periods, now); next !== null; next = nextKeyset(made, periods, now)) {
        const last = made.at(-1)
        if (last !== undefined) {
          expect(next.issueFrom).toBeGreaterThanOrEqual(last.issueUntil)
          if (days <= 7) expect(next.issueFrom).toBe(last.issueUntil)
        }
        made.push(next)
      }
      gap ||= !made.some(({ issueFrom, issueUntil }) => issueFrom <= now && now < issueUntil)
    }
    expect(gap).toBe(false)
  }), { numRuns: 200, seed: 1 })
})
