/**
 * Stores that earlier versions wrote, opened by this one; that a later one wrote, refused; and stores that are damaged.
 * test/fixtures/make-stores.ts writes them.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, describe, expect, test } from 'vitest'
import { concat, equal, fromHex, toHex, utf8 } from '@mixmint/core/kit/bytes'
import { decode, encode, record, text, uint } from '@mixmint/core/kit/codec'
import type { Store } from '@mixmint/core/kit/ports'
import { drive, scanAll, type Saga } from '@mixmint/core/kit/saga'
import { BankEngine } from '@mixmint/core/cash/bank/engine'
import { coinId } from '@mixmint/core/cash/coin'
import { coinKeys } from '@mixmint/core/cash/known-keyset'
import { verifyKeyset } from '@mixmint/core/cash/keyset'
import { MerchantEngine } from '@mixmint/core/cash/merchant/engine'
import { SealedPaid } from '@mixmint/core/cash/merchant/records'
import { verifyDoubleSpend } from '@mixmint/core/cash/spend'
import { sleep, systemClock, systemRng } from '../../nodes/clock.ts'
import { claimStore } from '../../nodes/store/about.ts'
import { openLmdb } from '../../nodes/store/lmdb.ts'
import { MIGRATIONS } from '../../nodes/store/migrations.ts'
import { openPostgres } from '../../nodes/store/postgres.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { noPostgres, PostgresServer } from '../doubles/postgres.ts'
import { suite } from '../mixnet/mix-material.ts'
import { recordAt, type RECORDS } from './store-records.ts'

const ABOUT = utf8('about')
const About = record({ format: uint(), owner: text(256) })
/** Of each vintage, the stores that are kept of it, and the format of each; 0: it did not say yet. The last is of this version. */
const FIXTURES: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'stores-0': { 'authority-1': 0, bank: 1, 'center-1': 1, merchant: 1, wallet: 0 },
  'stores-1': { 'authority-1': 0, bank: 1, 'center-1': 1, merchant: 1 },
  'stores-2': { merchant: 2, wallet: 2 },
  'stores-3': { 'authority-1': 1, bank: 2, 'center-1': 1, merchant: 3, wallet: 2 }
}
const FORMATS = Object.keys(FIXTURES)
const roleOf = (name: string): keyof typeof RECORDS => name.replace(/-\d+$/, '') as keyof typeof RECORDS
const root = mkdtempSync(join(tmpdir(), 'mixmint-formats-'))
const server = noPostgres() === null ? await PostgresServer.start() : null
afterAll(async () => {
  await server?.remove()
  rmSync(root, { recursive: true, force: true })
})

/** The tables as the first layout made them, version and all. */
const FIRST_LAYOUT = [
  'CREATE TABLE mixmint_store (one boolean PRIMARY KEY CHECK (one), version integer NOT NULL)', 'INSERT INTO mixmint_store VALUES (true, 1)',
  'CREATE TABLE mixmint_entries (key bytea PRIMARY KEY, value bytea NOT NULL)', 'ALTER TABLE mixmint_entries ALTER COLUMN value SET STORAGE EXTERNAL'
]

let count = 0
function copyOf (format: string, name: string): string {
  const dir = join(root, `${count++}`)
  cpSync(join('test/fixtures', format, name), dir, { recursive: true })
  return dir
}

async function run<T> (store: Store, saga: Saga<T, never>): Promise<T> {
  return await drive(saga, { clock: systemClock, rng: systemRng, store, wait: sleep }, async () => { throw new Error('no effects of its own') })
}

const never = (): never => { throw new Error('not asked for') }
const key = suite.ed25519KeyPair(new Uint8Array(32).fill(7))
const bank = (): BankEngine => new BankEngine({ suite, network: 'n', bank: key, unit: 'cent', registry: never, dayKey: never, sealedKeys: never, meter: new CountingMeter() })
const shop = new MerchantEngine({ suite, key, till: { name: new Uint8Array(0), alone: true }, bank: key.publicKey, unit: 'cent', network: 'n', catalogue: () => [], registry: never, meter: new CountingMeter() })

/** By this version, under the name that it was written under. */
async function claim (store: Store, name: string): Promise<void> {
  const was = await store.get(ABOUT)
  const role = roleOf(name)
  await claimStore(store, was === null ? name : decode(About, was).owner, MIGRATIONS[role])
  expect(decode(About, await store.get(ABOUT) ?? new Uint8Array(0)).format).toBe(MIGRATIONS[role].length + 1)
}

/** Every record, by its prefix. @returns how many of each */
async function decodeAll (store: Store, role: keyof typeof RECORDS): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const { key, value } of await run(store, scanAll(new Uint8Array(0)))) {
    const { prefix, check } = recordAt(role, key)
    check(value)
    counts[prefix] = (counts[prefix] ?? 0) + 1
  }
  return counts
}

test('of every vintage all the stores are there, in the format that they were written in', async () => {
  expect(readdirSync('test/fixtures').filter(name => name.startsWith('stores-')).sort()).toEqual(FORMATS)
  for (const [format, stores] of Object.entries(FIXTURES)) {
    expect(readdirSync(join('test/fixtures', format)).filter(name => name !== 'told.json').sort()).toEqual(Object.keys(stores).sort())
    for (const [name, number] of Object.entries(stores)) {
      const store = await openLmdb(copyOf(format, name))
      const about = await store.get(ABOUT)
      expect(about === null ? 0 : decode(About, about).format, `${format} ${name}`).toBe(number)
      await store.close()
    }
  }
})

/** A store of before: as it is kept, in LMDB; and its entries in PostgreSQL, in the tables of the first layout. */
const KINDS: Array<[string, (format: string, name: string) => Promise<Store>]> = [['LMDB', async (format, name) => await openLmdb(copyOf(format, name))]]
if (server !== null) {
  KINDS.push(['PostgreSQL', async (format, name) => {
    const schema = await server.schema()
    const client = new pg.Client({ connectionString: server.url(schema) })
    await client.connect()
    for (const statement of FIRST_LAYOUT) await client.query(statement)
    const kept = await openLmdb(copyOf(format, name))
    for (const { key, value } of await run(kept, scanAll(new Uint8Array(0)))) {
      await client.query('INSERT INTO mixmint_entries VALUES ($1, $2)', [Buffer.from(key), Buffer.from(value)])
    }
    await kept.close()
    await client.end()
    return await openPostgres(server.url(schema))
  }])
}

describe.each(KINDS)('stores of before in %s', (kind, open) => {
  const isMoney = (name: string): boolean => ['bank', 'center', 'merchant'].includes(roleOf(name))
  // Only money is kept in PostgreSQL.
  const stores = FORMATS.flatMap(format => Object.keys(FIXTURES[format]).filter(name => kind === 'LMDB' || isMoney(name)).map(name => [format, name] as const))
  const toldOf = (format: string): { bank: Record<string, unknown>, merchant: { orders: Array<Record<string, unknown>> } } =>
    JSON.parse(readFileSync(join('test/fixtures', format, 'told.json'), 'utf8')) as { bank: Record<string, unknown>, merchant: { orders: Array<Record<string, unknown>> } }

  test.each(stores)('%s: every record of %s is one of this version, and a second pass changes none', async (format, name) => {
    const store = await open(format, name)
    await claim(store, name)
    const counts = await decodeAll(store, roleOf(name))
    expect(Object.keys(counts).length).toBeGreaterThan(3)
    const entries = await run(store, scanAll(new Uint8Array(0)))
    for (const step of MIGRATIONS[roleOf(name)]) await step(store)
    expect(await run(store, scanAll(new Uint8Array(0)))).toEqual(entries)
    await store.close()
  })

  test.each(stores.filter(([, name]) => name === 'bank'))('%s: a %s has its books, and knows what was turned in', async format => {
    const store = await open(format, 'bank')
    const deposits = (await run(store, scanAll(utf8('deposit')))).length
    await claim(store, 'bank')
    const { credited, accounts, issued, redeemed, outstanding, tokens } = toldOf(format).bank
    expect(await run(store, bank().books())).toMatchObject({ balanced: true, faults: [], credited, accounts, issued, redeemed, outstanding, tokens })
    expect((await run(store, scanAll(utf8('deposit')))).length).toBe(deposits)
    await store.close()
  })

  test.each(stores.filter(([, name]) => name === 'merchant'))('%s: a %s has its orders, and its proofs, each of which verifies', async format => {
    const store = await open(format, 'merchant')
    const proofs = (await run(store, scanAll(utf8('proof')))).length
    await claim(store, 'merchant')
    const orders = await run(store, shop.orders())
    expect(orders.map(({ order, amount, paid, settled, invoice }) => ({ order, amount, how: paid, settled, invoice: toHex(invoice) })))
      .toEqual(toldOf(format).merchant.orders.map(({ order, amount, how, settled, invoice }) => ({ order, amount, how, settled, invoice })))
    const kept = await run(store, shop.proofs(100))
    for (const { coin, file } of kept) {
      const { keyset } = file.keyset
      verifyDoubleSpend(suite, coinKeys(verifyKeyset(suite, keyset.network, keyset.bank, file.keyset), keyset), file.proof)
      expect(coinId(suite, file.proof.second.coin)).toEqual(coin)
      expect((await run(store, shop.proofOf(coin)))?.file).toEqual(file)
    }
    expect(new Set(kept.map(({ number }) => number)).size).toBe(kept.length)
    expect(kept.length).toBe(proofs)
    // Those vintages have some.
    if (['stores-0', 'stores-3'].includes(format)) expect(proofs).toBeGreaterThan(0)
    await store.close()
  })

  test.each(stores.filter(([, name]) => name === 'center-1' || name === 'authority-1'))('%s: %s has what it said', async (format, name) => {
    const store = await open(format, name)
    await claim(store, name)
    expect((await run(store, scanAll(utf8(roleOf(name) === 'center' ? 'spend' : 'directory/')))).length).toBeGreaterThan(0)
    await store.close()
  })

  test.each(stores)('%s: %s of a later version is refused, and left as it is', async (format, name) => {
    const store = await open(format, name)
    const later = encode(About, { format: MIGRATIONS[roleOf(name)].length + 2, owner: name })
    await store.batch([{ op: 'put', key: ABOUT, value: later }])
    await expect(claimStore(store, name, MIGRATIONS[roleOf(name)])).rejects.toMatchObject({ code: 'store-too-new', fault: 'operator' })
    expect(await store.get(ABOUT)).toEqual(later)
    await store.close()
  })
})

test('an order that sealed tokens paid names them, as this version would have written it', async () => {
  for (const format of ['stores-0', 'stores-3']) {
    const store = await openLmdb(copyOf(format, 'merchant'))
    const written = await run(store, scanAll(utf8('sealed-paid')))
    for (const { key } of written) await store.batch([{ op: 'delete', key }])
    const { owner } = decode(About, await store.get(ABOUT) ?? new Uint8Array(0))
    await store.batch([{ op: 'put', key: ABOUT, value: encode(About, { format: 2, owner }) }])
    await claim(store, 'merchant')
    const made = await run(store, scanAll(utf8('sealed-paid')))
    if (format === 'stores-3') expect(made).toEqual(written)
    expect(made.length).toBe(1)
    const serials = (await run(store, scanAll(utf8('serial')))).filter(({ value }) => equal(value, made[0].key.slice('sealed-paid'.length))).map(({ key }) => key.slice('serial'.length))
    expect(decode(SealedPaid, made[0].value).serials).toEqual(serials)
    await store.close()
  }
})

test('a wallet of before tills has all of its records, with invoices that name none', async () => {
  const store = await openLmdb(copyOf('stores-2', 'wallet'))
  const records = async (): Promise<Array<[string, string]>> => (await run(store, scanAll(new Uint8Array(0)))).map(({ key, value }) => [toHex(key), toHex(value)])
  const now = await records()
  // As they were: of nine fields, the second, `till`, is not there; it is empty.
  const before = (hex: string): string => hex.replaceAll(/a9(6462616e6b5820[0-9a-f]{64})6474696c6c40/g, 'a8$1')
  const changed = now.filter(([, value]) => before(value) !== value)
  expect(changed.length).toBeGreaterThan(1)
  await store.batch(changed.map(([key, value]) => ({ op: 'put', key: fromHex(key), value: fromHex(before(value)) })))
  await store.batch([{ op: 'delete', key: ABOUT }])
  await claimStore(store, 'wallet', MIGRATIONS.wallet)
  expect((await records()).filter(([, value], i) => value !== now[i][1]).map(([key]) => key)).toEqual([])
  await claimStore(store, 'wallet', MIGRATIONS.wallet)
  expect((await records()).filter(([, value], i) => value !== now[i][1]).map(([key]) => key)).toEqual([])
  await store.close()
})

describe('a damaged store', () => {
  const format = 'stores-1'

  test('with a record that does not parse is told of, and does all that does not need it', async () => {
    const store = await openLmdb(copyOf(format, 'bank'))
    const [{ key: account, value }] = await run(store, scanAll(utf8('account')))
    await store.batch([{ op: 'put', key: account, value: value.subarray(1) }])
    await expect(run(store, bank().books())).rejects.toMatchObject({ code: 'store-damaged', fault: 'operator', message: expect.stringContaining('keep its store as it is') })
    expect(await run(store, bank().revocations())).toEqual([])
    // With the record as it was, nothing is missing.
    await store.batch([{ op: 'put', key: account, value }])
    expect(await run(store, bank().books())).toMatchObject({ balanced: true })
    await store.close()
  })

  test('with a record that is another is found by the audit', async () => {
    const store = await openLmdb(copyOf(format, 'bank'))
    const accounts = await run(store, scanAll(utf8('account')))
    const rich = accounts.reduce((best, each) => each.value.length > best.value.length ? each : best)
    await store.batch([{ op: 'delete', key: rich.key }])
    expect(await run(store, bank().books())).toMatchObject({ balanced: false, faults: [expect.stringContaining('account')] })
    await store.close()
  })

  const SPOILERS: Array<[string, (file: string) => void]> = [
    ['is something else', file => { writeFileSync(file, utf8('no store'.repeat(2000))) }],
    ['is empty', file => { truncateSync(file, 0) }],
    ['is cut short within its beginning', file => { truncateSync(file, 5000) }],
    ['is cut short', file => { truncateSync(file, statSync(file).size - 4096) }],
    ['is full of holes at its end', file => {
      const size = statSync(file).size
      truncateSync(file, size / 2)
    }],
    ['has lost both its heads', file => { writeFileSync(file, concat(new Uint8Array(8192).fill(255), readFileSync(file).subarray(8192))) }]
  ]
  test.each(SPOILERS)('whose file %s is not opened, and not changed', async (_what, spoil) => {
    const dir = copyOf(format, 'bank')
    const file = join(dir, 'data.mdb')
    spoil(file)
    const spoilt = readFileSync(file)
    await expect(openLmdb(dir)).rejects.toMatchObject({ code: 'store-damaged', fault: 'operator', message: expect.stringContaining(dir) })
    expect(readFileSync(file)).toEqual(spoilt)
  })

  test('that is shorter than it says, with all of its entries there, is opened', async () => {
    const dir = copyOf(format, 'bank')
    const file = join(dir, 'data.mdb')
    // As if the last transaction had given back a page that it never wrote.
    const bytes = readFileSync(file)
    for (const page of [0, 4096]) bytes.writeBigUInt64LE(bytes.readBigUInt64LE(page + 144) + 1n, page + 144)
    writeFileSync(file, bytes)
    const store = await openLmdb(dir)
    expect(await run(store, bank().books())).toMatchObject({ balanced: true, credited: 600 })
    await store.close()
  })
})
