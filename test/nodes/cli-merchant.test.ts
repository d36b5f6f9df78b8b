/** What the clerk at the counter is told: PAID for nothing but a payment that was taken now. */
import { expect, test } from 'vitest'
import { tillAnswer } from '../../nodes/cli/merchant.ts'

const paid = { state: 'paid', order: '#1 tea', amount: 64, unit: 'cent', milliseconds: 5 }

test('a payment that was taken', () => {
  expect(tillAnswer({ ...paid, repeat: false })).toMatchObject({ human: expect.stringMatching(/^PAID: order #1 tea, 64 cent/), exit: 0 })
})

test('the same payment again is told apart', () => {
  expect(tillAnswer({ ...paid, repeat: true })).toMatchObject({ human: expect.stringMatching(/^ALREADY PAID/), exit: 1 })
})

test.each([['double-spend', 1], ['short', 4], ['anything else', 4]])('%s is not paid, and the exit code says so', (state, exit) => {
  const answer = tillAnswer({ state, coins: [], proofs: [] })
  expect(answer.human).toMatch(/^NOT PAID/)
  expect(answer.exit).toBe(exit)
})

test('coins that their keepers refuse are not paid, and why is told', () => {
  expect(tillAnswer({ state: 'short', coins: [{ state: 'certified', code: '' }, { state: 'refused', code: 'keyset-ended' }], proofs: [] }))
    .toEqual({ human: expect.stringMatching(/^NOT PAID.*keyset-ended/), exit: 1 })
})
