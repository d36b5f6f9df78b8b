/** Which two centers to kill, so that one coin becomes unavailable and the rest of the purse can stand in for it. */

export interface PurseCoin { readonly coin: string, readonly value: number, readonly keepers: readonly string[] }

export interface Victims {
  /** Killed first: a keeper of both coins. */
  readonly first: string
  readonly second: string
  /** Paid with while only the first is dead. */
  readonly before: PurseCoin
  /** Has both as keepers. */
  readonly unavailable: PurseCoin
}

/**
 * A payment of a coin's exact value is begun with a coin of that value; so it is enough to find a value of which the wallet
 * has one coin, kept by both victims, and others, each kept by at most one of them, that add up to it.
 * @param quorum a coin is payable while so many of its keepers live
 */
export function chooseVictims (coins: readonly PurseCoin[], quorum: number): Victims | null {
  const alone = coins.filter(coin => coins.filter(other => other.value === coin.value).length === 1)
  for (const unavailable of alone.toSorted((a, b) => b.value - a.value)) {
    for (const first of unavailable.keepers) {
      for (const second of unavailable.keepers) {
        if (second === first) continue
        const lives = (coin: PurseCoin): boolean => coin.keepers.filter(keeper => keeper !== first && keeper !== second).length >= quorum
        if (lives(unavailable)) continue
        for (const before of alone) {
          if (before === unavailable || !before.keepers.includes(first)) continue
          const rest = coins.filter(coin => coin !== unavailable && coin !== before && lives(coin))
          if (canMake(rest, unavailable.value)) return { first, second, before, unavailable }
        }
      }
    }
  }
  return null
}

/** Of powers of two, the largest that fits is always right. */
function canMake (coins: readonly PurseCoin[], amount: number): boolean {
  let left = amount
  for (const { value } of coins.toSorted((a, b) => b.value - a.value)) if (value <= left) left -= value
  return left === 0
}
