/** What undoes a purchase: void and reclaim. */
import { expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { contractId, verifyOutcome } from '@mixmint/core/cash/contract'
import { signKeyset, keysetId } from '@mixmint/core/cash/keyset'
import type { BankReply, BankRequest } from '@mixmint/core/cash/messages'
import { reclaimMessage, voidMessage } from '@mixmint/core/cash/reclaim'
import { Registry } from '@mixmint/core/cash/registry'
import { BankDesk } from '../doubles/bank-desk.ts'
import { HOUR, keyNamed, mint, NETWORK, START, suite } from '../doubles/economy.ts'

test('after settleBy and grace the owner of a certified coin voids the contract, and has the coin back', async () => {
  const desk = new BankDesk()
  const [coin] = await desk.coins(8)
  const contract = desk.pay(8)
  await desk.certified(contract, [coin])
  desk.toVoidTime(contract)
  const voided = await desk.ask(desk.voiding(contract, coin))
  if (voided.is !== 'outcome') throw new Error(voided.is)
  verifyOutcome(suite, desk.economy.bank.publicKey, voided.outcome)
  expect(voided.outcome.outcome).toEqual({ contract: contractId(suite, contract), state: 'void', time: desk.economy.clock.now() })
  desk.economy.clock.advance(HOUR)
  desk.restart()
  expect(await desk.ask(desk.voiding(contract, coin))).toEqual(voided)
  expect(await desk.ask({ op: 'outcome', contract })).toEqual(voided)
  expect(await desk.codeOf(desk.settle(contract, [coin]))).toBe('contract-void')

  const made = [desk.economy.output(4), desk.economy.output(4)]
  const request = desk.reclaiming(contract, coin, made.map(({ output }) => output))
  const answer = await desk.ask(request)
  if (answer.is !== 'signatures') throw new Error(answer.is)
  made.forEach(({ finish }, i) => finish(answer.signatures[i]))
  desk.restart()
  desk.economy.clock.set(desk.economy.known.keyset.redeemUntil)
  expect(await desk.ask(request)).toEqual(answer)
  expect(await desk.ask(desk.voiding(contract, coin))).toEqual(voided)
  expect(await desk.codeOf(desk.reclaiming(contract, coin, desk.outputs(4, 4)))).toBe('coin-spent')
  await desk.expectBalanced()
})

test('each void that is not in order is refused under its own code, and the contract stays open', async () => {
  const desk = new BankDesk()
  const [coin, bare] = await desk.coins(8, 8)
  const contract = desk.pay(8)
  const [input] = await desk.certified(contract, [coin])
  desk.toVoidTime(contract)
  desk.economy.clock.advance(-1)
  const request = desk.voiding(contract, coin)
  expect(await desk.ask(request)).toMatchObject({ code: 'void-too-early', retry: true })
  desk.economy.clock.advance(1)

  const cases: Array<[string, BankRequest]> = [
    ['wrong-network', desk.voiding({ ...contract, network: 'other' }, coin)],
    ['wrong-bank', desk.voiding({ ...contract, bank: keyNamed('other').publicKey }, coin)],
    ['wrong-unit', desk.voiding({ ...contract, unit: 'USD-cent' }, coin)],
    ['bad-coin-signature', { ...request, signature: desk.reclaiming(contract, coin, desk.outputs(8)).signature }],
    ['bad-coin-signature', { ...request, signature: desk.voiding({ ...contract, nonce: new Uint8Array(32) }, coin).signature }],
    ['bad-coin-signature', { ...request, signature: desk.voiding(contract, bare).signature }],
    ['bad-opening', { ...request, input: { ...input, opening: new Uint8Array(32) } }],
    ['bad-opening', { ...request, input: desk.voiding(desk.pay(8), coin).input }],
    ['unknown-keyset', desk.voiding(contract, mint(desk.economy.rng.bytes(32), new Uint8Array(32), 8))]
  ]
  for (const [code, request] of cases) expect(await desk.codeOf(request)).toBe(code)

  for (const center of desk.economy.centers) center.down = true
  expect(await desk.statesOf(desk.voiding(contract, bare))).toEqual(['unavailable'])
  const forged = { ...coin, coin: { ...coin.coin, signature: bare.coin.signature } }
  expect(await desk.statesOf({ ...desk.voiding(contract, forged), input: { ...input, spend: { ...input.spend, coin: forged.coin } } })).toEqual(['bad-coin'])
  expect(await desk.codeOf({ ...request, input: { ...input, votes: input.votes.slice(0, 2) } })).toBe('short')
  expect(await desk.ask({ op: 'outcome', contract })).toMatchObject({ outcome: { outcome: { state: 'open' } } })
  expect(await desk.codeOf({ ...request, input })).toBe('outcome')
})

test('a coin of a keyset that has ended voids nothing and is not reclaimed', async () => {
  const desk = new BankDesk()
  const [coin, other] = await desk.coins(8, 8)
  const contracts = [desk.pay(8), desk.pay(8)]
  const inputs = [await desk.certified(contracts[0], [coin]), await desk.certified(contracts[1], [other])].flat()
  desk.economy.clock.set(desk.economy.known.keyset.redeemUntil - 1)
  expect(await desk.codeOf({ ...desk.voiding(contracts[0], coin), input: inputs[0] })).toBe('outcome')
  desk.economy.clock.advance(1)
  expect(await desk.codeOf({ ...desk.voiding(contracts[1], other), input: inputs[1] })).toBe('keyset-ended')
  expect(await desk.codeOf({ ...desk.reclaiming(contracts[0], coin, desk.outputs(8)), input: inputs[0] })).toBe('keyset-ended')
})

test('a contract that breaks the rules can be voided, or its coins would be stuck', async () => {
  const desk = new BankDesk()
  const [coin] = await desk.coins(8)
  const contract = { ...desk.exchange(8), outputs: [] }
  expect(await desk.codeOf(desk.settle(contract, [coin]))).toBe('bad-contract')
  await desk.certified(contract, [coin])
  desk.toVoidTime(contract)
  expect(await desk.codeOf(desk.voiding(contract, coin))).toBe('outcome')
  expect(await desk.codeOf(desk.reclaiming(contract, coin, desk.outputs(8)))).toBe('signatures')
  await desk.expectBalanced()
})

test('settle or void: whoever comes first decides, at every moment that they can meet', async () => {
  const prepare = async (): Promise<{ desk: BankDesk, settle: BankRequest, undo: BankRequest }> => {
    const desk = new BankDesk()
    const coins = await desk.coins(4, 4)
    const contract = desk.pay(8)
    const inputs = await desk.certified(contract, coins)
    desk.toVoidTime(contract)
    return { desk, settle: { ...desk.settle(contract, coins), inputs }, undo: { ...desk.voiding(contract, coins[0]), input: inputs[0] } }
  }
  for (const first of ['settle', 'void']) {
    for (let at = 0; ; at++) {
      const { desk, settle, undo } = await prepare()
      const [slow, quick] = first === 'settle' ? [undo, settle] : [settle, undo]
      let effects = 0
      let intruder: Promise<BankReply> | undefined
      desk.before = async () => { if (effects++ === at) await (intruder = desk.ask(quick)) }
      const last = await desk.ask(slow)
      if (intruder === undefined) break
      // The slow one lost, or was answered before; either way both were told the same.
      const reply = await intruder
      if (first === 'settle') {
        expect(reply).toMatchObject({ is: 'settlement' })
        expect(last).toEqual({ ...reply, is: 'outcome' })
      } else {
        expect(reply).toMatchObject({ is: 'outcome', outcome: { outcome: { state: 'void' } } })
        expect(last).toMatchObject({ is: 'refused', code: 'contract-void' })
      }
      expect(await desk.balance(desk.economy.payee)).toBe(first === 'settle' ? 8 : 0)
      await desk.expectBalanced()
    }
  }
})

test('a payee may settle long after settleBy, as long as nobody voided', async () => {
  const desk = new BankDesk()
  const [coin] = await desk.coins(8)
  const contract = desk.pay(8)
  const inputs = await desk.certified(contract, [coin])
  desk.toVoidTime(contract)
  desk.economy.clock.advance(20 * HOUR)
  expect(await desk.codeOf({ ...desk.settle(contract, [coin]), inputs })).toBe('settlement')
  expect(await desk.ask(desk.voiding(contract, coin))).toMatchObject({ is: 'outcome', outcome: { outcome: { state: 'settled' } } })
})

test('a clock set back does not close the time for voiding again', async () => {
  const desk = new BankDesk()
  const [coin, other] = await desk.coins(8, 8)
  const [contract, next] = [desk.pay(8), desk.pay(8)]
  desk.toVoidTime(contract)
  desk.economy.clock.advance(2 * 1000)
  expect(await desk.codeOf(desk.voiding(contract, coin))).toBe('outcome')
  desk.restart()
  desk.economy.clock.set(START)
  expect(await desk.codeOf(desk.voiding(next, other))).toBe('outcome')
})

test('coins of an open contract, and coins that it took, do not come back', async () => {
  const desk = new BankDesk()
  const [coin, left] = await desk.coins(8, 8)
  const contract = desk.pay(8)
  await desk.certified(contract, [coin])
  expect(await desk.ask(desk.reclaiming(contract, coin, desk.outputs(8)))).toMatchObject({ code: 'contract-open', retry: true })
  expect(await desk.codeOf(desk.settle(contract, [coin]))).toBe('settlement')
  expect(await desk.codeOf(desk.reclaiming(contract, coin, desk.outputs(8)))).toBe('coin-spent')
  expect(await desk.codeOf(desk.reclaiming(contract, left, desk.outputs(8)))).toBe('signatures')
  expect(await desk.statesOf(desk.settle(desk.exchange(8), [left]))).toEqual(['coin-spent'])
  await desk.expectBalanced()
})

test('each reclaim that is not in order is refused under its own code, and takes nothing', async () => {
  const desk = new BankDesk()
  const [coin, left, bare] = await desk.coins(8, 8, 8)
  const contract = desk.pay(8)
  const [input] = await desk.certified(contract, [left])
  expect(await desk.codeOf(desk.settle(contract, [coin]))).toBe('settlement')
  const outputs = desk.outputs(4, 4)
  const used = desk.outputs(8)
  await desk.settled(desk.economy.contract({ outputs: used }), await desk.coins(8))
  const request = desk.reclaiming(contract, left, outputs)
  const cases: Array<[string, BankRequest]> = [
    ['contract-open', desk.reclaiming(desk.pay(8), left, outputs)],
    ['bad-coin-signature', { ...request, outputs: desk.outputs(4, 4) }],
    ['bad-coin-signature', { ...request, signature: desk.reclaiming(desk.pay(8), left, outputs).signature }],
    ['bad-coin-signature', { ...request, signature: desk.reclaiming(contract, bare, outputs).signature }],
    ['bad-coin-signature', { ...request, signature: desk.voiding(contract, left).signature }],
    ['bad-opening', { ...request, input: { ...input, opening: new Uint8Array(32) } }],
    ['wrong-sum', desk.reclaiming(contract, left, desk.outputs(8, 1))],
    ['wrong-sum', desk.reclaiming(contract, left, desk.outputs(4, 2))],
    ['duplicate-output', desk.reclaiming(contract, left, [outputs[0], outputs[0]])],
    ['bad-output', desk.reclaiming(contract, left, [{ ...outputs[0], value: 8, blinded: desk.economy.known.keyFor(8).n }])],
    ['unknown-keyset', desk.reclaiming(contract, left, [{ ...outputs[0], keyset: new Uint8Array(32) }])],
    ['output-used', desk.reclaiming(contract, left, used)]
  ]
  for (const [code, request] of cases) expect(await desk.codeOf(request)).toBe(code)
  expect(await desk.codeOf(desk.reclaiming({ ...contract, network: 'other' }, left, outputs))).toBe('wrong-network')
  expect(await desk.codeOf(desk.reclaiming({ ...contract, bank: keyNamed('x').publicKey }, left, outputs))).toBe('wrong-bank')
  expect(await desk.codeOf(desk.reclaiming({ ...contract, unit: 'USD-cent' }, left, outputs))).toBe('wrong-unit')

  for (const center of desk.economy.centers) center.down = true
  expect(await desk.statesOf(desk.reclaiming(contract, bare, outputs))).toEqual(['unavailable'])
  expect(await desk.codeOf({ ...request, input: { ...input, votes: input.votes.slice(1) } })).toBe('short')
  expect(await desk.codeOf({ ...request, input })).toBe('signatures')
  await desk.expectBalanced()
})

test('coins of other banks and units do not come back as ours', async () => {
  const desk = new BankDesk()
  const { economy } = desk
  const other = keyNamed('other bank')
  const dollars = signKeyset(suite, economy.bank, { ...economy.signedKeyset.keyset, unit: 'USD-cent' })
  const theirs = signKeyset(suite, other, { ...economy.signedKeyset.keyset, bank: other.publicKey })
  desk.registry = new Registry(suite, NETWORK, economy.parameters, [
    { ...economy.listing, keysets: [economy.signedKeyset, dollars] }, { bank: other.publicKey, keysets: [theirs], rings: [economy.ring], dayKeys: [], sealedDays: [], revocations: [] }
  ])
  const contract = desk.pay(8)
  desk.toVoidTime(contract)
  for (const [code, { keyset }] of [['wrong-unit', dollars], ['wrong-bank', theirs]] as const) {
    expect(await desk.codeOf(desk.voiding(contract, mint(economy.rng.bytes(32), keysetId(suite, keyset), 8)))).toBe(code)
  }
})

test('fresh coins are of a keyset that issues now', async () => {
  const desk = new BankDesk()
  const [coin, left] = await desk.coins(8, 8)
  const contract = desk.pay(8)
  const [input] = await desk.certified(contract, [left])
  await desk.settled(contract, [coin])
  desk.economy.clock.set(desk.economy.known.keyset.issueUntil + desk.economy.parameters.clockSkew)
  expect(await desk.codeOf({ ...desk.reclaiming(contract, left, desk.outputs(8)), input })).toBe('keyset-not-issuing')
})

test('one coin reclaimed twice at once: one of the two, or both the same', async () => {
  const twice = async (same: boolean): Promise<void> => {
    for (let at = 0; ; at++) {
      const desk = new BankDesk()
      const [coin] = await desk.coins(8)
      const contract = desk.pay(8)
      const [input] = await desk.certified(contract, [coin])
      desk.toVoidTime(contract)
      await desk.ask(desk.voiding(contract, coin))
      const request = { ...desk.reclaiming(contract, coin, desk.outputs(8)), input }
      const other = same ? request : { ...desk.reclaiming(contract, coin, desk.outputs(8)), input }
      let effects = 0
      let intruder: Promise<BankReply> | undefined
      desk.before = async () => { if (effects++ === at) await (intruder = desk.ask(request)) }
      const second = await desk.ask(other)
      if (intruder === undefined) break
      const first = await intruder
      if (same) expect(second, `at effect ${at}`).toEqual(first)
      else expect(second).toMatchObject({ is: 'refused', code: 'coin-spent' })
      await desk.expectBalanced()
    }
  }
  await twice(true)
  await twice(false)
})

test('what is signed covers the coin, the contract and the outputs, under a tag of its own', () => {
  const desk = new BankDesk()
  const [a, b] = [keyNamed('a').publicKey, keyNamed('b').publicKey]
  const [one, other] = [desk.outputs(8), desk.outputs(8)]
  const messages = [
    voidMessage(a, a), voidMessage(a, b), voidMessage(b, a),
    reclaimMessage(suite, a, a, one), reclaimMessage(suite, a, b, one), reclaimMessage(suite, b, a, one), reclaimMessage(suite, a, a, other)
  ]
  expect(new Set(messages.map(toHex)).size).toBe(messages.length)
})
