/** How long a bank takes to sign tells nothing of its keys. */
import { createPrivateKey } from 'node:crypto'
import { expect, test } from 'vitest'
import { concat } from '@mixmint/core/kit/bytes'
import { pureSuite } from '@mixmint/core/crypto/pure'
import { BankKeys } from '../../nodes/bank-keys.ts'
import { NETWORK, rsaKeys, rsaPkcs8, suite } from '../doubles/economy.ts'

const ROUNDS = 80
/** µs, of the quicker half: what else runs on the machine makes single ones slower, never quicker. */
const quick = (times: number[]): number => {
  const sorted = times.sort((a, b) => a - b).slice(0, times.length >> 1)
  return sorted.reduce((sum, time) => sum + time, 0) / sorted.length
}

/** The slowest and the quickest kind, as a ratio. */
function spread (kinds: ReadonlyArray<() => unknown>): number {
  const times: number[][] = kinds.map(() => [])
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, kind] of kinds.entries()) {
      const start = performance.now()
      kind()
      times[i].push(performance.now() - start)
    }
  }
  const means = times.map(quick)
  return Math.max(...means) / Math.min(...means)
}

test('blinded messages that are chosen to tell the primes take as long as any other, and so does any key', () => {
  const [key] = rsaKeys
  const { p } = createPrivateKey({ key: Buffer.from(rsaPkcs8[0]), format: 'der', type: 'pkcs8' }).export({ format: 'jwk' })
  const prime = concat(new Uint8Array(128), new Uint8Array(Buffer.from(p ?? '', 'base64url')))
  const one = new Uint8Array(256).fill(1, 255)
  const any = suite.sha256(one)
  const ordinary = (): Uint8Array => concat(Uint8Array.of(1), new Uint8Array(223), any)
  const chosen = [one, new Uint8Array(256), prime, concat(new Uint8Array(254), Uint8Array.of(1, 0)), ordinary()]
  // Signing with JavaScript's big integers takes twenty times as long for one of these as for another.
  expect(Math.min(...[1, 2, 3].map(() => spread(chosen.map(message => () => suite.rsaBlindSign(key, message)))))).toBeLessThan(3)
  expect(Math.min(...[1, 2, 3].map(() => spread(rsaKeys.slice(0, 4).map(key => () => suite.rsaBlindSign(key, ordinary())))))).toBeLessThan(3)
})

test('a bank does not open its keys where they would be used with big integers', () => {
  expect(() => BankKeys.open(pureSuite, NETWORK, '/nowhere', { centers: [], virtualNodesPerWeight: 1, replicas: 1, faults: 0, quorum: 1 }, { hold: () => ({ number: 0 }), drop: () => {}, sign: async () => null })).toThrow(expect.objectContaining({ code: 'slow-suite' }))
})
