/**
 * A merchant's acceptance of a token, off-line, 64 in flight, beside the sum of what it cannot do without: two Ed25519
 * verifications (the bank's on the token, the owner's on the order), one signature (the receipt), and one durable batch of
 * the four entries that it changes (the order's end, the receipt, the serial, the token to deposit), at 64 in flight.
 */
import { concat, utf8 } from '@mixmint/core/kit/bytes'
import { encode, tagged } from '@mixmint/core/kit/codec'
import type { Op, Store } from '@mixmint/core/kit/ports'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import type { Ed25519KeyPair, Suite } from '@mixmint/core/crypto/suite'
import { invoiceHash } from '@mixmint/core/cash/contract'
import { Presentation, Token } from '@mixmint/core/cash/formats'
import { dayOf, signDayKey } from '@mixmint/core/cash/keyset'
import { MerchantEngine } from '@mixmint/core/cash/merchant/engine'
import { Registry } from '@mixmint/core/cash/registry'
import { present, signToken } from '@mixmint/core/cash/token'
import { systemClock, systemRng } from '../nodes/clock.ts'
import { compare, insertAll, IN_FLIGHT, run, timeInFlight, withStore } from './durable.ts'
import { figure, goal, time, type Row } from './harness.ts'

const GOAL = 1.5
const ROUNDS = 9
const COUNT = 256
const DAY = 86_400_000
const NONE = new Uint8Array(0)
const NAMES = { network: 'bench', unit: 'EUR-cent' }

function keyNamed (suite: Suite, name: string): Ed25519KeyPair {
  return suite.ed25519KeyPair(suite.sha256(utf8(name)))
}

export function newMerchant (suite: Suite): MerchantEngine {
  const [bank, now] = [keyNamed(suite, 'bank'), systemClock.now()]
  const parameters = { clockSkew: 1000, settleMaximum: DAY, voidGrace: 0, margin: 0, tokenValid: DAY, tokenDeposit: DAY, tokenRefund: DAY, keeperTimeout: 1000 }
  const day = { network: NAMES.network, bank: bank.publicKey, day: dayOf(now), key: keyNamed(suite, 'day').publicKey, validFrom: dayOf(now) * DAY, validUntil: (dayOf(now) + 1) * DAY }
  const registry = new Registry(suite, NAMES.network, parameters, [{ bank: bank.publicKey, keysets: [], rings: [], dayKeys: [signDayKey(suite, bank, day)], sealedDays: [], revocations: [] }])
  return new MerchantEngine({
    suite, key: keyNamed(suite, 'merchant'), till: { name: NONE, alone: true }, bank: bank.publicKey, ...NAMES, catalogue: () => [], registry: () => registry, meter: { count: () => {} }
  })
}

/** A token for a new order of the merchant, presented by its owner. */
export async function presented (suite: Suite, merchant: MerchantEngine, store: Store): Promise<Presentation> {
  const { invoice } = await run(store, merchant.invoice('bench', 8))
  const owner = suite.ed25519KeyPair(systemRng.bytes(32))
  const now = systemClock.now()
  const token: Token = {
    ...NAMES, bank: invoice.bank, day: dayOf(now), payee: invoice.payee, till: NONE, amount: 8, serial: systemRng.bytes(32), ownerKey: owner.publicKey,
    notBefore: now, notAfter: now + DAY, depositUntil: now + 2 * DAY, refundAfter: now + 3 * DAY, memoHash: NONE
  }
  return present(suite, owner, signToken(suite, keyNamed(suite, 'day'), token), invoiceHash(suite, invoice))
}

export async function merchantRows (): Promise<Row[]> {
  const suite = await defaultSuite()
  const merchant = newMerchant(suite)
  return await withStore(async store => {
    const total = (ROUNDS + 1) * COUNT
    const presentations: Presentation[] = new Array(total)
    await timeInFlight(total, async i => { presentations[i] = await presented(suite, merchant, store) })
    const signed = presentations.map(({ token }) => tagged('token', encode(Token, token.token)))
    const values = presentations.map(presentation => encode(Presentation, presentation))
    const dayKey = keyNamed(suite, 'day').publicKey
    const signer = keyNamed(suite, 'merchant')
    const at = (name: string, i: number): Uint8Array => concat(utf8(name), presentations[i].invoice)
    const opened = new Uint8Array(30)
    const ops = (i: number): Op[] => [
      { op: 'swap', key: at('row-open', i), was: opened, value: null },
      { op: 'insert', key: at('row-paid', i), value: values[i].subarray(0, 200) },
      { op: 'insert', key: at('row-serial', i), value: presentations[i].invoice },
      { op: 'insert', key: at('row-due', i), value: values[i] }
    ]
    await timeInFlight(total, async i => { await store.batch([{ op: 'put', key: at('row-open', i), value: opened }]) })

    const compared = await compare(ROUNDS, COUNT, async (count, from) => await timeInFlight(count, async i => {
      const { repeat } = await run(store, merchant.accept(presentations[from + i]))
      if (repeat) throw new Error('a fresh token was accepted before')
    }), [
      { name: 'Ed25519 verify', times: 2, measure: (count, from) => time(count, i => suite.ed25519Verify(dayKey, signed[from + i], presentations[from + i].token.signature)) },
      { name: 'Ed25519 sign', times: 1, measure: (count, from) => time(count, i => suite.ed25519Sign(signer, signed[from + i])) },
      { name: `durable batch of 4 entries, ${IN_FLIGHT} in flight`, times: 1, measure: async (count, from) => await timeInFlight(count, async i => { await insertAll(store, ops(from + i)) }) }
    ])
    return [
      goal(`merchant: token accepted, ${IN_FLIGHT} in flight, to the sum of its primitives`, compared.ratio, compared.engine, 'µs', GOAL),
      figure('merchant: the sum of those primitives', compared.sum, 'µs'),
      ...compared.parts.map(({ name, value }) => figure(`merchant: ${name}`, value, 'µs')),
      figure(`merchant: tokens accepted, ${IN_FLIGHT} in flight`, 1e6 / compared.engine, '1/s')
    ]
  })
}
