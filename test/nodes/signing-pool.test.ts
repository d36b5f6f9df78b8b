/** Signatures from threads: the same as without, whoever waits; a full queue says busy; nobody waits for ever. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { afterEach, expect, test, vi } from 'vitest'
import { isZero, toHex } from '@mixmint/core/kit/bytes'
import type { Log } from '@mixmint/core/kit/ports'
import { SigningPool } from '../../nodes/signing-pool.ts'
import { rsaKeys, rsaPkcs8, suite } from '../doubles/economy.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'

const pools: SigningPool[] = []
const meter = new CountingMeter()
const lines: Array<Readonly<Record<string, unknown>> | undefined> = []
const log: Log = { info: () => {}, warn: () => {}, error: (_, fields) => { lines.push(fields) } }
const start = (threads: number): SigningPool => {
  const pool = new SigningPool(threads, { log, meter })
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

test('a thread that ends again and again is replaced after pauses that grow, and what it had is asked again', async () => {
  const pool = start(1)
  const key = pool.hold(rsaPkcs8[0])
  const blinded = number()
  expect(await pool.sign(key, blinded)).toHaveLength(256)
  // No thread survives this one.
  const bad = pool.hold(new Uint8Array(8))
  await expect(pool.sign(key, blinded)).rejects.toMatchObject({ code: 'signing-failed', retry: true })
  const waits = pool.sign(key, blinded).catch(() => 'failed')
  await expect.poll(() => lines.length, { timeout: 20_000, interval: 20 }).toBeGreaterThan(2)
  expect(lines.slice(0, 3).map(fields => fields?.pause)).toEqual([100, 200, 400])
  expect(meter.of('signing_thread_ended')).toBe(lines.length)
  pool.drop(bad)
  await waits
  await expect.poll(async () => await pool.sign(key, blinded).catch(() => null), { timeout: 20_000, interval: 50 }).toEqual(suite.rsaBlindSign(rsaKeys[0], blinded))
})

test('a key that was dropped is nowhere any more, and signs nothing', async () => {
  const pool = start(2)
  const [pkcs8, other] = [Uint8Array.from(rsaPkcs8[0]), pool.hold(rsaPkcs8[1])]
  const key = pool.hold(pkcs8)
  const asked = Array.from({ length: 200 }, async () => await pool.sign(key, number()).then(() => 'signed', (error: unknown) => (error as { code: string }).code))
  await Promise.resolve()
  const told = vi.spyOn(Worker.prototype, 'postMessage')
  pool.drop(key)
  expect(told.mock.calls).toEqual([[{ drop: key.number }], [{ drop: key.number }]])
  told.mockRestore()
  expect(isZero(pkcs8)).toBe(true)
  expect(new Set(await Promise.all(asked))).toEqual(new Set(['signed', 'signing-failed']))
  await expect(pool.sign(key, number())).rejects.toMatchObject({ code: 'signing-failed' })
  // A thread that begins later is not told of it; the others go on.
  expect(await pool.sign(other, number())).toHaveLength(256)
})

test('a thread that is told so forgets a key', async () => {
  const thread = new Worker(new URL('../../nodes/signing-thread.ts', import.meta.url))
  const ask = (): void => { thread.postMessage({ jobs: [{ job: 1, key: 0, blinded: number() }] }) }
  thread.postMessage({ key: 0, pkcs8: rsaPkcs8[0] })
  ask()
  expect((await once(thread, 'message') as [{ done: unknown[] }])[0].done).toHaveLength(1)
  thread.postMessage({ drop: 0 })
  const failed = once(thread, 'error')
  ask()
  expect(String((await failed)[0])).toContain('not told of')
})
