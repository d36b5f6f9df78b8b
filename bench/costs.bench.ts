/**
 * What operations cost on this machine, for the lab's planner (lab/plan/costs.ts): a center's vote, a bank's settlement, signature and
 * output of a withdrawal, a mix's packet; and what they leave on links and disks. In processor
 * time, as machines are counted in cores; durably, with many in flight.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Suite } from '@mixmint/core/crypto/suite'
import { encode } from '@mixmint/core/kit/codec'
import type { Store } from '@mixmint/core/kit/ports'
import { drive, type BasePorts } from '@mixmint/core/kit/saga'
import { BankEngine } from '@mixmint/core/cash/bank/engine'
import type { BankEffect } from '@mixmint/core/cash/bank/parts'
import { settleMessage, withdrawMessage } from '@mixmint/core/cash/bank-requests'
import { certify } from '@mixmint/core/cash/certify'
import { contractId, invoiceHash, withdrawalId } from '@mixmint/core/cash/contract'
import type { Output, Withdrawal } from '@mixmint/core/cash/formats'
import { BankReply, BankRequest, CenterReply, CenterRequest } from '@mixmint/core/cash/messages'
import { signSpend } from '@mixmint/core/cash/spend'
import { timesOf, type Costs, type Times } from '../lab/plan/costs.ts'
import { VERSION } from '../lab/run/folder.ts'
import { openLmdb } from '../nodes/store/lmdb.ts'
import { systemClock } from '../nodes/clock.ts'
import { openPostgres } from '../nodes/store/postgres.ts'
import { createEconomy, keyNamed, NETWORK, rsaKeys, suite, UNIT } from '../test/doubles/economy.ts'
import { noPostgres, PostgresServer } from '../test/doubles/postgres.ts'
import { setUp as centerAndSpends } from './center.bench.ts'
import { IN_FLIGHT, run, timeInFlight } from './durable.ts'
import { figure, median, type Row } from './harness.ts'
import { Ends, Line } from './mixnet-line.ts'

/** Of a payment that is settled. */
const [COINS, OUTPUTS] = [4, 2]
const SETTLEMENTS = 600
/** Of one bank, on one PostgreSQL. */
const PROCESSES = 4
const WITHDRAWALS = 12
const WITHDRAWN = 64
const SIGNATURES = 500
/** Packets a second: what a mix has time for, and no more than the other ends can make. For some seconds, when it is warm. */
const [PACKETS_S, MOST_PACKETS_S] = [400, 5000]
const [WARM_S, LOADED_S] = [2, 6]
/** As plans have it, `lab plan --utilisation`. */
const BUSY = 0.7
const MEAN = 20
/** Packets that a machine which is too busy has shed are not waited for longer. */
const PATIENCE = 60_000
/** Of each tag in a file of seen tags (docs/performance.md). */
const TAG_BYTES = 36

let latest: Costs | null = null

export async function costsRows (): Promise<Row[]> {
  const { center, bank, mix } = latest = await measureCosts()
  return [
    figure('center: a spend, durably', center.spend_us.mean, 'µs'), figure('center: request', center.request_bytes, 'bytes'), figure('center: reply', center.reply_bytes, 'bytes'), figure('center: on disk', center.disk_bytes, 'bytes'),
    figure(`bank: a payment of ${COINS} coins with ${OUTPUTS} outputs settled, durably, signatures not included`, bank.settle_us.mean, 'µs'), figure('bank: an output of a withdrawal, its signature not included', bank.withdraw_output_us, 'µs'),
    ...bank.postgres === null
      ? []
      : [
          figure('bank on PostgreSQL: the same payment settled, by its process', bank.postgres.settle_us.mean, 'µs'), figure('bank on PostgreSQL: an output of a withdrawal', bank.postgres.withdraw_output_us, 'µs'),
          figure(`PostgreSQL: between two payments settled, of ${PROCESSES} processes that check nothing`, bank.postgres.server_us, 'µs'), figure('PostgreSQL: on disk', bank.postgres.disk_bytes, 'bytes')
        ],
    figure('bank: a signature', bank.sign_us, 'µs'), figure('bank: request', bank.request_bytes, 'bytes'), figure('bank: reply', bank.reply_bytes, 'bytes'), figure('bank: on disk', bank.disk_bytes, 'bytes'),
    figure(`mix: processor time of a packet, of ${mix.packets_s} a second`, mix.packet_us, 'µs')
  ]
}

/** Of the run of this process. */
export function lastCosts (): Costs | null {
  return latest
}

async function measureCosts (): Promise<Costs> {
  const [load] = loadavg()
  const center = await centerCosts()
  const bank = await bankCosts()
  const mix = await mixCosts()
  return {
    machine: `${availableParallelism()} × ${cpus()[0].model.trim()}, ${process.platform} ${process.arch}`, measured: new Date(systemClock.now()).toISOString().slice(0, 10), version: VERSION, node: process.version,
    load: Math.round(10 * load) / 10, cores: availableParallelism(), center, bank, mix
  }
}

/** µs of processor time of this process, for each of `count`: what else the machine does is not in it. */
async function processorTime (count: number, work: () => Promise<unknown>): Promise<number> {
  const began = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(began)
  return (user + system) / count
}

/** With many in flight: how gaps between two that are done are spread, as long on the mean as the processor works for one. */
async function timesInFlight (count: number, call: (i: number) => Promise<unknown>): Promise<Times> {
  const done: number[] = []
  let next = 0
  const mean = await processorTime(count, async () => await Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
    while (next < count) {
      await call(next++)
      done.push(performance.now())
    }
  })))
  return timesOf(done.slice(IN_FLIGHT).map((at, i) => (at - done[IN_FLIGHT + i - 1]) * 1000), mean)
}

/** A fresh store, and how many bytes its folder grew by for each of `count`. */
async function withGrowth<T> (count: number, work: (store: Store) => Promise<T>, prepare: (store: Store) => Promise<unknown> = async () => {}): Promise<{ readonly result: T, readonly bytes: number }> {
  const dir = mkdtempSync(join(tmpdir(), 'mixmint-bench-'))
  const store = await openLmdb(dir)
  const size = (): number => readdirSync(dir).reduce((sum, name) => sum + 512 * statSync(join(dir, name)).blocks, 0)
  try {
    await prepare(store)
    const before = size()
    const result = await work(store)
    return { result, bytes: Math.max(1, (size() - before) / count) }
  } finally {
    await store.close()
    rmSync(dir, { recursive: true })
  }
}

/** Of a bank with its money in PostgreSQL, in a server of its own on this machine. */
async function postgresCosts (settle: (store: Store) => Promise<Times>, settleUnchecked: (store: Store, from: number, count: number) => Promise<unknown>, prepare: (store: Store) => Promise<number>): Promise<NonNullable<Costs['bank']['postgres']>> {
  const server = await PostgresServer.start()
  const size = async (): Promise<number> => Number((await server.sql('SELECT pg_database_size(current_database()) AS bytes'))[0].bytes)
  const withStores = async <T>(count: number, work: (stores: readonly Store[]) => Promise<T>): Promise<T> => {
    const url = server.url(await server.schema())
    const stores: Store[] = []
    try {
      for (let i = 0; i < count; i++) stores.push(await openPostgres(url))
      return await work(stores)
    } finally {
      for (const store of stores) await store.close()
    }
  }
  try {
    const ofProcess = await withStores(1, async ([store]) => {
      const withdraw_output_us = await prepare(store)
      const before = await size()
      const settle_us = await settle(store)
      return { withdraw_output_us, settle_us, disk_bytes: Math.max(1, Math.round((await size() - before) / SETTLEMENTS)) }
    })
    const server_us = await withStores(PROCESSES, async stores => {
      const began = performance.now()
      await Promise.all(stores.map(async (store, i) => await settleUnchecked(store, i * SETTLEMENTS / PROCESSES, SETTLEMENTS / PROCESSES)))
      return (performance.now() - began) * 1000 / SETTLEMENTS
    })
    return { ...ofProcess, server_us }
  } finally {
    await server.remove()
  }
}

async function centerCosts (): Promise<Costs['center']> {
  const { engine, spends } = centerAndSpends(suite)
  let reply: CenterReply | null = null
  const { result, bytes } = await withGrowth(spends.length, async store => await timesInFlight(spends.length, async i => { reply = await run(store, engine.handle({ op: 'spend', spend: spends[i] })) }))
  return {
    spend_us: result, disk_bytes: Math.round(bytes),
    request_bytes: encode(CenterRequest, { op: 'spend', spend: spends[0] }).length, reply_bytes: encode(CenterReply, reply as unknown as CenterReply).length
  }
}

async function bankCosts (): Promise<Costs['bank']> {
  const economy = createEconomy()
  const { clock, rng, meter, account, known, registry } = economy
  const engineWith = (suite: Suite): BankEngine => new BankEngine({ suite, network: NETWORK, bank: economy.bank, unit: UNIT, registry: () => registry, dayKey: () => undefined, sealedKeys: () => undefined, meter })
  const engine = engineWith(suite)
  // A number below every modulus, as a blinded message is.
  const output = (): Output => ({ keyset: known.id, value: 1, blinded: Uint8Array.from(rng.bytes(256), (byte, i) => i === 0 ? 0 : byte) })
  const { blinded } = output()
  const signature = suite.rsaBlindSign(rsaKeys[0], blinded)
  // Signing threads sign; here only what the main thread does counts.
  const perform = async (effect: BankEffect): Promise<unknown> => effect.do === 'blind-sign' ? signature : await economy.askCenter(effect)
  const requests = await Promise.all(Array.from({ length: SETTLEMENTS }, async (_, i): Promise<BankRequest> => {
    const coins = Array.from({ length: COINS }, () => economy.mint(8))
    const amount = COINS * 8 - OUTPUTS
    // As many shops: payments to one account wait for each other.
    const payee = keyNamed(`shop ${i}`)
    const contract = economy.contract({
      kind: 'pay', payee: payee.publicKey, amount, invoice: invoiceHash(suite, economy.invoice({ payee: payee.publicKey, amount, order: `order ${i}` })), outputs: Array.from({ length: OUTPUTS }, output)
    })
    const id = contractId(suite, contract)
    const { inputs } = await economy.run(certify({ suite, registry, meter }, coins.map(({ coin, key }) => signSpend(suite, key, coin, id))))
    return { op: 'settle', contract, inputs, payeeSignature: suite.ed25519Sign(payee, settleMessage(id)) }
  }))
  const ports = (store: Store): BasePorts => ({ clock, rng, store, wait: clock.wait })
  const ask = async (engine: BankEngine, store: Store, request: BankRequest, wanted: BankReply['is']): Promise<BankReply> => {
    const reply = await drive(engine.handle(request), ports(store), perform)
    if (reply.is !== wanted) throw new Error(`${wanted} wanted: ${JSON.stringify(reply)}`)
    return reply
  }
  let reply: BankReply | null = null
  const prepare = async (store: Store): Promise<number> => {
    await drive(engine.credit(account.publicKey, 100 * WITHDRAWN * WITHDRAWALS, 'bench'), ports(store), perform)
    const withdrawn: number[] = []
    for (let i = 0; i < WITHDRAWALS; i++) {
      const withdrawal: Withdrawal = {
        network: NETWORK, bank: economy.bank.publicKey, account: account.publicKey, unit: UNIT, nonce: rng.bytes(32).slice(), outputs: Array.from({ length: WITHDRAWN }, output)
      }
      const request: BankRequest = { op: 'withdraw', withdrawal, signature: suite.ed25519Sign(account, withdrawMessage(withdrawalId(suite, withdrawal))) }
      withdrawn.push(await processorTime(WITHDRAWN, async () => await ask(engine, store, request, 'signatures')))
    }
    return median(withdrawn)
  }
  const settle = async (store: Store): Promise<Times> => await timesInFlight(SETTLEMENTS, async i => { reply = await ask(engine, store, requests[i], 'settlement') })
  // Processes of a bank are as many machines, their PostgreSQL is one: how fast that is shows when they have nothing else to do.
  const unchecked = engineWith({ ...suite, ed25519Verify: () => true, rsaVerifyPss: () => true })
  const settleUnchecked = async (store: Store, from: number, count: number): Promise<unknown> => await timeInFlight(count, async i => await ask(unchecked, store, requests[from + i], 'settlement'))
  let withdraw_output_us = 0
  const own = await withGrowth(SETTLEMENTS, settle, async store => { withdraw_output_us = await prepare(store) })
  return {
    settle_us: own.result, settle_coins: COINS, settle_outputs: OUTPUTS, withdraw_output_us, disk_bytes: Math.round(own.bytes),
    sign_us: await processorTime(SIGNATURES, () => { for (let i = 0; i < SIGNATURES; i++) suite.rsaBlindSign(rsaKeys[0], blinded); return Promise.resolve() }),
    request_bytes: encode(BankRequest, requests[0]).length, reply_bytes: encode(BankReply, reply as unknown as BankReply).length,
    postgres: noPostgres() === null ? await postgresCosts(settle, settleUnchecked, prepare) : null
  }
}

/**
 * Of one process between a generator and a sink, at the rate at which it is at work as much of its time as machines are planned for: where
 * it has time, every packet is an event by itself, and takes several times as long. Of two rates a line is drawn; what is told is
 * measured at the rate that it names.
 */
async function mixCosts (): Promise<Costs['mix']> {
  const ends = await Ends.start()
  const line = await Line.start(ends, MEAN)
  try {
    const [few, more] = [await loadAt(ends, line, PACKETS_S), await loadAt(ends, line, 3 * PACKETS_S)]
    const slope = (more.busy - few.busy) / (more.packets_s - few.packets_s)
    const wanted = slope > 0 ? few.packets_s + (BUSY - few.busy) / slope : MOST_PACKETS_S
    const { busy, packets_s, packet_bytes } = await loadAt(ends, line, Math.round(Math.min(MOST_PACKETS_S, Math.max(PACKETS_S, wanted))))
    return { packet_us: busy / packets_s * 1e6, packets_s: Math.round(packets_s), packet_bytes, tag_bytes: TAG_BYTES }
  } finally {
    await line.stop()
    await ends.stop()
  }
}

/** For some seconds at this rate: the part of its time that the mix's process was at work, and how many packets a second came. */
async function loadAt (ends: Ends, line: Line, rate: number): Promise<{ readonly busy: number, readonly packets_s: number, readonly packet_bytes: number }> {
  const made = ends.make(Math.round(rate * (WARM_S + LOADED_S)), MEAN)
  let came = 0
  line.onArrival = () => { came += 1 }
  let before = { cpu: 0, at: 0, came: 0 }
  const from = rate * WARM_S
  for (let i = 0, began = performance.now(); i < made.length;) {
    for (; i < made.length && i <= (performance.now() - began) * rate / 1000; i++) {
      // What a process does once, when it begins, is over.
      if (i === from) before = { cpu: (await line.report()).cpu, at: performance.now(), came }
      line.send(made[i].packet)
    }
    await new Promise(resolve => { setTimeout(resolve, 2) })
  }
  const after = { cpu: (await line.report()).cpu, at: performance.now(), came }
  // The rest of these is no part of the next rate.
  for (let waited = 0; came < made.length && waited < PATIENCE; waited += 10) await new Promise(resolve => { setTimeout(resolve, 10) })
  return { busy: (after.cpu - before.cpu) / (after.at - before.at), packets_s: (after.came - before.came) * 1000 / (after.at - before.at), packet_bytes: made[0].packet.length }
}
