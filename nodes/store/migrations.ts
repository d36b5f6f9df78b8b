/**
 * How the records of a role's store come from one format to the next (about.ts). Whoever changes what a record holds appends
 * a step here, and the stores that the version before writes to test/fixtures (make-stores.ts there); steps that were
 * released stay as they are. A store that a later version has written is refused.
 */
import { compare, concat, u64, utf8 } from '@mixmint/core/kit/bytes'
import { anything, decode, encode } from '@mixmint/core/kit/codec'
import { isMixmintError } from '@mixmint/core/kit/errors'
import type { Entry, Op, Store } from '@mixmint/core/kit/ports'
import type { Role } from '../settings.ts'
import type { Migration } from './about.ts'

const PAGE = 256
/** Fields of an invoice before it named a till, in the order of their names. */
const INVOICE_BEFORE = ['amount', 'bank', 'network', 'nonce', 'order', 'payee', 'settleBy', 'unit'].join()

async function eachEntry (store: Store, prefix: string, visit: (entry: Entry) => Promise<void>): Promise<void> {
  for (let after: Uint8Array | undefined; ;) {
    const entries = await store.scan({ prefix: utf8(prefix), limit: PAGE, ...after === undefined ? {} : { after } })
    for (const entry of entries) await visit(entry)
    if (entries.length < PAGE) return
    after = entries[entries.length - 1].key
  }
}

/** A record of any version, field by field. */
const fieldsOf = (value: Uint8Array): Map<string, unknown> => decode(anything, value) as Map<string, unknown>
const within = (fields: Map<string, unknown>, name: string): Map<string, unknown> => fields.get(name) as Map<string, unknown>

/**
 * Invoices name a till since; those of before named none. They stand alone and within other records. What was named by the
 * hash of such an invoice keeps that name; signatures over it are of no more use, so that receipts of before verify no more.
 */
const invoicesNameTills = (prefix: string): Migration => async store => {
  await eachEntry(store, prefix, async ({ key, value }) => {
    const changed = withTills(value)
    if (changed !== null) await store.batch([{ op: 'swap', key, was: value, value: changed }])
  })
}

/** Null: there is nothing to change; not every value is a record. */
function withTills (value: Uint8Array): Uint8Array | null {
  let record: unknown
  try {
    record = decode(anything, value)
  } catch (error) {
    if (isMixmintError(error, 'bad-encoding')) return null
    throw error
  }
  return nameTills(record) ? encode(anything, record) : null
}

/** Changes what is inside. @returns whether there was something to change */
function nameTills (value: unknown): boolean {
  const parts = value instanceof Map ? [...value.values()] : Array.isArray(value) ? value : []
  const isChanged = parts.map(nameTills).includes(true)
  if (!(value instanceof Map) || [...value.keys()].sort().join() !== INVOICE_BEFORE) return isChanged
  value.set('till', new Uint8Array(0))
  return true
}

/** A bank tells for which order an open token was turned in since; of those of before it does not know (empty). */
const depositsNameInvoices: Migration = async store => {
  await eachEntry(store, 'deposit', async ({ key, value }) => {
    const fields = fieldsOf(value)
    if (fields.has('invoice')) return
    fields.set('invoice', new Uint8Array(0))
    await store.batch([{ op: 'swap', key, was: value, value: encode(anything, fields) }])
  })
}

const PROOF = utf8('proof')
const PROOF_COUNT = utf8('count-of-proofs')
const COIN_ID = 32

/**
 * A merchant's proofs of double spends stood under `proof` ‖ coinId, each with the keyset of its coin; they are numbered since, each
 * coin points to its own, and a keyset stands once. In which order they were made is not known any more.
 */
const proofsAreNumbered: Migration = async store => {
  await eachEntry(store, 'proof', async ({ key, value }) => {
    if (key.length !== PROOF.length + COIN_ID) return
    const coin = key.slice(PROOF.length)
    const proven = concat(utf8('proven'), coin)
    const drop: Op = { op: 'swap', key, was: value, value: null }
    if (await store.get(proven) !== null) {
      await store.batch([drop])
      return
    }
    const file = fieldsOf(value)
    const keyset = within(within(within(file, 'proof'), 'first'), 'coin').get('keyset') as Uint8Array
    const count = await store.get(PROOF_COUNT)
    const number = u64(count === null ? 1 : Number(new DataView(count.buffer, count.byteOffset).getBigUint64(0)) + 1)
    await store.batch([
      drop, { op: 'swap', key: PROOF_COUNT, was: count, value: number }, { op: 'insert', key: proven, value: number },
      { op: 'insert', key: concat(PROOF, number), value: encode(anything, new Map<string, unknown>([['coin', coin], ['proof', file.get('proof')]])) },
      { op: 'put', key: concat(utf8('keyset'), keyset), value: encode(anything, file.get('keyset')) }
    ])
  })
}

/** Which sealed tokens paid an order stands with the order since, in rising order; before it was told by each token's serial alone. */
const sealedOrdersNameTokens: Migration = async store => {
  const SERIAL = 'serial'
  await eachEntry(store, SERIAL, async ({ key, value: invoice }) => {
    const paid = await store.get(concat(utf8('paid'), invoice))
    if (paid === null || within(within(fieldsOf(paid), 'signed'), 'paid').get('how') !== 'sealed') return
    const at = concat(utf8('sealed-paid'), invoice)
    const was = await store.get(at)
    const serial = key.slice(SERIAL.length)
    const before = was === null ? [] : fieldsOf(was).get('serials') as Uint8Array[]
    if (before.some(one => compare(one, serial) === 0)) return
    await store.batch([{ op: 'swap', key: at, was, value: encode(anything, new Map([['serials', [...before, serial].sort(compare)]])) }])
  })
}

/** One step, in this order. */
const inOrder = (...steps: readonly Migration[]): Migration => async store => {
  for (const step of steps) await step(store)
}

export const MIGRATIONS: Readonly<Record<Role | 'wallet', readonly Migration[]>> = {
  authority: [], gateway: [], mix: [], center: [],
  bank: [depositsNameInvoices],
  merchant: [invoicesNameTills('invoice'), inOrder(proofsAreNumbered, sealedOrdersNameTokens)],
  wallet: [invoicesNameTills('')]
}
