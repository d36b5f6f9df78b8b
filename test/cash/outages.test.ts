/** A bank that was down puts off the dates after which its word takes something from somebody. */
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { drive } from '@mixmint/core/kit/saga'
import { Chains } from '@mixmint/core/cash/bank/chains'
import { BEAT, putOff } from '@mixmint/core/cash/bank/outages'
import type { Bank } from '@mixmint/core/cash/bank/parts'
import { signKeyset } from '@mixmint/core/cash/keyset'
import { refundMessage } from '@mixmint/core/cash/reclaim'
import { SteadyClock } from '@mixmint/core/cash/steady-clock'
import { tokenHash } from '@mixmint/core/cash/token'
import { BankDesk, OWNER } from '../doubles/bank-desk.ts'
import { DAY, HOUR, NETWORK, never, START, suite, UNIT } from '../doubles/economy.ts'

let desk: BankDesk
beforeEach(async () => {
  desk = new BankDesk()
  await beat()
})

async function beat (): Promise<void> { await desk.run(desk.engine.beat()) }

/** At work for so long, then down for so long; then it starts again. */
async function works (up: number, down: number): Promise<void> {
  const { clock } = desk.economy
  for (let at = 0; at + BEAT <= up; at += BEAT * 2) { clock.advance(BEAT * 2); await beat() }
  clock.advance(down)
  desk.restart()
  await beat()
}

const parts = (): Bank => ({
  suite, network: NETWORK, bank: desk.economy.bank, unit: UNIT, registry: () => desk.registry, dayKey: day => desk.dayKey(day), sealedKeys: () => undefined, meter: desk.economy.meter, chains: new Chains(), clock: new SteadyClock(desk.economy.meter)
})
const ends = async (from: number, until: number, now: number): Promise<number> => await drive(putOff(parts(), from, until, now), desk.economy.ports(desk.store), never)

test('a date is put off by just the time that the bank was down for since another, further outages on the way included', async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(fc.record({ up: fc.integer({ min: 1, max: 20 }), down: fc.integer({ min: 2, max: 30 }) }), { maxLength: 6 }), fc.nat(120), fc.integer({ min: 1, max: 60 }),
    async (times, from, length) => {
      desk = new BankDesk()
      await beat()
      const MINUTE = 60_000
      // The slow twin: minute by minute, was it down?
      const down: boolean[] = []
      for (const time of times) {
        for (let i = 0; i < time.up; i++) down.push(false)
        for (let i = 0; i < time.down; i++) down.push(true)
        await works(time.up * MINUTE, time.down * MINUTE)
      }
      let left = length
      let end = from
      for (; left > 0; end++) if (!down[end]) left -= 1
      const now = START + down.length * MINUTE
      const told = await ends(START + from * MINUTE, START + (from + length) * MINUTE, now)
      // A date that is still to come is not asked about.
      expect((told - START) / MINUTE).toBe(from + length > down.length ? from + length : end)
    }), { numRuns: 60, seed: 1 })
})

test('no outage is counted while it says that it is at work, nor for a beat that comes late', async () => {
  await works(HOUR, 3 * BEAT)
  expect(await ends(START, START + 1, START + DAY)).toBe(START + 1)
  await works(HOUR, 3 * BEAT + 1)
  expect(await ends(START, START + 3 * HOUR, START + DAY)).toBe(START + 3 * HOUR + 3 * BEAT + 1)
})

test('a clock that jumps ahead counts as time that nobody had; one that is set back as none', async () => {
  const { clock } = desk.economy
  clock.advance(2 * DAY)
  await beat()
  expect(await ends(START, START + HOUR, clock.now())).toBe(START + HOUR + 2 * DAY)
  clock.advance(-2 * DAY)
  await beat()
  desk.restart()
  await beat()
  expect(await ends(START, START + HOUR, START + 3 * DAY)).toBe(START + HOUR + 2 * DAY)
})

describe('put off is', () => {
  test('the void: a payee has all of its grace', async () => {
    const [coin] = await desk.coins(8)
    const contract = desk.pay(8)
    const [input] = await desk.certified(contract, [coin])
    const request = { ...desk.voiding(contract, coin), input }
    const { clock, parameters } = desk.economy
    clock.set(contract.settleBy + parameters.voidGrace / 2)
    await works(0, 5 * HOUR)
    expect(await desk.ask(request)).toMatchObject({ code: 'void-too-early', retry: true })
    await desk.workUntil(contract.settleBy + parameters.voidGrace + 5 * HOUR + parameters.voidGrace / 2 - 1)
    expect(await desk.codeOf(request)).toBe('void-too-early')
    clock.advance(1)
    expect(await desk.codeOf(request)).toBe('outcome')
  })

  test('the void that waited in line while the machine stood still, before the next beat', async () => {
    const [coin] = await desk.coins(8)
    const contract = desk.pay(8)
    const [input] = await desk.certified(contract, [coin])
    const { clock, parameters } = desk.economy
    clock.set(contract.settleBy)
    await beat()
    clock.advance(parameters.voidGrace + HOUR)
    expect(await desk.codeOf({ ...desk.voiding(contract, coin), input })).toBe('void-too-early')
    expect(await desk.codeOf({ ...desk.settle(contract, [coin]), inputs: [input] })).toBe('settlement')
  })

  test('the end of certificates: who holds one has its time with a bank that is at work', async () => {
    const [coin, other] = await desk.coins(8, 8)
    const contracts = [desk.pay(8), desk.pay(8)]
    const inputs = [await desk.certified(contracts[0], [coin]), await desk.certified(contracts[1], [other])].flat()
    const { clock, known: { keyset } } = desk.economy
    clock.set(keyset.redeemUntil - HOUR)
    await beat()
    // The days since spendUntil without a beat count as an outage, too.
    clock.set(keyset.redeemUntil + DAY)
    await beat()
    expect(await desk.codeOf({ ...desk.settle(contracts[0], [coin]), inputs: [inputs[0]] })).toBe('settlement')
    expect(await desk.codeOf(desk.refundingCoin(other, desk.outputs(8)))).toBe('refund-too-early')
    const end = keyset.redeemUntil + (keyset.redeemUntil + DAY - keyset.spendUntil)
    await desk.workUntil(end - 1)
    expect(await desk.codeOf({ ...desk.voiding(contracts[1], other), input: inputs[1] })).toBe('outcome')
    clock.set(end)
    expect(await desk.codeOf({ ...desk.reclaiming(contracts[1], other, desk.outputs(8)), input: inputs[1] })).toBe('keyset-ended')
    // Outputs of the only keyset do not issue any more: that is the last thing that is looked at.
    expect(await desk.codeOf(desk.refundingCoin(other, desk.outputs(8)))).toBe('keyset-not-issuing')
  })

  test('the end of refunds, and that of listing the keyset', async () => {
    const [coin] = await desk.coins(8)
    const { clock, signedKeyset, bank } = desk.economy
    const { keyset } = signedKeyset
    const other = signKeyset(suite, bank, { ...keyset, unit: 'USD-cent', refundUntil: keyset.refundUntil + 365 * DAY })
    clock.set(keyset.spendUntil)
    await beat()
    await works(HOUR, 30 * DAY)
    await desk.workUntil(keyset.refundUntil + 30 * DAY - 1)
    expect(await desk.codeOf(desk.refundingCoin(coin, desk.outputs(8)))).toBe('keyset-not-issuing')
    expect(await desk.run(desk.engine.refundable([signedKeyset, other]))).toEqual([signedKeyset, other])
    clock.advance(1)
    expect(await desk.codeOf(desk.refundingCoin(coin, desk.outputs(8)))).toBe('refund-too-late')
    expect(await desk.run(desk.engine.refundable([signedKeyset, other]))).toEqual([other])
  })

  test('the refund of a token: its payee has all of the time to turn it in', async () => {
    const { token } = await desk.presentation(8)
    const outputs = desk.outputs(8)
    const request = { op: 'refund', token, outputs, signature: suite.ed25519Sign(OWNER, refundMessage(suite, tokenHash(suite, token.token), outputs)) } as const
    const { clock } = desk.economy
    clock.set(START + HOUR)
    await beat()
    await works(0, 2 * DAY)
    const late = token.token.refundAfter + 2 * DAY + HOUR
    await desk.workUntil(late - 1)
    expect(await desk.codeOf(request)).toBe('refund-too-early')
    clock.set(late)
    expect(await desk.codeOf(request)).toBe('signatures')
  })
})
