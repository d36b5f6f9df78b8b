/** The economy's histories, many of them; a failure is shrunk, and its seed and path printed. See test/model/main.ts. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { conspiracies, histories, live } from '../model/histories.ts'

/** So many of the first kind, and a quarter as many of the second. */
const COUNT = Number(process.env.MIXMINT_HISTORIES ?? 200)

it('nothing is lost and nothing doubled, whatever fails and whoever cheats', () => {
  let happened = 0
  const codes = new Set<string>()
  fc.assert(fc.property(histories, history => {
    const told = live(history)
    happened += told.happened
    for (const code of told.outcomes.keys()) codes.add(code)
  }), { numRuns: COUNT, seed: 2 })
  // They are no histories in which nothing happens.
  expect(happened).toBeGreaterThan(COUNT * 1_600)
  expect([...codes]).toEqual(expect.arrayContaining(['lost', 'double-spend', 'coins-unavailable', 'store-full', 'store-failed', 'insufficient-funds', 'no-token']))
}, 7_200_000)

it('and when more lie than may, the books balance, and the liars are convicted', () => {
  fc.assert(fc.property(conspiracies, history => { live(history) }), { numRuns: Math.ceil(COUNT / 4), seed: 5 })
}, 7_200_000)
