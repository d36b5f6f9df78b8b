import { expect, test } from 'vitest'
import { coinId } from '@mixmint/core/cash/coin'
import { contractId, verifyOutcome } from '@mixmint/core/cash/contract'
import type { Contract, Keyset } from '@mixmint/core/cash/formats'
import { keysetId, signDayKey, signKeyset } from '@mixmint/core/cash/keyset'
import type { BankRequest } from '@mixmint/core/cash/messages'
import { Registry } from '@mixmint/core/cash/registry'
import { checkSettlement } from '@mixmint/core/cash/settlement'
import { signSpend, signVote } from '@mixmint/core/cash/spend'
import { verifyToken } from '@mixmint/core/cash/token'
import { BankDesk } from '../doubles/bank-desk.ts'
import { DAY, HOUR, keyNamed, mint, NETWORK, START, suite, type OwnedCoin } from '../doubles/economy.ts'
import { MemoryStore } from '../doubles/memory-store.ts'

test('an exchange turns coins into others of the same sum, once, with one answer for ever', async () => {
  const desk = new BankDesk()
  const coins = await desk.coins(8, 4)
  const made = [8, 2, 2].map(value => desk.economy.output(value))
  const contract = desk.economy.contract({ outputs: made.map(({ output }) => output) })
  const settlement = await desk.settled(contract, coins)
  expect(checkSettlement(suite, contract, settlement).state).toBe('settled')
  expect(settlement.outcome.outcome.time).toBe(START)
  expect(settlement.token).toBeNull()
  const fresh = made.map(({ finish }, i) => finish(settlement.signatures[i]))
  await desk.expectBalanced()

  const signed = desk.signed
  desk.economy.clock.advance(100 * DAY)
  desk.registry = new Registry(suite, NETWORK, desk.economy.parameters, [])
  desk.restart()
  expect(await desk.ask(desk.settle(contract, coins))).toEqual({ is: 'settlement', ...settlement })
  expect(await desk.ask(desk.settle(contract, fresh))).toEqual({ is: 'settlement', ...settlement })
  expect(desk.signed).toBe(signed)
})

test('a token is made out to its payee, and a retry brings the same one', async () => {
  const desk = new BankDesk()
  const coins = await desk.coins(16)
  const contract = desk.tokenContract(10, [4, 2], { till: keyNamed('till').publicKey, memoHash: keyNamed('memo').publicKey })
  const settlement = await desk.settled(contract, coins)
  const { token } = settlement
  if (token === null || contract.token === null) throw new Error('no token')
  verifyToken(suite, desk.registry, token)
  expect(token.token).toMatchObject({ ...contract.token, payee: contract.payee, amount: 10, unit: contract.unit })
  expect(settlement.signatures).toHaveLength(2)
  expect(await desk.settled(contract, coins)).toEqual(settlement)
  const books = await desk.run(desk.engine.books())
  expect(books).toMatchObject({ tokens: 10, outstanding: 6, redeemed: 16, issued: 22, accounts: 0, credited: 16, balanced: true })
})

test('a payment is credited to its payee, whose account opens with it', async () => {
  const desk = new BankDesk()
  const contract = desk.pay(5, [2, 1])
  const request = desk.settle(contract, await desk.coins(8))
  expect(await desk.codeOf(request)).toBe('settlement')
  expect(await desk.balance(desk.economy.payee)).toBe(5)
  expect(await desk.codeOf(request)).toBe('settlement')
  expect(await desk.balance(desk.economy.payee)).toBe(5)
  await desk.expectBalanced()
})

test('many payments to one payee at once are all credited', async () => {
  const desk = new BankDesk()
  const requests: BankRequest[] = []
  for (let i = 0; i < 6; i++) requests.push(desk.settle(desk.pay(4), await desk.coins(4)))
  for (const code of await Promise.all(requests.map(async request => await desk.codeOf(request)))) expect(code).toBe('settlement')
  expect(await desk.balance(desk.economy.payee)).toBe(24)
  await desk.expectBalanced()
})

test('a payment is settled on its payee\'s signature over it, and anything else without one', async () => {
  const desk = new BankDesk()
  const coins = await desk.coins(4)
  const contract = desk.pay(4)
  const request = desk.settle(contract, coins)
  expect(await desk.codeOf({ ...request, payeeSignature: new Uint8Array(0) })).toBe('not-the-payee')
  expect(await desk.codeOf(desk.settle(contract, coins, keyNamed('thief')))).toBe('not-the-payee')
  expect(await desk.codeOf({ ...request, payeeSignature: desk.settle(desk.pay(4), coins).payeeSignature })).toBe('not-the-payee')
  expect(await desk.codeOf({ ...desk.settle(desk.exchange(4), coins), payeeSignature: request.payeeSignature })).toBe('not-the-payee')
  expect(await desk.codeOf(request)).toBe('settlement')
})

test('one settlement for an invoice', async () => {
  const desk = new BankDesk()
  const contract = desk.pay(4)
  const second = desk.pay(4, [], { invoice: contract.invoice })
  const [one, other, third] = await desk.coins(4, 4, 4)
  expect(await desk.codeOf(desk.settle(contract, [one]))).toBe('settlement')
  const asked = desk.economy.centers.reduce((sum, { asked }) => sum + asked, 0)
  expect(await desk.codeOf(desk.settle(second, [other]))).toBe('invoice-settled')
  expect(desk.economy.centers.reduce((sum, { asked }) => sum + asked, 0)).toBe(asked)
  // The same at one moment: the batch decides.
  const [a, b] = [desk.pay(4), desk.pay(4)]
  const racing = [desk.settle(a, [other]), desk.settle({ ...b, invoice: a.invoice }, [third])]
  const codes = await Promise.all(racing.map(async request => await desk.codeOf(request)))
  expect(codes.sort()).toEqual(['invoice-settled', 'settlement'])
  expect(await desk.balance(desk.economy.payee)).toBe(8)
  await desk.expectBalanced()
})

test('each contract that is not in order is refused under its own code, and takes nothing', async () => {
  const desk = new BankDesk()
  const coins = await desk.coins(8)
  const exchange = desk.exchange(8)
  const token = desk.tokenContract(8)
  const now = desk.economy.clock.now()
  const { clockSkew, settleMaximum } = desk.economy.parameters
  const withTerms = (terms: Partial<NonNullable<Contract['token']>>): Contract => ({ ...token, token: desk.terms(terms) })
  const cases: Array<[string, Contract]> = [
    ['wrong-network', { ...exchange, network: 'other' }],
    ['wrong-bank', { ...exchange, bank: keyNamed('other').publicKey }],
    ['wrong-unit', { ...exchange, unit: 'USD-cent' }],
    ['bad-contract', { ...exchange, kind: 'pay' }],
    ['bad-contract', { ...token, token: null }],
    ['duplicate-output', { ...exchange, outputs: [desk.outputs(4)[0]].flatMap(output => [output, output]) }],
    ['wrong-sum', desk.exchange(8, 1)],
    ['wrong-sum', desk.exchange(4, 2, 1)],
    ['wrong-sum', { ...token, amount: 7 }],
    ['settle-by-too-far', { ...exchange, settleBy: now + settleMaximum + clockSkew + 1 }],
    ['token-not-yet-valid', withTerms({ notBefore: now + clockSkew + 1, notAfter: now + DAY })],
    ['token-expired', withTerms({ notBefore: now - HOUR, notAfter: now })],
    ['token-too-long', withTerms({ notAfter: now + DAY + 1 })],
    ['token-too-long', withTerms({ depositUntil: now + 7 * DAY + 1 })],
    ['token-too-long', withTerms({ refundAfter: now + 8 * DAY + 1 })],
    ['token-too-short', withTerms({ depositUntil: now + 7 * DAY - 1 })],
    ['token-too-short', withTerms({ refundAfter: now + 8 * DAY - 1 })],
    ['unknown-day-key', withTerms({ notBefore: now - 13 * HOUR, notAfter: now + HOUR, depositUntil: now - 13 * HOUR + 7 * DAY, refundAfter: now - 13 * HOUR + 8 * DAY })]
  ]
  for (const [code, contract] of cases) expect(await desk.codeOf(desk.settle(contract, coins))).toBe(code)
  for (const { asked } of desk.economy.centers) expect(asked).toBe(0)
  expect(await desk.codeOf(desk.settle(exchange, coins))).toBe('settlement')
  await desk.expectBalanced()
})

test('a token is signed only with the key that the directory lists for its day, in that key\'s time', async () => {
  const desk = new BankDesk()
  const coins = await desk.coins(8)
  const contract = desk.tokenContract(8)
  desk.dayKey = () => undefined
  expect(await desk.ask(desk.settle(contract, coins))).toMatchObject({ code: 'no-day-key', fault: 'operator', retry: true })
  desk.dayKey = () => keyNamed('another day key')
  expect(await desk.codeOf(desk.settle(contract, coins))).toBe('no-day-key')
  desk.dayKey = () => desk.economy.dayKey
  const late = new BankDesk()
  late.economy.clock.set(START - 13 * HOUR)
  expect(await late.codeOf(late.settle(late.tokenContract(8), await late.coins(8)))).toBe('unknown-day-key')

  const { listing, bank } = desk.economy
  const dayKeys = listing.dayKeys.map(({ dayKey }) => signDayKey(suite, bank, { ...dayKey, validUntil: START }))
  desk.registry = new Registry(suite, NETWORK, desk.economy.parameters, [{ ...listing, dayKeys: dayKeys.slice(0, 1) }])
  expect(await desk.codeOf(desk.settle(contract, coins))).toBe('day-key-not-valid')
  desk.registry = new Registry(suite, NETWORK, desk.economy.parameters, [{ ...listing, dayKeys: [signDayKey(suite, bank, { ...listing.dayKeys[0].dayKey, validFrom: START + 1 })] }])
  expect(await desk.codeOf(desk.settle(contract, coins))).toBe('day-key-not-valid')
  desk.registry = desk.economy.registry
  expect(await desk.codeOf(desk.settle(contract, coins))).toBe('settlement')
})

test('an output signed before, anywhere, is not signed again', async () => {
  const desk = new BankDesk()
  const [one, other] = await desk.coins(8, 8)
  const contract = desk.exchange(8)
  expect(await desk.codeOf(desk.settle(contract, [one]))).toBe('settlement')
  expect(await desk.codeOf(desk.settle({ ...contract, nonce: new Uint8Array(32) }, [other]))).toBe('output-used')
  expect(await desk.codeOf(desk.settle(desk.exchange(8), [one]))).toBe('short')
  await desk.expectBalanced()
})

/** A registry with more keysets of the economy's denominations; coins of them are minted. */
function withKeysets (desk: BankDesk, ...changes: Array<Partial<Keyset>>): Uint8Array[] {
  const { economy } = desk
  const other = keyNamed('other bank')
  const signed = changes.map(change => {
    const keyset = { ...economy.signedKeyset.keyset, ...change }
    return signKeyset(suite, change.bank === undefined ? economy.bank : other, keyset)
  })
  desk.registry = new Registry(suite, NETWORK, economy.parameters, [
    { ...economy.listing, keysets: [economy.signedKeyset, ...signed.filter((_, i) => changes[i].bank === undefined)] },
    { bank: other.publicKey, keysets: signed.filter((_, i) => changes[i].bank !== undefined), rings: [economy.ring], dayKeys: [], sealedDays: [], revocations: [] }
  ])
  return signed.map(({ keyset }) => keysetId(suite, keyset))
}

test('every input is judged by itself: one bad coin does not hide the others', async () => {
  const desk = new BankDesk()
  const { economy } = desk
  const ends = START + HOUR
  const [dollars, theirs, over, soon] = withKeysets(desk, { unit: 'USD-cent' }, { bank: keyNamed('other bank').publicKey },
    { issueFrom: START - 30 * DAY, issueUntil: START - 20 * DAY, spendUntil: START - 10 * DAY, redeemUntil: START },
    { issueFrom: START - 30 * DAY, issueUntil: START - 20 * DAY, spendUntil: START - 10 * DAY, redeemUntil: ends + HOUR + economy.parameters.margin })
  const [spent, good, forOther, twice, badSpend, unsigned] = await desk.coins(8, 8, 8, 8, 8, 8)
  await desk.settled(desk.exchange(8), [spent])

  const contract = { ...desk.exchange(64, 32, 8), settleBy: ends }
  const of = (keyset: Uint8Array): OwnedCoin => mint(economy.rng.bytes(32), keyset, 8)
  const request = desk.settle(contract, [spent, good, forOther, twice, twice, badSpend, unsigned, of(dollars), of(theirs), of(over), of(soon), of(new Uint8Array(32)), good])
  const { inputs } = request
  inputs[2] = signSpend(suite, forOther.key, forOther.coin, contractId(suite, desk.exchange(8)))
  inputs[5].spend.signature = inputs[4].spend.signature
  inputs[6].spend.coin = { ...unsigned.coin, signature: good.coin.signature }
  expect(await desk.statesOf(request)).toEqual([
    'coin-spent', 'certified', 'bad-opening', 'certified', 'duplicate-coin', 'bad-spend', 'bad-coin', 'wrong-unit', 'wrong-bank', 'keyset-ended',
    'keyset-ends-too-soon', 'unknown-keyset', 'duplicate-coin'
  ])
  const reply = await desk.ask(request)
  if (reply.is !== 'short') throw new Error(reply.is)
  expect(reply.inputs.map(({ coin }) => coin)).toEqual(inputs.map(({ spend }) => coinId(suite, spend.coin)))
  // Nothing was taken: the good ones settle for what they are worth.
  expect(await desk.codeOf(desk.settle(desk.exchange(8), [badSpend]))).toBe('settlement')
  await desk.expectBalanced()
})

test('a coin whose keyset lasts just longer than the contract may take is accepted', async () => {
  const desk = new BankDesk()
  const { margin, voidGrace } = desk.economy.parameters
  const [keyset] = withKeysets(desk, {
    issueFrom: START - 30 * DAY, issueUntil: START - 20 * DAY, spendUntil: START + DAY, redeemUntil: START + DAY + HOUR
  })
  const coin = mint(desk.economy.rng.bytes(32), keyset, 8)
  // The economy's centers do not know this keyset: its votes are made by hand.
  const settleBy = START + DAY + HOUR - margin - voidGrace - 1
  const contract = { ...desk.exchange(8), settleBy }
  const request = desk.settle(contract, [coin])
  const ring = desk.registry.keyset(keyset).ring
  const id = coinId(suite, coin.coin)
  request.inputs[0].votes = ring.keepers(id, coin.coin.signature).slice(0, 3).map(keeper => {
    const center = desk.economy.centers.find(center => Buffer.compare(center.id, keeper.id) === 0)
    if (center === undefined) throw new Error('no such center')
    return signVote(suite, center.voteKey, center.id, ring.id, id, request.inputs[0].spend.d)
  })
  expect(await desk.codeOf(request)).toBe('settlement')
})

test('coins spent to another contract are shown with the proof; coins without keepers can be substituted', async () => {
  const desk = new BankDesk()
  const [cheat, lost, ...others] = await desk.coins(8, 8, 8, 8)
  const first = desk.exchange(8)
  await desk.certified(first, [cheat])
  const contract = desk.exchange(16)
  for (const center of desk.economy.keepersOf(lost).slice(0, 2)) center.down = true
  expect(await desk.statesOf(desk.settle(contract, [cheat, lost]))).toEqual(['conflict', 'unavailable'])
  const reply = await desk.ask(desk.settle(contract, [cheat, lost]))
  if (reply.is !== 'short') throw new Error(reply.is)
  expect(reply.inputs[0].first).toEqual(desk.settle(first, [cheat]).inputs[0].spend)
  for (const center of desk.economy.centers) desk.economy.restart(center)
  expect(await desk.codeOf(desk.settle(contract, others))).toBe('settlement')
  await desk.expectBalanced()
})

test('less than a quorum settles nothing, even with one vote shown over and over', async () => {
  const desk = new BankDesk()
  const [coin] = await desk.coins(8)
  const contract = desk.exchange(8)
  const [input] = await desk.certified(contract, [coin])
  for (const center of desk.economy.centers) center.down = true
  const request = desk.settle(contract, [coin])
  const [a, b, c] = input.votes
  expect(await desk.statesOf({ ...request, inputs: [{ ...input, votes: [a, b, a, b, a] }] })).toEqual(['unavailable'])
  expect(await desk.statesOf({ ...request, inputs: [{ ...input, votes: [a, b, { ...c, signature: b.signature }] }] })).toEqual(['unavailable'])
  expect(await desk.codeOf({ ...request, inputs: [{ ...input, votes: [a, b, c] }] })).toBe('settlement')
})

test('a certified contract is served however late; votes are gathered only in time', async () => {
  for (const time of [START + 31 * DAY, START + 2 * HOUR + 1]) {
    const desk = new BankDesk()
    const [one, other] = await desk.coins(8, 8)
    const certified = desk.exchange(8)
    const inputs = await desk.certified(certified, [one])
    const bare = desk.exchange(8)
    desk.economy.clock.set(time)
    expect(await desk.codeOf(desk.settle(bare, [other]))).toBe('settle-by-past')
    expect(await desk.codeOf({ ...desk.settle(certified, [one]), inputs })).toBe('settlement')
    const young = desk.settle(desk.exchange(8), [other])
    expect(await desk.codeOf(young)).toBe(time < START + 30 * DAY ? 'settlement' : 'keyset-not-issuing')
  }
})

test('outputs that do not issue yet, or could end too soon, are not signed for certified coins either', async () => {
  const desk = new BankDesk()
  const [later, short] = withKeysets(desk, { issueFrom: START + DAY, issueUntil: START + 40 * DAY }, { issueUntil: START + HOUR, spendUntil: START + 2 * HOUR })
  const [one, other] = await desk.coins(8, 8)
  const of = (keyset: Uint8Array): Contract => desk.economy.contract({ outputs: desk.outputs(8).map(output => ({ ...output, keyset })) })
  for (const [code, keyset, coin] of [['keyset-not-yet', later, one], ['keyset-ends-too-soon', short, other]] as const) {
    const contract = of(keyset)
    const inputs = await desk.certified(contract, [coin])
    expect(await desk.codeOf({ ...desk.settle(contract, [coin]), inputs })).toBe(code)
  }
})

test('the keys of a keyset that has ended redeem nothing, even when the clock is set back', async () => {
  const desk = new BankDesk()
  const [one, other] = await desk.coins(8, 8)
  const contracts = [one, other].map(() => desk.economy.contract({ kind: 'pay', amount: 8, payee: desk.economy.payee.publicKey, invoice: desk.economy.rng.bytes(32) }))
  const requests = await Promise.all([one, other].map(async (coin, i) => ({ ...desk.settle(contracts[i], [coin]), inputs: await desk.certified(contracts[i], [coin]) })))
  desk.economy.clock.set(desk.economy.known.keyset.redeemUntil - 1)
  expect(await desk.codeOf(requests[0])).toBe('settlement')
  desk.economy.clock.advance(1)
  expect(await desk.statesOf(requests[1])).toEqual(['keyset-ended'])
  desk.economy.clock.advance(HOUR)
  expect(await desk.statesOf(requests[1])).toEqual(['keyset-ended'])
  desk.restart()
  desk.economy.clock.set(START)
  expect(await desk.statesOf(requests[1])).toEqual(['keyset-ended'])
})

test('one coin to two contracts at once: one of them settles', async () => {
  const desk = new BankDesk()
  const [coin] = await desk.coins(8)
  const requests = [desk.exchange(8), desk.exchange(8)].map(contract => desk.settle(contract, [coin]))
  const codes = await Promise.all(requests.map(async request => await desk.codeOf(request)))
  expect(codes.filter(code => code === 'settlement').length).toBeLessThanOrEqual(1)
  expect(codes.every(code => code === 'settlement' || code === 'short')).toBe(true)
  await desk.expectBalanced()
})

test('one coin certified twice by lying keepers settles once, whatever the moment', async () => {
  for (let at = 0; ; at++) {
    const desk = new BankDesk({ seed: 'liars', ring: { replicas: 4, faults: 1, quorum: 3 } })
    const [coin, other] = await desk.coins(8, 8)
    const [first, second] = [desk.exchange(8), desk.exchange(8, 8)]
    const firstInputs = await desk.certified(first, [coin])
    for (const center of desk.economy.keepersOf(coin)) { center.store = new MemoryStore(); desk.economy.restart(center) } // they forget
    const secondInputs = await desk.certified(second, [coin, other])
    let effects = 0
    let reached = false
    desk.before = async () => {
      if (effects++ !== at) return
      reached = true
      expect(await desk.codeOf({ ...desk.settle(first, [coin]), inputs: firstInputs })).toBe('settlement')
    }
    const states = await desk.ask({ ...desk.settle(second, [coin, other]), inputs: secondInputs })
    if (!reached) {
      expect(states.is).toBe('settlement')
      break
    }
    expect(states).toMatchObject({ is: 'short', inputs: [{ state: 'refused', code: 'coin-spent' }, { state: 'certified' }] })
    desk.before = () => {}
    await desk.expectBalanced()
  }
})

test('two asks of one contract with different coins: one settlement, one sum of coins taken', async () => {
  for (let at = 0; ; at++) {
    const desk = new BankDesk()
    const [one, other] = await desk.coins(8, 8)
    const contract = desk.pay(4, [4])
    let effects = 0
    let intruder: Promise<unknown> | undefined
    desk.before = async () => {
      if (effects++ === at) await (intruder = desk.ask(desk.settle(contract, [one])))
    }
    const second = await desk.ask(desk.settle(contract, [other]))
    if (intruder === undefined) break
    const first = await intruder
    expect(second.is).toBe('settlement')
    expect(first).toEqual(second)
    expect(await desk.balance(desk.economy.payee)).toBe(4)
    await desk.expectBalanced()
    // The coin that was left over comes back.
    const codes = [await desk.codeOf(desk.reclaiming(contract, one, desk.outputs(8))), await desk.codeOf(desk.reclaiming(contract, other, desk.outputs(8)))]
    expect(codes.sort()).toEqual(['coin-spent', 'signatures'])
    await desk.expectBalanced()
  }
})

test('the same ask while the same ask is under way has the same answer', async () => {
  for (let at = 0; ; at++) {
    const desk = new BankDesk()
    const request = desk.settle(desk.pay(4, [4]), await desk.coins(8))
    let effects = 0
    let intruder: Promise<unknown> | undefined
    desk.before = async () => {
      if (effects++ === at) await (intruder = desk.ask(request))
    }
    const second = await desk.ask(request)
    if (intruder === undefined) break
    expect(second.is, `at effect ${at}`).toBe('settlement')
    expect(await intruder).toEqual(second)
  }
})

test('the outcome is the bank\'s signed word, to whoever shows the contract', async () => {
  const desk = new BankDesk()
  const contract = desk.exchange(8)
  const open = await desk.ask({ op: 'outcome', contract })
  if (open.is !== 'outcome') throw new Error(open.is)
  verifyOutcome(suite, desk.economy.bank.publicKey, open.outcome)
  expect(open.outcome.outcome).toEqual({ contract: contractId(suite, contract), state: 'open', time: START })
  expect(open).toMatchObject({ signatures: [], token: null })
  const settlement = await desk.settled(contract, await desk.coins(8))
  expect(await desk.ask({ op: 'outcome', contract })).toEqual({ ...settlement, is: 'outcome' })
  expect(await desk.codeOf({ op: 'outcome', contract: { ...contract, bank: keyNamed('other').publicKey } })).toBe('wrong-bank')
  expect(await desk.codeOf({ op: 'outcome', contract: { ...contract, network: 'other' } })).toBe('wrong-network')
  expect(await desk.codeOf({ op: 'outcome', contract: { ...contract, unit: 'USD-cent' } })).toBe('wrong-unit')
})
