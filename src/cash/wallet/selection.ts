/**
 * Which coins to spend, and in which coins to take change. Values are powers of two, so that each divides the next: then
 * taking the largest that still fits finds an exact sum if there is one, and with the fewest coins (with every exact set
 * that leaves the largest fitting coin out, some of its coins add up to just that coin).
 */
import { MixmintError } from '../../kit/errors.ts'
import { MAX_INPUTS, MAX_OUTPUTS } from '../formats.ts'

export interface Selection<C> {
  readonly coins: C[]
  /** What the coins are worth beyond the amount. */
  readonly change: number
}

/** The fewest coins that make exactly this amount, or null. */
export function exactly<C extends { readonly value: number }> (coins: readonly C[], amount: number): C[] | null {
  const { taken, rest } = fill(coins, amount)
  return rest === 0 && taken.length <= MAX_INPUTS ? taken : null
}

/**
 * Coins for an amount: exactly if possible; else with one larger coin broken, and no coin that is not needed. Null when
 * all of them, or as many as one contract takes, are worth less.
 */
export function select<C extends { readonly value: number }> (coins: readonly C[], amount: number): Selection<C> | null {
  const exact = exactly(coins, amount)
  if (exact !== null) return { coins: exact, change: 0 }
  const { taken, left, rest } = fill(coins, amount)
  // What was left was too large for what was missing then: the smallest of it is enough, a larger one may save coins.
  let tried = 0
  for (const larger of left.toReversed()) {
    if (larger.value === tried) continue
    tried = larger.value
    const chosen = withoutNeedless([...taken, larger], larger.value - rest)
    if (chosen.coins.length <= MAX_INPUTS) return chosen
  }
  return null
}

/** Leaves out, the smallest first, what the surplus allows. */
function withoutNeedless<C extends { readonly value: number }> (coins: C[], surplus: number): Selection<C> {
  let change = surplus
  const needed = coins.sort((a, b) => a.value - b.value).filter(({ value }) => {
    if (value > change) return true
    change -= value
    return false
  })
  return { coins: needed.reverse(), change }
}

/** Largest first, whatever still fits. `left` in falling order too. */
function fill<C extends { readonly value: number }> (coins: readonly C[], amount: number): { taken: C[], left: C[], rest: number } {
  const taken: C[] = []
  const left: C[] = []
  let rest = amount
  for (const coin of [...coins].sort((a, b) => b.value - a.value)) {
    if (coin.value <= rest) {
      taken.push(coin)
      rest -= coin.value
    } else left.push(coin)
  }
  return { taken, left, rest }
}

/**
 * The values in which an amount is taken as fresh coins: first one of each, from the smallest, as far as it goes, so that
 * later payments can be made exactly and failing coins replaced; what remains in the fewest. It depends on the amount
 * alone, so that how a wallet splits says nothing about what it holds.
 * @param values that the keyset has, in rising order
 * @throws unpayable-amount (caller) when the coins cannot make it
 */
export function split (amount: number, values: readonly number[]): number[] {
  const parts: number[] = []
  let rest = amount
  for (const value of values) {
    if (value > rest) break
    parts.push(value)
    rest -= value
  }
  return [...parts, ...fewest(rest, values)].sort((a, b) => a - b)
}

/** The fewest values that make an amount, in falling order. @throws unpayable-amount (caller) */
export function fewest (amount: number, values: readonly number[]): number[] {
  const parts: number[] = []
  let rest = amount
  for (const value of values.toReversed()) {
    for (; value <= rest; rest -= value) {
      parts.push(value)
      if (parts.length > MAX_OUTPUTS) throw unpayable(amount)
    }
  }
  if (rest > 0) throw unpayable(amount)
  return parts
}

function unpayable (amount: number): MixmintError {
  return new MixmintError('unpayable-amount', 'caller', `the bank's coins do not make ${amount} in one piece: choose an amount that is a multiple of its smallest coin, or several smaller ones`)
}
