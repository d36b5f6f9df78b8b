/**
 * Every request that moves value has one answer: however often it is asked, in whatever order among others, by several at
 * once, across losses of power of the bank, later than its dates, and from a bank that has begun anew on what its disk holds.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { BankReply, BankRequest } from '@mixmint/core/cash/messages'
import { refundMessage } from '@mixmint/core/cash/reclaim'
import { sealedSerial } from '@mixmint/core/cash/sealed'
import { tokenHash } from '@mixmint/core/cash/token'
import { BankDesk, OWNER } from '../doubles/bank-desk.ts'
import { DAY, suite } from '../doubles/economy.ts'
import { MemoryStore } from '../doubles/memory-store.ts'

/** One request of each kind that moves value, each of which can be granted in any order, in the time that it is for. */
async function requests (desk: BankDesk): Promise<BankRequest[]> {
  const coins = await desk.coins(8, 8, 8, 8, 4, 4, 2, 2)
  await desk.credit(40)
  const [turnedIn, forgotten] = [await desk.presentation(8), await desk.presentation(4)]
  const settled = desk.pay(8)
  await desk.settled(settled, [coins[0]])
  const outputs = desk.outputs(4)
  const [sealed, kept] = [await desk.sealedPresentation(8), await desk.sealedPresentation(4)]
  const back = desk.outputs(2, 2)
  const [paying, buying] = await desk.coins(8, 8)
  return [
    desk.withdrawal(desk.outputs(8, 4)),
    desk.settle(desk.pay(6, [2]), [coins[1]]),
    desk.settle(desk.tokenContract(8), [coins[2]]),
    desk.settle(desk.exchange(4, 4), [coins[3]]),
    desk.reclaiming(settled, coins[4], desk.outputs(2, 2)),
    { op: 'deposit', presentations: [turnedIn] },
    { op: 'refund', token: forgotten.token, outputs, signature: suite.ed25519Sign(OWNER, refundMessage(suite, tokenHash(suite, forgotten.token.token), outputs)) },
    desk.settle(desk.sealedContract(4, [4]), [buying]),
    { op: 'sealed-deposit', presentations: [sealed] },
    { op: 'sealed-refund', token: kept.token, outputs: back, signature: suite.ed25519Sign(OWNER, refundMessage(suite, sealedSerial(suite, kept.token), back)) },
    desk.voiding(desk.pay(8), paying)
  ]
}

/** What a repeat must say. A deposit says `already` from its second time on. */
function settledAnswer (reply: BankReply): unknown {
  return reply.is === 'deposited' ? { is: 'deposited', results: reply.results.map(({ serial, state }) => ({ serial, had: state !== 'refused' })) } : reply
}

/** Loses what it had not yet written, and goes on with what it had. */
function losePower (desk: BankDesk): void {
  if (desk.store instanceof MemoryStore) desk.store = desk.store.crash()
  desk.restart()
}

const KINDS = 11
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('ask' as const), which: fc.nat(KINDS - 1), times: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('lose' as const), which: fc.nat(KINDS - 1), after: fc.nat(12) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('age' as const), days: fc.integer({ min: 1, max: 3 }) }) }
)

test('every request that moves value has one answer, whatever happens in between', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async steps => {
    const desk = new BankDesk()
    const all = await requests(desk)
    const said = new Map<number, unknown>()
    const note = (which: number, reply: BankReply): void => {
      // What was not granted moved nothing, and may be granted later: a refund that comes too early.
      if (reply.is === 'refused' || reply.is === 'short') {
        expect(said.has(which), `${all[which].op} was granted before, and is now ${JSON.stringify(reply)}`).toBe(false)
        return
      }
      if (!said.has(which)) said.set(which, settledAnswer(reply))
      expect(settledAnswer(reply)).toEqual(said.get(which))
    }
    for (const step of steps) {
      if (step.do === 'age') desk.economy.clock.set(desk.economy.clock.now() + step.days * DAY)
      else if (step.do === 'ask') {
        const replies = await Promise.all(Array.from({ length: step.times }, async () => await desk.ask(all[step.which])))
        for (const reply of replies) note(step.which, reply)
      } else {
        // The power fails after some effects; whoever asked hears nothing.
        const { promise: stop, resolve } = Promise.withResolvers<void>()
        let effects = 0
        desk.after = async () => {
          if (effects++ < step.after) return
          resolve()
          await new Promise(() => {})
        }
        const reply = await Promise.race([desk.ask(all[step.which]), stop])
        desk.after = () => {}
        if (reply !== undefined) note(step.which, reply)
        losePower(desk)
      }
      await desk.expectBalanced()
    }
    // In the end each is asked once more, and what was granted is granted still.
    losePower(desk)
    for (const [which, request] of all.entries()) note(which, await desk.ask(request))
    await desk.expectBalanced()
  }), { numRuns: 25 })
})
