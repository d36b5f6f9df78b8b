/** Histories of a whole economy whose machines and network fail; many more: `npm run model`, and test/slow/model.test.ts. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { conspiracies, histories, live, type History } from '../model/histories.ts'

describe('whatever fails, and whoever cheats', () => {
  it('nothing is lost, nothing is doubled', () => {
    fc.assert(fc.property(histories, history => { live(history) }), { numRuns: 25, seed: 1 })
  }, 300_000)

  it('and the same history is the same to the last event', () => {
    const [history] = fc.sample(histories, { numRuns: 1, seed: 4 })
    expect(live(history)).toEqual(live(history))
  })
})

describe('more lie than may', () => {
  it('who settles first wins, the books balance, and the liars, nobody else, are convicted', () => {
    let convicted = 0
    fc.assert(fc.property(conspiracies, history => { convicted += live(history).convicted }), { numRuns: 15, seed: 3 })
    expect(convicted).toBeGreaterThan(5)
  })
})

describe('what is broken is found', () => {
  it('two of four keepers that vote for everything certify a coin twice', () => {
    const history = (seed: number): History => ({
      setting: { beyond: false, long: false, seed, faults: { loss: 0, duplicate: 0, late: 0 }, speed: [0, 3], liars: [{ center: 0, kind: 'twoFaced' }, { center: 1, kind: 'twoFaced' }] },
      steps: [{ wait: 0, act: { do: 'double-spend', person: 0, shop: 0, amount: 25 } }]
    })
    const seeds = Array.from({ length: 10 }, (_, seed) => seed)
    const found = seeds.filter(seed => {
      try {
        live(history(seed))
        return false
      } catch (error) {
        return String(error).includes('certified for two transactions')
      }
    })
    expect(found.length).toBeGreaterThan(0)
  })
})
