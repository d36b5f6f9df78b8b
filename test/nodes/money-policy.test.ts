/** What authorities let stand in the directory about money, first the rules, then by the authorities' engine. */
import { beforeEach, describe, expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import type { Log } from '@mixmint/core/kit/ports'
import { drive, type Saga } from '@mixmint/core/kit/saga'
import { MerchantListing, type BankListing } from '@mixmint/core/cash/formats'
import { signKeyset } from '@mixmint/core/cash/keyset'
import { BankEntry, bankEntry, signMerchantListing, verifyMerchantListing } from '@mixmint/core/cash/listing-entry'
import { Authority } from '@mixmint/mixnet/directory/authority'
import type { AuthorityEffect } from '@mixmint/mixnet/directory/exchange'
import type { Descriptor } from '@mixmint/mixnet/directory/formats'
import type { ListedService } from '@mixmint/mixnet/directory/merge'
import { moneyPolicy } from '../../nodes/money-policy.ts'
import { banksOf } from '../../nodes/participant.ts'
import { VirtualClock } from '../doubles/clock.ts'
import { admissionOf, authorityKeys, keysOf, PARAMETERS, signed, testNetwork, testNode, type Placed } from '../doubles/directory.ts'
import { codeOf } from '../doubles/code.ts'
import { createEconomy, keyNamed, NETWORK, START, suite } from '../doubles/economy.ts'
import { MemoryStore } from '../doubles/memory-store.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'

const quiet: Log = { info: () => {}, warn: () => {}, error: () => {} }
const { bank, listing: all, signedKeyset, payee } = createEconomy()
/** A week ahead. */
const listing = { ...all, sealedDays: all.sealedDays.slice(0, 8) }
const [here, there] = ['bank', 'second bank'].map(name => testNode(name).peer)
const next = signKeyset(suite, bank, { ...signedKeyset.keyset, issueFrom: signedKeyset.keyset.issueUntil, issueUntil: signedKeyset.keyset.spendUntil - 1 })
const rival = signKeyset(suite, bank, { ...signedKeyset.keyset, refundUntil: signedKeyset.keyset.refundUntil + 1 })
const [store, copy] = [1, 2].map(byte => new Uint8Array(16).fill(byte))
const entry = (peer: Uint8Array, changes: Partial<BankListing> = {}, by = bank, on = store): Uint8Array =>
  bankEntry(suite, by, NETWORK, peer, { listing: { ...listing, bank: by.publicKey, ...changes }, store: on })
const at = (peer: Uint8Array, body: Uint8Array, kind = 'bank'): ListedService => ({ peer, kind, body })

describe('the rules', () => {
  let seen: BankListing[]
  beforeEach(() => { seen = [] })
  const check = (kind: string, body: Uint8Array, { peer = here, others = [], before = [] }: { peer?: Uint8Array, others?: ListedService[], before?: ListedService[] } = {}): string | null =>
    moneyPolicy(suite, NETWORK, quiet, listing => { seen.push(listing) })(kind, body, others, { peer, before, now: START })

  test('several peers are one bank, if all list what can stand side by side', () => {
    const others = [at(there, entry(there))]
    expect(check('bank', entry(here), { others })).toBeNull()
    expect(check('bank', entry(here, { keysets: [signedKeyset, next] }), { others })).toBeNull()
    expect(check('bank', entry(here, { keysets: [rival] }), { others })).toBe('bank-listing')
    // What any of them has listed, all have to list.
    const before = [at(here, entry(here)), at(there, entry(there, { keysets: [signedKeyset, next] }))]
    expect(check('bank', entry(here), { before })).toBe('bank-listing')
    expect(check('bank', entry(here, { keysets: [signedKeyset, next] }), { before })).toBeNull()
    // Also from a peer that is new.
    expect(check('bank', entry(testNode('new').peer), { peer: testNode('new').peer, before })).toBe('bank-listing')
  })

  test('two stores are not one bank: what one pays out the other does not know', () => {
    const others = [at(there, entry(there))]
    expect(check('bank', entry(here, {}, bank, copy), { others })).toBe('bank-taken')
    expect(check('bank', entry(here, {}, bank, copy), { others: [at(there, entry(there, {}, bank, copy))] })).toBeNull()
    // It may go over to another by itself, as after a loss; and the name of the store is the bank's word, too.
    expect(check('bank', entry(here, {}, bank, copy), { before: [at(here, entry(here))] })).toBeNull()
    expect(check('bank', encode(BankEntry, { ...decode(BankEntry, entry(here)), store: copy }))).toBe('bad-warrant')
  })

  test('nobody speaks for a bank without its word', () => {
    expect(check('bank', entry(here), { peer: there })).toBe('bad-warrant')
    expect(check('bank', bankEntry(suite, keyNamed('thief'), NETWORK, here, { listing, store }))).toBe('bad-warrant')
    expect(check('bank', bankEntry(suite, bank, 'other', here, { listing, store }))).toBe('bad-warrant')
    expect(check('bank', Uint8Array.of(1))).toBe('bad-encoding')
  })

  test('nor is it taken for one by those who read the directory, whatever the authorities have signed', () => {
    const nodes = [[here, entry(here)], [there, entry(here)], [there, bankEntry(suite, keyNamed('thief'), NETWORK, there, { listing, store })], [there, entry(there)]] as const
    expect(banksOf(suite, NETWORK, nodes.map(([peer, body]) => ({ peer, body }))).map(({ node }) => node.body)).toEqual([nodes[0][1], nodes[3][1]])
  })

  const shop = (peer: Uint8Array, changes: Partial<MerchantListing> = {}, by = payee, network = NETWORK): MerchantListing =>
    signMerchantListing(suite, by, network, peer, { name: 'Corner Shop', till: new Uint8Array(0), store, ...changes })
  const listed = (peer: Uint8Array, listing: MerchantListing): ListedService => at(peer, encode(MerchantListing, listing), 'merchant')
  const checkShop = (listing: MerchantListing, others: ListedService[] = [], peer = here): string | null => check('merchant', encode(MerchantListing, listing), { peer, others })

  test('a payee key is its owner\'s, of whom tills of one store are listed side by side, and one with a store of its own alone', () => {
    expect(checkShop(shop(here))).toBeNull()
    expect(checkShop(shop(here), [listed(there, shop(there))])).toBeNull()
    // One of two has been given another name.
    expect(checkShop(shop(here, { name: 'Another' }), [listed(there, shop(there))])).toBeNull()
    expect(checkShop(shop(here, { store: copy }), [listed(there, shop(there))])).toBe('payee-taken')
    const till = keyNamed('till').publicKey
    expect(checkShop(shop(here), [listed(there, shop(there, { till }))])).toBe('payee-taken')
    expect(checkShop(shop(here, { till }), [listed(there, shop(there, { till }))])).toBe('payee-taken')
    expect(checkShop(shop(here, { till }), [listed(there, shop(there, { till }, keyNamed('rival')))])).toBeNull()
  })

  test('another\'s payee key, what another node lists, and what was changed are refused, by authorities and wallets', () => {
    const forged = { ...shop(here, {}, keyNamed('thief')), payee: payee.publicKey }
    for (const [body, peer] of [[forged, here], [shop(here), there], [{ ...shop(here), name: 'Other Shop' }, here], [{ ...shop(here), store: copy }, here], [{ ...shop(here), till: new Uint8Array(32) }, here], [shop(here, {}, payee, 'elsewhere'), here]] as const) {
      expect(codeOf(() => { verifyMerchantListing(suite, NETWORK, peer, body) })).toBe('bad-payee-claim')
      expect(checkShop(body, [], peer)).toBe('bad-payee-claim')
    }
  })

  test('a peer does not go over to another bank', () => {
    const other = keyNamed('other')
    const body = entry(here, { keysets: [], rings: [], dayKeys: [], sealedDays: [] }, other)
    expect(check('bank', body)).toBeNull()
    expect(check('bank', body, { before: [at(here, entry(here))] })).toBe('bank-listing')
  })

  test('a refused listing is evidence where the bank is known, and else not kept', () => {
    const bad = entry(here, { rings: [] })
    expect(check('bank', bad)).toBe('bank-listing')
    expect(seen).toEqual([])
    expect(check('bank', bad, { before: [at(here, entry(here))] })).toBe('bank-listing')
    expect(seen).toEqual([decode(BankEntry, bad).listing])
  })
})

test('an authority lists both processes of a bank, over epochs, and one that has lost what the other lists only once it has it again', async () => {
  const clock = new VirtualClock(START)
  const service = (name: string): Placed => ({ node: testNode(name), layer: 255, change: { role: 'service', kind: 'bank' } })
  const nodes = [...testNetwork(1, 3).filter(({ node: { name } }) => ['gateway 0', 'mix 0'].includes(name)), service('bank'), service('second bank')]
  const [key] = authorityKeys(suite, 1)
  const authority = new Authority(suite, {
    key, trust: { network: NETWORK, authorities: [key.publicKey] }, parameters: { ...PARAMETERS, pathLength: 3 }, admitted: nodes.map(node => admissionOf(node)), bootstrapWait: 3_000,
    checkService: moneyPolicy(suite, NETWORK, quiet, () => {})
  }, new CountingMeter(), quiet)
  const store = new MemoryStore()
  const run = async <T>(saga: Saga<T, AuthorityEffect>): Promise<T> => await drive(saga, { clock, rng: seededRng(1), store, wait: clock.wait }, async () => null)
  const epoch = (): number => Math.floor(clock.now() / PARAMETERS.epochLength)
  const publish = async (placed: Placed, changes: Partial<BankListing> = {}): Promise<string> => {
    const { node, change } = placed
    const body: Partial<Descriptor> = change.kind === 'bank' ? { body: entry(node.peer, changes) } : {}
    clock.advance(1)
    const reply = await run(authority.handle({ op: 'publish', signed: signed(suite, node, { network: NETWORK, mixKeys: keysOf(suite, node, epoch()), ...change, ...body, published: clock.now() }) }))
    return reply.is === 'refused' ? reply.code : reply.is
  }
  const banks = async (): Promise<string[]> => {
    const reply = await run(authority.handle({ op: 'get', epoch: epoch() }))
    if (reply.is !== 'document') throw new Error('no document')
    return reply.signed.document.nodes.map(({ signed: { descriptor } }) => descriptor).filter(({ kind }) => kind === 'bank').map(({ peer }) => toHex(peer)).sort()
  }
  /** To the moment at which the next epoch's document is made, and into that epoch. */
  const nextEpoch = async (): Promise<void> => {
    const start = (epoch() + 1) * PARAMETERS.epochLength
    clock.set(start - PARAMETERS.epochLength / 8)
    await run(authority.tick())
    clock.set(start + 1)
  }
  const both = [here, there].map(toHex).sort()
  await run(authority.open())
  for (const node of nodes) expect(await publish(node)).toBe('published')
  await run(authority.tick())
  expect(await banks()).toEqual(both)

  // One has made the next keyset; the other has not looked yet, for it published before.
  for (const node of nodes.toReversed()) expect(await publish(node, node.node.name === 'bank' ? { keysets: [signedKeyset, next] } : {})).toBe('published')
  await nextEpoch()
  expect(await banks()).toEqual(both)
  expect(await publish(nodes[3])).toBe('bank-listing')
  for (const node of nodes) expect(await publish(node, { keysets: [signedKeyset, next] })).toBe('published')
  await nextEpoch()
  expect(await banks()).toEqual(both)
  // Not seen for epochs: the other goes on alone.
  for (let i = 0; i < 3; i++) {
    for (const node of nodes.slice(0, 3)) expect(await publish(node, { keysets: [signedKeyset, next] })).toBe('published')
    await nextEpoch()
  }
  expect(await banks()).toEqual([toHex(here)])
  expect(await publish(nodes[3], { keysets: [signedKeyset, rival] })).toBe('bank-listing')
  expect(await publish(nodes[3], { keysets: [signedKeyset, next] })).toBe('published')
})
