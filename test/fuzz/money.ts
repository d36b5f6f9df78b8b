/** The conversations of money: what is read of hostile bytes, and what bank, centers and merchants make of what can be read. */
import { equal } from '@mixmint/core/kit/bytes'
import { decode, encode, type Codec } from '@mixmint/core/kit/codec'
import { drive } from '@mixmint/core/kit/saga'
import { invoiceHash } from '@mixmint/core/cash/contract'
import { checkBundle } from '@mixmint/core/cash/bundle'
import { BankConflict, CenterListing, CenterProofFile, CoinBundle, DoubleSpendProofFile, MerchantListing, MoneyParameters, Retirement, SignedSealedKeys } from '@mixmint/core/cash/formats'
import { BankEntry, bankEntry, signMerchantListing } from '@mixmint/core/cash/listing-entry'
import { BankReply, BankRequest, CenterReply, CenterRequest, MerchantReply, MerchantRequest } from '@mixmint/core/cash/messages'
import { Receipt, verifyReceipt } from '@mixmint/core/cash/receipt'
import { signSpend } from '@mixmint/core/cash/spend'
import { retire } from '@mixmint/core/cash/center-proof'
import { readListing, writeListing } from '@mixmint/mixnet/service/listing'
import { armor, unarmor, uriOf } from '../../nodes/armor.ts'
import { joinParts, parts } from '../../nodes/qr.ts'
import { MONEY, NETWORK, suite } from '../doubles/economy.ts'
import { Town, type Shop } from '../doubles/town.ts'
import { utf8 } from '@mixmint/core/kit/bytes'
import { documented, must, type Target } from './fuzz.ts'
import { mutated } from './mutate.ts'

/** A town in which money has moved in every way, and what was said there. */
async function town (): Promise<{ town: Town, shop: Shop, bundle: CoinBundle, receipts: Receipt[], bank: [BankRequest[], BankReply[]], merchant: [MerchantRequest[], MerchantReply[]] }> {
  const town = new Town({ seed: 'fuzz' })
  const shop = town.shop()
  const ann = await town.person('ann', 0)
  const replies = new Map<string, BankReply | MerchantReply>()
  ann.bend = (reply, request) => {
    replies.set(`${request.op}/${reply.is}`, reply)
    return reply
  }
  await town.desk.run(town.desk.engine.credit(ann.engine.account, 100, 'for ann'))
  await ann.run(ann.engine.withdraw(60))
  await ann.run(ann.engine.payWithCoins(await shop.invoice(5)))
  const invoice = await shop.invoice(7)
  await ann.run(ann.engine.buyToken(shop.key.publicKey, 7))
  await ann.run(ann.engine.payWithToken(invoice))
  await shop.run(shop.engine.fetchSealedKeys())
  await ann.run(ann.engine.buySealed(shop.key.publicKey, 3))
  const sealed = await shop.invoice(3)
  await ann.run(ann.engine.payWithSealed(sealed))
  await shop.run(shop.engine.deposit())
  const turnedIn = [await ann.run(ann.engine.askTokenReceipt(invoiceHash(suite, sealed.invoice)))]
  const again = await town.person('ann')
  await again.run(again.engine.restore({ pace: 0 }))
  // Of the questions of a restore one of each kind.
  const requests = [...ann.requests, ...['restore', 'look', 'announce', 'announced'].map(op => again.requests.find(request => request.op === op) as BankRequest)]
  const [toBank, toShop] = [['balance', 'withdraw', 'settle', 'outcome', 'void', 'reclaim', 'deposit', 'refund', 'refund-coin', 'sealed-keys', 'restore', 'file', 'look', 'announce', 'announced'], ['catalogue', 'order', 'pay', 'present', 'sealed-present', 'status']]
  const presented = requests.find(({ op }) => op === 'present') as MerchantRequest & { op: 'present' }
  const settled = requests.find(({ op }) => op === 'settle') as BankRequest & { op: 'settle' }
  const withdrawn = requests.find(({ op }) => op === 'withdraw') as BankRequest & { op: 'withdraw' }
  const [input] = settled.inputs
  const { payment: { presentations } } = requests.find(({ op }) => op === 'sealed-present') as MerchantRequest & { op: 'sealed-present' }
  const more: BankRequest[] = [
    { op: 'balance', account: ann.engine.account, time: town.desk.economy.clock.now(), signature: new Uint8Array(64) },
    { op: 'outcome', contract: settled.contract }, { op: 'deposit', presentations: [presented.presentation] }, { op: 'turned-in', presentation: presented.presentation },
    { op: 'refund', token: presented.presentation.token, outputs: settled.contract.outputs.slice(0, 1), signature: new Uint8Array(64) },
    { op: 'sealed-deposit', presentations }, { op: 'sealed-turned-in', presentation: presentations[0] }, { op: 'sealed-refund', token: presentations[0].token, outputs: settled.contract.outputs.slice(0, 1), signature: new Uint8Array(64) },
    { op: 'refund-coin', coin: input.spend.coin, promisedTo: new Uint8Array(32), outputs: settled.contract.outputs.slice(0, 1), signature: new Uint8Array(64) },
    { op: 'void', contract: settled.contract, input, signature: new Uint8Array(64) }, { op: 'reclaim', contract: settled.contract, input, outputs: settled.contract.outputs.slice(0, 1), signature: new Uint8Array(64) }
  ]
  const asked = [...requests.filter(({ op }) => toBank.includes(op)) as BankRequest[], ...more.filter(request => !('outputs' in request) || request.outputs.length > 0)]
  const ordered: MerchantRequest[] = [...requests.filter(({ op }) => toShop.includes(op)) as MerchantRequest[], { op: 'catalogue' }, { op: 'order', item: 'bread' }, { op: 'status', invoice: new Uint8Array(32) },
    { op: 'repayable', invoice: invoiceHash(suite, invoice.invoice) }, { op: 'repay', invoice: invoiceHash(suite, invoice.invoice), outputs: withdrawn.withdrawal.outputs.slice(0, 1), signature: new Uint8Array(64) }]
  const { bundle } = await ann.run(ann.engine.give(5, { memo: 'for you', until: town.desk.economy.clock.now() + 1000 }))
  return {
    town, shop, bundle, receipts: [...await ann.run(ann.engine.receipts()), ...turnedIn],
    bank: [asked, await Promise.all(asked.map(async request => await town.desk.ask(request)))],
    merchant: [ordered, await Promise.all(ordered.map(async request => await shop.ask(request)))]
  }
}

const { town: there, shop, bundle, receipts, bank, merchant } = await town()
const { economy } = there.desk
const BALLOT = { d: new Uint8Array(32), signature: new Uint8Array(64) }
const spends = [1, 2].map(() => {
  const { coin, key } = economy.mint(8)
  return [signSpend(suite, key, coin, new Uint8Array(32).fill(1)), signSpend(suite, key, coin, new Uint8Array(32).fill(2))].map(({ spend }) => spend)
})
const toCenters: CenterRequest[] = [...spends.flat().map((spend): CenterRequest => ({ op: 'spend', spend })), { op: 'look', coin: spends[0][0].coin, signature: new Uint8Array(64) }]
const fromCenters: CenterReply[] = [
  { is: 'vote', vote: { center: economy.centers[0].id, signature: new Uint8Array(64) } }, { is: 'conflict', first: spends[0][0] },
  { is: 'recorded', spend: null }, { is: 'recorded', spend: spends[0][0] },
  { is: 'refused', code: 'not-keeper', fault: 'caller', retry: false, message: 'ask another' }
]

function conversation<T> (name: string, codec: Codec<T>, samples: readonly T[], then: (value: T) => Promise<void> | void = () => {}): Target {
  const bytes = samples.map(sample => encode(codec, sample))
  return {
    name,
    round: async chance => {
      const hostile = mutated(bytes, chance)
      const value = documented(/^bad-encoding$/, () => decode(codec, hostile))
      if (value === undefined) return
      must(equal(encode(codec, value), hostile), 'another encoding of the value was taken')
      await then(value)
    }
  }
}

export const money: readonly Target[] = [
  // Whatever can be read has a reply: an engine refuses in words and does not throw; and no unit is made or lost.
  conversation('bank', BankRequest, bank[0], async request => {
    await there.desk.ask(request)
    must((await there.desk.run(there.desk.engine.books())).balanced, 'the books of the bank do not balance')
  }),
  conversation('merchant', MerchantRequest, merchant[0], async request => { await shop.ask(request) }),
  conversation('center', CenterRequest, toCenters, async request => {
    for (const { engine, store } of economy.centers) await drive(engine.handle(request), economy.ports(store), async () => { throw new Error('a center asks nobody') })
  }),
  conversation('bank-reply', BankReply, bank[1]),
  conversation('merchant-reply', MerchantReply, merchant[1]),
  conversation('center-reply', CenterReply, fromCenters),
  // What a service has in the directory.
  conversation('bank-entry', BankEntry, [decode(BankEntry, bankEntry(economy.suite, economy.bank, NETWORK, new Uint8Array(39), { listing: economy.listing, store: new Uint8Array(16) }))]),
  conversation('sealed-keys', SignedSealedKeys, [economy.sealed(0).signed]),
  conversation('center-listing', CenterListing, [{ center: economy.centers[0].id }]),
  conversation('merchant-listing', MerchantListing, [signMerchantListing(suite, shop.key, 'fuzz', new Uint8Array(39), { name: 'Corner Shop', till: new Uint8Array(0), store: new Uint8Array(16) })]),
  conversation('money-parameters', MoneyParameters, [MONEY]),
  conversation('center-proof', CenterProofFile, [
    { fault: { is: 'twice', ring: economy.known.ring.id, center: economy.centers[0].id, coin: new Uint8Array(32), first: BALLOT, second: BALLOT }, ring: economy.ring, keyset: economy.signedKeyset },
    { fault: { is: 'foreign', ring: economy.known.ring.id, center: economy.centers[0].id, coin: spends[0][0].coin, vote: BALLOT }, ring: economy.ring, keyset: economy.signedKeyset }
  ]),
  conversation<BankConflict>('bank-conflict', BankConflict, [
    { is: 'keysets', first: economy.signedKeyset, second: economy.signedKeyset }, { is: 'dayKeys', first: economy.listing.dayKeys[0], second: economy.listing.dayKeys[1] },
    { is: 'sealedKeys', first: economy.sealed(0).signed, second: economy.sealed(1).signed }
  ]),
  conversation('retirement', Retirement, [retire(suite, 'fuzz', economy.centers[0].voteKey)]),
  conversation('double-spend', DoubleSpendProofFile, [{ proof: { first: spends[0][0], second: spends[0][1] }, keyset: economy.signedKeyset }]),
  // Whoever takes it has coins that are worth what it says; not one bit of a receipt can be another.
  conversation('bundle', CoinBundle, [bundle], value => {
    const handed = documented(/^(wrong-|duplicate-coin|bad-amount|bad-coin|unknown-)/, () => checkBundle(suite, economy.registry, { bank: economy.bank.publicKey, unit: bundle.unit }, value))
    if (handed !== undefined) must(handed.reduce((sum, { coin }) => sum + coin.value, 0) === value.amount, 'a bundle is not worth what it says')
  }),
  conversation('receipt', Receipt, receipts, value => {
    const proven = documented(/^(bad-|wrong-contract|wrong-token|not-settled)/, () => verifyReceipt(suite, value))
    // Of sealed tokens some may be left out, and the rest proves so much less.
    if (proven !== undefined && proven.had >= proven.invoice.amount) must(receipts.some(receipt => equal(encode(Receipt, receipt), encode(Receipt, value))), 'a receipt that was changed proves something')
  }),
  {
    name: 'parts',
    round: chance => {
      const text = armor('bundle', bundle)
      const lines = new TextDecoder().decode(mutated([utf8(parts(text).join('\n'))], chance)).split('\n')
      const joined = documented(/^(bad-text|parts-missing)$/, () => joinParts(lines))
      if (joined === undefined) return
      // What was damaged within a part its text's own checksum tells.
      const found = documented(/^(bad-text|bad-encoding)$/, () => unarmor(joined))
      if (found !== undefined) must(armor(found.kind, found.value as never) === text, 'another text came out of the parts')
    }
  },
  {
    name: 'listing',
    round: chance => { readListing(mutated([writeListing({ serves: ['/a/1'], exits: ['/b/1', '/c/1'] })], chance)) }
  },
  // As a file, or a code to be scanned.
  {
    name: 'armor',
    round: chance => {
      const text = new TextDecoder().decode(mutated([utf8(armor('proof', { proof: { first: spends[0][0], second: spends[0][1] }, keyset: economy.signedKeyset }))], chance))
      const found = documented(/^(bad-text|bad-encoding)$/, () => unarmor(text))
      if (found !== undefined) must([armor(found.kind, found.value as never), uriOf(armor(found.kind, found.value as never))].includes(text.trim()), 'another text of the value was taken')
    }
  }
]
