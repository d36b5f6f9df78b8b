/**
 * What a payment costs beyond single primitives: the threads of a bank that sign, while it answers other requests; a merchant at a
 * steady rate; a wallet that prepares coins; and how cost grows with centers, with the keepers of a coin, and with coins.
 */
import { createPrivateKey, createPublicKey, constants, privateEncrypt, publicEncrypt } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { utf8 } from '@mixmint/core/kit/bytes'
import { encode } from '@mixmint/core/kit/codec'
import { drive } from '@mixmint/core/kit/saga'
import { pureSuite } from '@mixmint/core/crypto/pure'
import { BankEngine } from '@mixmint/core/cash/bank/engine'
import { balanceMessage } from '@mixmint/core/cash/bank-requests'
import { certify } from '@mixmint/core/cash/certify'
import { Presentation } from '@mixmint/core/cash/formats'
import { RingMap } from '@mixmint/core/cash/ring'
import { signSpend } from '@mixmint/core/cash/spend'
import { WalletEngine } from '@mixmint/core/cash/wallet/engine'
import { SigningPool } from '../nodes/signing-pool.ts'
import { createEconomy, NETWORK, rsaPkcs8, suite, UNIT } from '../test/doubles/economy.ts'
import { MemoryStore } from '../test/doubles/memory-store.ts'
import { run, withStore } from './durable.ts'
import { figure, limit, median, quantile, time, timeInFlight, type Row } from './harness.ts'
import { newMerchant, presented } from './merchant.bench.ts'

/** Signatures of one round. */
const SIGNATURES = 1024
const ROUNDS = 5

const key = createPrivateKey({ key: Buffer.from(rsaPkcs8[0]), format: 'der', type: 'pkcs8' })
const publicKey = createPublicKey(key)
const padding = constants.RSA_NO_PADDING

function blinded (i: number): Uint8Array {
  const bytes = new Uint8Array(256).fill(i & 0xff)
  bytes[0] = 1
  bytes[255] = i >> 8
  return bytes
}

/** Raw signature and its check, so many, on this thread. */
function raw (count: number): void {
  for (let i = 0; i < count; i++) publicEncrypt({ key: publicKey, padding }, privateEncrypt({ key, padding }, blinded(i)))
}

/** The same on as many threads as the pool has, by nothing but the raw operations: µs a signature. */
async function rawThreads (threads: readonly Worker[]): Promise<number> {
  const started = performance.now()
  await Promise.all(threads.map(async thread => await new Promise(resolve => {
    thread.once('message', resolve)
    thread.postMessage(SIGNATURES / threads.length)
  })))
  return (performance.now() - started) * 1000 / SIGNATURES
}

async function bankRows (): Promise<Row[]> {
  // With a thread a core nobody would answer: as the bank itself does it.
  const count = Math.max(1, availableParallelism() - 1)
  const pool = new SigningPool(count, { log: { info: () => {}, warn: () => {}, error: () => {} }, meter: { count: () => {} } })
  const held = pool.hold(rsaPkcs8[0])
  const threads = Array.from({ length: count }, () => new Worker(fileURLToPath(import.meta.url)))
  const { bank, account, registry, meter, clock, rng } = createEconomy()
  const engine = new BankEngine({ suite, network: NETWORK, bank, unit: UNIT, registry: () => registry, dayKey: () => undefined, sealedKeys: () => undefined, meter })
  const ports = { clock, rng, store: new MemoryStore(), wait: clock.wait }
  const perform = async (): Promise<unknown> => { throw new Error('a balance asks nobody') }
  const request = { op: 'balance' as const, account: account.publicKey, time: clock.now(), signature: suite.ed25519Sign(account, balanceMessage(account.publicKey, clock.now())) }
  const sign = async (): Promise<number> => await timeInFlight(SIGNATURES, 256, async i => await pool.sign(held, blinded(i)))
  await rawThreads(threads)
  await sign()
  const rounds: Array<{ raw: number, pool: number }> = []
  for (let i = 0; i < ROUNDS; i++) rounds.push({ raw: await rawThreads(threads), pool: await sign() })

  // Requests of another kind at fixed times, while the pool has more than it can do: from when each was due.
  const late: number[] = []
  let isBusy = true
  const busy = (async () => { for (let i = 0; i < 3; i++) await sign(); isBusy = false })()
  for (let due = performance.now(); isBusy; due += 5) {
    await new Promise(resolve => { setTimeout(resolve, Math.max(0, due - performance.now())) })
    await drive(engine.handle(request), ports, perform)
    late.push(performance.now() - due)
  }
  await busy
  for (const thread of threads) await thread.terminate()
  await pool.stop()
  const share = median(rounds.map(({ raw, pool }) => raw / pool))
  return [
    { name: `bank: rate of ${count} signing threads, to that of raw signature and check on as many`, ratio: share, value: median(rounds.map(({ pool }) => pool)), unit: 'µs', goal: '≥ 0.9', met: share >= 0.9 },
    figure('bank: signatures by its threads', 1e6 / median(rounds.map(({ pool }) => pool)), '1/s'),
    limit('bank: p99 of other requests meanwhile', quantile(late, 0.99), 'ms', 50)
  ]
}

/** At a steady rate, from when each was due to its end: ms. */
async function atRate (rate: number, count: number, call: (i: number) => Promise<unknown>): Promise<number[]> {
  const late: number[] = []
  const started = performance.now()
  const all: Array<Promise<void>> = []
  for (let next = 0; next < count;) {
    for (; next < count && started + next * 1000 / rate <= performance.now(); next++) {
      const due = started + next * 1000 / rate
      all.push(call(next).then(() => { late.push(performance.now() - due) }))
    }
    await new Promise(resolve => { setTimeout(resolve, 0) })
  }
  await Promise.all(all)
  return late
}

/** Tokens at a steady rate, each to its durable acceptance; and beside that what the disk alone takes, and the machine alone. */
async function merchantRows (): Promise<Row[]> {
  const [RATE, COUNT] = [1000, 3000]
  return await withStore(async store => {
    const merchant = newMerchant(suite)
    const presentations: Presentation[] = new Array(COUNT)
    await timeInFlight(COUNT, 8, async i => { presentations[i] = await presented(suite, merchant, store) })
    const late = await atRate(RATE, COUNT, async i => await run(store, merchant.accept(presentations[i])))
    const value = encode(Presentation, presentations[0])
    const written = await atRate(RATE, COUNT, async i => await store.batch(['open', 'paid', 'serial', 'due'].map(name => ({ op: 'insert', key: utf8(`row ${name} ${i}`), value }))))
    const nothing = await atRate(RATE, COUNT, async () => {})
    return [
      limit(`merchant: p99 of acceptance at ${RATE} tokens/s`, quantile(late, 0.99), 'ms', 5),
      figure(`merchant: median at ${RATE} tokens/s`, median(late), 'ms'),
      figure('merchant: p99 of a durable batch of 4 entries alone, at that rate', quantile(written, 0.99), 'ms'),
      figure('merchant: p99 of nothing at all, at that rate', quantile(nothing, 0.99), 'ms')
    ]
  })
}

/** From the wish to the request, as it would leave: counters reserved, keys derived, messages blinded, all of it in the store. */
async function walletRows (): Promise<Row[]> {
  const { bank, registry, meter, clock, rng } = createEconomy()
  const took = async (of: typeof suite): Promise<number> => {
    const wallet = new WalletEngine({ suite: of, seed: suite.hkdfSha256(utf8('bench'), new Uint8Array(0), new Uint8Array(0), 64), network: NETWORK, bank: bank.publicKey, unit: UNIT, registry: () => registry, meter })
    const rounds: number[] = []
    for (let i = 0; i < 4; i++) {
      let count = 0
      const started = performance.now()
      await drive(wallet.withdraw(AMOUNT), { clock, rng, store: new MemoryStore(), wait: clock.wait }, async effect => {
        rounds.push(performance.now() - started)
        if ('request' in effect && effect.request.op === 'withdraw') count = effect.request.withdrawal.outputs.length
        throw new Error('enough')
      }).catch(() => {})
      if (count !== 20) throw new Error(`a withdrawal of 20 coins wanted, it has ${count}`)
    }
    return median(rounds.slice(1))
  }
  return [
    limit('wallet: a withdrawal of 20 coins prepared, native', await took(suite), 'ms', 60),
    limit('wallet: the same, pure', await took(pureSuite), 'ms', 1000)
  ]
}
/** In coins of 1 to 128: one of each, and 12 more. */
const AMOUNT = 255 + 9 * 128 + 64 + 32 + 16

async function growthRows (): Promise<Row[]> {
  const rows: Row[] = []
  for (const centers of [4, 32, 250, 1000]) {
    const ring = { centers: Array.from({ length: centers }, (_, i) => ({ id: suite.sha256(utf8(`center ${i}`)), voteKey: suite.sha256(utf8(`vote ${i}`)), weight: 1 })), virtualNodesPerWeight: 512, replicas: 4, faults: 1, quorum: 3 }
    const map = new RingMap(suite, ring)
    const coins = Array.from({ length: 2000 }, (_, i) => suite.sha256(utf8(`coin ${i}`)))
    const signature = new Uint8Array(256)
    const micros = median(Array.from({ length: 9 }, () => time(coins.length, i => map.keepers(coins[i], signature))))
    rows.push(centers === 1000 ? limit('growth: the keepers of a coin, of 1000 centers', micros, 'µs', 2) : figure(`growth: the keepers of a coin, of ${centers} centers`, micros, 'µs'))
  }
  const certified = async (replicas: number, faults: number, quorum: number, coins: number): Promise<number> => {
    const economy = createEconomy({ centers: 16, ring: { replicas, faults, quorum } })
    const rounds: number[] = []
    for (let i = 0; i < 4; i++) {
      const contract = suite.sha256(utf8(`contract ${i}`))
      const inputs = Array.from({ length: coins }, () => economy.mint(1)).map(({ coin, key }) => signSpend(suite, key, coin, contract))
      const started = performance.now()
      const { states } = await economy.run(certify({ suite, registry: economy.registry, meter: economy.meter }, inputs))
      if (states.some(({ state }) => state !== 'certified')) throw new Error('a coin was not certified')
      rounds.push(performance.now() - started)
    }
    return median(rounds.slice(1))
  }
  for (const [n, f, q] of [[1, 0, 1], [3, 0, 2], [4, 1, 3], [7, 2, 5], [10, 3, 7], [16, 5, 11]]) {
    rows.push(figure(`growth: a coin certified, payee and its n = ${n} keepers (f = ${f}) on one core`, await certified(n, f, q, 1), 'ms'))
  }
  for (const coins of [1, 4, 16, 64, 256]) rows.push(figure(`growth: ${coins} coins certified, n = 4, on one core`, await certified(4, 1, 3, coins), 'ms'))
  return rows
}

export async function cashRows (): Promise<Row[]> {
  return [...await bankRows(), ...await merchantRows(), ...await walletRows(), ...await growthRows()]
}

if (!isMainThread) parentPort?.on('message', (count: number) => { raw(count); parentPort?.postMessage('done') })
