/** The observer's shares against a slow twin: every order in which a mix may let its packets go. */
import { describe, expect, test } from 'vitest'
import { Shares, type Anonymity } from '../../lab/measure/shares.ts'

/** One cell, driven by a text: `a` goes in, `A` comes out and is received. */
function drive (moves: string, target: string): Anonymity {
  const found: Anonymity[] = []
  const shares = new Shares(1, 4, one => { if (one !== null) found.push(one) })
  shares.resize(64)
  for (const move of moves) {
    const slot = move.toLowerCase().charCodeAt(0) - 97
    if (move === move.toLowerCase()) {
      shares.begin(slot)
      if (move === target) shares.follow(slot, 0)
      shares.enter(0, slot)
    } else {
      shares.leave(slot)
      shares.received(slot)
    }
  }
  expect(found).toHaveLength(1)
  return found[0]
}

/** Every matching of what comes out with what went in before is as likely as any other, one step after the other. */
function slowTwin (moves: string, target: string): number[] {
  const received: number[] = []
  const walk = (at: number, inside: readonly string[], weight: number, out: number): void => {
    if (at === moves.length) return
    const move = moves[at]
    if (move === move.toLowerCase()) return walk(at + 1, [...inside, move], weight, out)
    for (const one of inside) {
      if (one === target) received[out] = (received[out] ?? 0) + weight / inside.length
      walk(at + 1, inside.filter(other => other !== one), weight / inside.length, out + 1)
    }
  }
  walk(0, [], 1, 0)
  return [...received].map(p => p ?? 0).filter(p => p > 0)
}

describe('the observer', () => {
  test.each(['abAB', 'abcBAdCD', 'aAbcCB', 'abAcdBeCDE', 'bacCdADB'])('gives each packet that leaves the share that is due to it: %s', moves => {
    const p = slowTwin(moves, 'a')
    const { entropy, minEntropy, candidates } = drive(moves, 'a')
    expect(entropy).toBeCloseTo(-p.reduce((sum, x) => sum + x * Math.log2(x), 0), 9)
    expect(minEntropy).toBeCloseTo(-Math.log2(Math.max(...p)), 9)
    expect(candidates).toBe(p.length)
  })

  test('of a batch of n that leaves at once: log2 n', () => {
    const names = 'abcdefgh'
    const { entropy, right } = drive(`${names}${names.toUpperCase()}`, 'c')
    expect(entropy).toBeCloseTo(3, 9)
    expect(right).toBeCloseTo(1 / 8, 9)
  })
})
