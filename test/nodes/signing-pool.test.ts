/** Signatures from threads: the same as without, whoever waits; a full queue says busy; nobody waits for ever. */
import { afterEach, expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { SigningPool } from '../../nodes/signing-pool.ts'
import { rsaKeys, rsaPkcs8, suite } from '../doubles/economy.ts'
import { seededRng } from '../doubles/rng.ts'

const pools: SigningPool[] = []
const start = (threads: number): SigningPool => {
  const pool = new SigningPool(threads)
  pools.push(pool)
  return pool
}
afterEach(async () => { for (const pool of pools.splice(0)) await pool.stop() })

const rng = seededRng('signing')
const number = (): Uint8Array => { const bytes = rng.bytes(256); bytes[0] = 1; return bytes }

test('each is the signature of its own message by its own key, whichever thread made it', async () => {
  const pool = start(2)
  const keys = [0, 1, 2].map(i => pool.hold(rsaPkcs8[i]))
  const asked = Array.from({ length: 60 }, (_, i) => ({ key: i % 3, blinded: number() }))
  const signed = await Promise.all(asked.map(async ({ key, blinded }) => await pool.sign(keys[key], blinded)))
  expect(signed.map(signature => toHex(signature ?? new Uint8Array(0)))).toEqual(asked.map(({ key, blinded }) => toHex(suite.rsaBlindSign(rsaKeys[key], blinded) ?? new Uint8Array(1))))
})

test('a number that is not below the modulus has none', async () => {
  const pool = start(1)
  expect(await pool.sign(pool.hold(rsaPkcs8[0]), new Uint8Array(256).fill(255))).toBeNull()
})

test('what does not fit is refused as busy, and what waits when it stops is told so', async () => {
  const pool = start(1)
  const key = pool.hold(rsaPkcs8[0])
  const blinded = number()
  const results: Array<Promise<string>> = []
  const told = async (): Promise<string> => await pool.sign(key, blinded).then(() => 'signed', (error: unknown) => (error as { code: string }).code)
  for (let i = 0; i < 16_400; i++) results.push(told())
  expect(new Set((await Promise.all(results.slice(16_384)))) ).toEqual(new Set(['busy']))
  await results[0]
  await pool.stop()
  const codes = await Promise.all(results)
  expect(codes.filter(code => code === 'signed').length).toBeGreaterThan(0)
  expect(new Set(codes)).toEqual(new Set(['signed', 'signing-failed', 'busy']))
  expect(await told()).toBe('signing-failed')
})

test('a thread that ends is replaced, and only what it had is to be asked again', async () => {
  const pool = start(1)
  // Nobody has a key of this number: the thread fails.
  await expect(pool.sign({ number: 7 }, number())).rejects.toMatchObject({ code: 'signing-failed', retry: true })
  const key = pool.hold(rsaPkcs8[0])
  const blinded = number()
  expect(await pool.sign(key, blinded)).toEqual(suite.rsaBlindSign(rsaKeys[0], blinded))
})
