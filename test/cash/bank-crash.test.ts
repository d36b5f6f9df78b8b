/** The bank stops at every single effect, before it or right after it; a new engine on the same store is asked again. */
import { describe, expect, test } from 'vitest'
import { keysetId, signKeyset } from '@mixmint/core/cash/keyset'
import type { BankReply, BankRequest } from '@mixmint/core/cash/messages'
import { refundMessage } from '@mixmint/core/cash/reclaim'
import { Registry } from '@mixmint/core/cash/registry'
import { sealedSerial } from '@mixmint/core/cash/sealed'
import { tokenHash } from '@mixmint/core/cash/token'
import { BankDesk, OWNER } from '../doubles/bank-desk.ts'
import { NETWORK, suite } from '../doubles/economy.ts'

interface Scenario {
  readonly prepare: (desk: BankDesk) => Promise<BankRequest>
  readonly is: BankReply['is']
  /** What the account, and the payee, hold in the end. */
  readonly account: number
  readonly payee: number
}

const scenarios: Record<string, Scenario> = {
  withdraw: {
    prepare: async desk => { await desk.credit(20); return desk.withdrawal(desk.outputs(8, 4)) },
    is: 'signatures', account: 8, payee: 0
  },
  exchange: { prepare: async desk => desk.settle(desk.exchange(4, 4), await desk.coins(8)), is: 'settlement', account: 0, payee: 0 },
  token: { prepare: async desk => desk.settle(desk.tokenContract(5, [1]), await desk.coins(4, 2)), is: 'settlement', account: 0, payee: 0 },
  pay: { prepare: async desk => desk.settle(desk.pay(5, [1]), await desk.coins(4, 2)), is: 'settlement', account: 0, payee: 5 },
  void: {
    prepare: async desk => {
      const [coin] = await desk.coins(8)
      const contract = desk.pay(8)
      desk.toVoidTime(contract)
      return desk.voiding(contract, coin)
    },
    is: 'outcome', account: 0, payee: 0
  },
  reclaim: {
    prepare: async desk => {
      const [coin, left] = await desk.coins(8, 8)
      const contract = desk.pay(8)
      await desk.settled(contract, [coin])
      return desk.reclaiming(contract, left, desk.outputs(4, 4))
    },
    is: 'signatures', account: 0, payee: 8
  },
  'refund of a coin': {
    prepare: async desk => {
      const [coin] = await desk.coins(8)
      const { keyset } = desk.economy.known
      const issuing = signKeyset(suite, desk.economy.bank, { ...keyset, issueFrom: keyset.redeemUntil, issueUntil: keyset.refundUntil + 1, spendUntil: keyset.refundUntil + 2, redeemUntil: keyset.refundUntil + 3, refundUntil: keyset.refundUntil + 4 })
      desk.registry = new Registry(suite, NETWORK, desk.economy.parameters, [{ ...desk.economy.listing, keysets: [desk.economy.signedKeyset, issuing] }])
      desk.economy.clock.set(keyset.redeemUntil)
      return desk.refundingCoin(coin, desk.outputs(4, 4).map(output => ({ ...output, keyset: keysetId(suite, issuing.keyset) })))
    },
    is: 'signatures', account: 0, payee: 0
  },
  'refund of a token': {
    prepare: async desk => {
      const { token } = await desk.presentation(8)
      const outputs = desk.outputs(4, 4)
      desk.economy.clock.set(token.token.refundAfter)
      return { op: 'refund', token, outputs, signature: suite.ed25519Sign(OWNER, refundMessage(suite, tokenHash(suite, token.token), outputs)) }
    },
    is: 'signatures', account: 0, payee: 0
  },
  deposit: {
    prepare: async desk => ({ op: 'deposit', presentations: [await desk.presentation(8), await desk.presentation(4)] }),
    is: 'deposited', account: 0, payee: 12
  },
  'sealed tokens': { prepare: async desk => desk.settle(desk.sealedContract(4, [2]), await desk.coins(4, 2)), is: 'settlement', account: 0, payee: 0 },
  'deposit of sealed tokens': {
    prepare: async desk => ({ op: 'sealed-deposit', presentations: [await desk.sealedPresentation(8), await desk.sealedPresentation(4)] }),
    is: 'deposited', account: 0, payee: 12
  },
  'refund of a sealed token': {
    prepare: async desk => {
      const { token } = await desk.sealedPresentation(8)
      const outputs = desk.outputs(4, 4)
      desk.economy.clock.set(desk.economy.sealed(0).keys.refundAfter)
      return { op: 'sealed-refund', token, outputs, signature: suite.ed25519Sign(OWNER, refundMessage(suite, sealedSerial(suite, token), outputs)) }
    },
    is: 'signatures', account: 0, payee: 0
  }
}

/** @returns whether it stopped before it had answered */
async function stopAt (desk: BankDesk, effect: number, when: 'before' | 'after', request: BankRequest): Promise<boolean> {
  let begun = 0
  let ended = 0
  let stopped = false
  const { promise: stop, resolve } = Promise.withResolvers<void>()
  const halt = async (here: boolean): Promise<void> => {
    if (here) { stopped = true; resolve() }
    if (stopped) await new Promise(() => {})
  }
  desk.before = async () => { await halt(when === 'before' && begun++ === effect) }
  desk.after = async () => { await halt(when === 'after' && ended++ === effect) }
  const answered = await Promise.race([desk.ask(request).then(() => true), stop.then(() => false)])
  desk.before = desk.after = () => {}
  return !answered
}

describe.each(Object.entries(scenarios))('%s', (_, { prepare, is, account, payee }) => {
  test.each(['before', 'after'] as const)('stopped %s each effect, it is done once when asked again', async when => {
    let effects = 0
    for (; ; effects++) {
      const desk = new BankDesk()
      const request = await prepare(desk)
      if (!await stopAt(desk, effects, when, request)) break
      desk.restart()
      await desk.expectBalanced()
      const reply = await desk.ask(request)
      expect(reply.is).toBe(is)
      expect(await desk.balance(), `effect ${effects}`).toBe(account)
      expect(await desk.balance(desk.economy.payee), `effect ${effects}`).toBe(payee)
      desk.restart()
      const again = await desk.ask(request)
      if (reply.is === 'deposited' && again.is === 'deposited') expect(again.results.every(({ state }) => state === 'already')).toBe(true)
      else expect(again).toEqual(reply)
      expect(await desk.balance(desk.economy.payee)).toBe(payee)
      await desk.expectBalanced()
    }
    expect(effects).toBeGreaterThan(3)
  })
})

test.each(['before', 'after'] as const)('a credit stopped %s each effect counts once', async when => {
  for (let effect = 0; ; effect++) {
    const desk = new BankDesk()
    let count = 0
    const { promise: stop, resolve } = Promise.withResolvers<string>()
    desk[when] = async () => { if (count++ >= effect) { resolve('stopped'); await new Promise(() => {}) } }
    const end = await Promise.race([desk.credit(5, undefined, 'transfer'), stop])
    desk.before = desk.after = () => {}
    if (end !== 'stopped') break
    desk.restart()
    expect(await desk.credit(5, undefined, 'transfer')).toBe(5)
    await desk.expectBalanced()
  }
})
