/** Which coins to spend, and in which coins to take change. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MAX_INPUTS } from '@mixmint/core/cash/formats'
import { exactly, fewest, select, split } from '@mixmint/core/cash/wallet/selection'

const VALUES = [1, 2, 4, 8, 16, 32, 64, 128]
const purse = fc.array(fc.integer({ min: 0, max: 7 }).map(power => ({ value: 2 ** power })), { maxLength: 24 })
const amount = fc.integer({ min: 1, max: 1500 })
const sum = (coins: ReadonlyArray<{ value: number }>): number => coins.reduce((total, { value }) => total + value, 0)
const values = (...list: number[]): Array<{ value: number }> => list.map(value => ({ value }))

/** Every sum that some of the coins make, with the fewest coins that do. */
function sums (coins: ReadonlyArray<{ value: number }>): Map<number, number> {
  const best = new Map([[0, 0]])
  for (const { value } of coins) {
    for (const [total, count] of [...best]) {
      const with1 = best.get(total + value)
      if (with1 === undefined || with1 > count + 1) best.set(total + value, count + 1)
    }
  }
  return best
}

describe('select', () => {
  test('the coins are worth the amount and the change; it finds some just if there is enough', () => {
    fc.assert(fc.property(purse, amount, (coins, amount) => {
      const chosen = select(coins, amount)
      expect(chosen !== null).toBe(sum(coins) >= amount)
      if (chosen === null) return
      expect(sum(chosen.coins)).toBe(amount + chosen.change)
      expect(new Set(chosen.coins).size).toBe(chosen.coins.length)
      for (const coin of chosen.coins) expect(coins).toContain(coin)
    }))
  })

  test('exactly, with the fewest coins, where any coins make the amount', () => {
    fc.assert(fc.property(purse, amount, (coins, amount) => {
      const fewest = sums(coins).get(amount)
      expect(exactly(coins, amount)?.length).toBe(fewest)
      if (fewest !== undefined) expect(select(coins, amount)?.change).toBe(0)
    }))
  })

  test('no coin that is not needed', () => {
    fc.assert(fc.property(purse, amount, (coins, amount) => {
      const chosen = select(coins, amount)
      for (const coin of chosen?.coins ?? []) expect(coin.value).toBeGreaterThan(chosen?.change ?? 0)
    }))
  })

  test('never more coins than a contract takes', () => {
    const small = Array.from({ length: MAX_INPUTS + 10 }, () => ({ value: 1 }))
    expect(select(small, MAX_INPUTS + 1)).toBeNull()
    expect(exactly(small, MAX_INPUTS + 1)).toBeNull()
    expect(select([...small, { value: 512 }], MAX_INPUTS + 1)).toEqual({ coins: [{ value: 512 }], change: 511 - MAX_INPUTS })
  })

  test('one larger coin rather than many small ones that are not enough', () => {
    expect(select(values(2, 8), 3)).toEqual({ coins: values(8), change: 5 })
    expect(select(values(1, 2, 4, 16), 9)?.coins).toEqual(values(16))
  })
})

describe('split', () => {
  test('adds up, in rising order of values that there are', () => {
    fc.assert(fc.property(amount, amount => {
      const parts = split(amount, VALUES)
      expect(parts.reduce((a, b) => a + b, 0)).toBe(amount)
      expect(parts).toEqual([...parts].sort((a, b) => a - b))
      for (const part of parts) expect(VALUES).toContain(part)
    }))
  })

  test('leaves coins that pay any smaller amount exactly', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 500 }), fc.nat(), (amount, part) => {
      const coins = values(...split(amount, VALUES))
      expect(exactly(coins, 1 + part % amount)).not.toBeNull()
    }))
  })

  test('takes few coins', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 255 }), amount => {
      expect(split(amount, VALUES).length).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(amount + 1)))
    }))
    expect(fewest(200, VALUES)).toEqual([128, 64, 8])
  })

  test('refuses what the coins do not make', () => {
    expect(() => split(6, [4, 8])).toThrow(expect.objectContaining({ code: 'unpayable-amount' }))
    expect(() => fewest(1e6, VALUES)).toThrow(expect.objectContaining({ code: 'unpayable-amount' }))
    expect(split(12, [4, 8])).toEqual([4, 8])
  })
})
