/**
 * What the bytes of packets tell links and mixes: nothing of the length of the path, the position on it, the kind of the
 * packet or its way. With few packets, so that strong leaks show; test/slow/path-leaks.test.ts takes many.
 */
import { describe, expect, it } from 'vitest'
import { isZero, toHex } from '@mixmint/core/kit/bytes'
import { cryptBeta } from '@mixmint/mixnet/sphinx/keys'
import { biasedBits, linked, toldApart } from '../reference/leaks.ts'
import { alphas, KINDS, lastHopSecret, MEAN, type Sample, sample, withoutAlpha } from './leak-material.ts'
import { bytesFrom, native as suite } from './sphinx-material.ts'

const COUNT = 120
/** p-values are asserted at fixed seeds: a test fails for good or never. */
const UNLIKELY = 1e-4

const samples = new Map<string, Sample>()
for (const kind of KINDS) samples.set(`${kind} 5`, sample(kind, 5, COUNT))
for (const length of [3, 4]) for (const kind of ['request', 'reply'] as const) samples.set(`${kind} ${length}`, sample(kind, length, COUNT))
const of = (name: string): Sample => {
  const found = samples.get(name)
  if (found === undefined) throw new Error('no such sample')
  return found
}

describe('the measures themselves', () => {
  const rows = (name: string, spoil: (row: Uint8Array, i: number) => void = () => {}): Uint8Array[] => Array.from({ length: COUNT }, (_, i) => {
    const row = bytesFrom(i, name, 656)
    spoil(row, i)
    return row
  })

  it('find nothing in chance', () => {
    const [a, b] = [rows('a'), rows('b')]
    const { sum, greatest } = biasedBits(a)
    expect(Math.min(sum, greatest, toldApart(a, b), linked(a, b))).toBeGreaterThan(0.001)
  })

  it('find a byte that is always the same, a weak bias of all bytes, a copy of one byte', () => {
    const fixed = rows('a', row => { row[300] = 7 })
    expect(biasedBits(fixed).greatest).toBeLessThan(UNLIKELY)
    expect(toldApart(fixed, rows('b'))).toBeLessThan(UNLIKELY)
    const weak = rows('a', (row, i) => { row.forEach((byte, at) => { if ((at + i) % 8 === 0) row[at] = byte & 0x7f }) })
    expect(biasedBits(weak).sum).toBeLessThan(UNLIKELY)
    const copied = rows('c', (row, i) => { row.set(bytesFrom(i, 'a', 656).subarray(0, 64), 100) })
    expect(linked(rows('a').map(row => row.subarray(0, 64)), copied.map(row => row.subarray(100, 164)))).toBeLessThan(UNLIKELY)
  })
})

describe('a packet on its way', () => {
  it('has the size of all packets, at every hop', () => {
    for (const [name, { at }] of samples) for (const packets of at) expect(new Set(packets.map(({ length }) => length)), name).toEqual(new Set([4608]))
  })

  it('has at every position, for every length of path and every kind, bits as from coins', () => {
    for (const [name, { at }] of samples) {
      at.forEach((packets, hop) => {
        const { sum, greatest } = biasedBits(withoutAlpha(packets))
        expect(Math.min(sum, greatest), `${name}, hop ${hop}`).toBeGreaterThan(UNLIKELY)
      })
    }
  })

  it('does not tell its kind', () => {
    for (const kind of KINDS) expect(toldApart(withoutAlpha(of('fragment 5').at[0]), withoutAlpha(of(`${kind} 5`).at[0])), kind).toBeGreaterThan(UNLIKELY)
    for (const hop of [0, 1, 2, 3, 4]) expect(toldApart(withoutAlpha(of('request 5').at[hop]), withoutAlpha(of('reply 5').at[hop])), `hop ${hop}`).toBeGreaterThan(UNLIKELY)
  })

  it('does not tell the length of its path, nor where on it it is', () => {
    for (const kind of ['request', 'reply']) {
      for (const [a, b] of [[3, 4], [3, 5], [4, 5]]) expect(toldApart(withoutAlpha(of(`${kind} ${a}`).at[0]), withoutAlpha(of(`${kind} ${b}`).at[0]))).toBeGreaterThan(UNLIKELY)
      for (const [a, b] of [[0, 1], [0, 4], [2, 3], [3, 4]]) expect(toldApart(withoutAlpha(of(`${kind} 5`).at[a]), withoutAlpha(of(`${kind} 5`).at[b]))).toBeGreaterThan(UNLIKELY)
    }
  })

  it('has an alpha like all others: a number below p, of no low order, new at every hop', () => {
    const seen = new Set<string>()
    for (const [, { at }] of samples) {
      for (const packets of at) {
        expect(biasedBits(alphas(packets)).greatest).toBeGreaterThan(UNLIKELY)
        for (const packet of packets) {
          expect(packet[31]).toBeLessThan(0x80)
          seen.add(toHex(packet.subarray(0, 32)))
        }
      }
    }
    expect(seen.size).toBe([...samples.values()].reduce((sum, { at }) => sum + at.length * COUNT, 0))
  })

  it('comes out of a hop with no likeness to what went in', () => {
    for (const name of ['request 5', 'reply 5', 'drop 5']) {
      const { at } = of(name)
      for (let hop = 1; hop < at.length; hop++) {
        expect(linked(withoutAlpha(at[hop - 1], 4608), withoutAlpha(at[hop], 4608)), `${name}, hop ${hop}`).toBeGreaterThan(UNLIKELY)
        // Nor do the blocks that move up by one.
        expect(linked(at[hop - 1].map(packet => packet.subarray(32 + 112, 32 + 576)), at[hop].map(packet => packet.subarray(32, 32 + 576 - 112)))).toBeGreaterThan(UNLIKELY)
      }
    }
  })
})

describe('what a hop reads', () => {
  it('asks for the same delay everywhere, whatever the packet: 0 at the last hop', () => {
    for (const [, { delays }] of samples) {
      expect(delays).toEqual(delays.map((_, i) => new Set([i < delays.length - 1 ? MEAN : 0])))
    }
  })

  it('behind the last block: on paths of five chance only; on shorter ones zeros, as many as the format wants, by which the last hop knows the length', () => {
    for (const [name, { ends }] of samples) {
      const length = Number(name.split(' ')[1])
      const zeros = (5 - length) * 112 + 16
      const behind = ends.map(packet => cryptBeta(suite, lastHopSecret(packet, length), packet.subarray(32, 32 + 576)).subarray(112))
      for (const bytes of behind) expect(isZero(bytes.subarray(0, zeros)), name).toBe(true)
      const { sum, greatest } = biasedBits(behind.map(bytes => bytes.subarray(zeros)))
      expect(Math.min(sum, greatest), name).toBeGreaterThan(UNLIKELY)
    }
    // Nor does what is behind it tell a request from cover, or a reply from what a wallet sends itself.
    const behind = (name: string): Uint8Array[] => of(name).ends.map(packet => cryptBeta(suite, lastHopSecret(packet, 5), packet.subarray(32, 32 + 576)).subarray(128))
    expect(toldApart(behind('request 5'), behind('drop 5'))).toBeGreaterThan(UNLIKELY)
    expect(toldApart(behind('reply 5'), behind('loop 5'))).toBeGreaterThan(UNLIKELY)
  })
})
