/**
 * The promise of the ring: one coin, at most one certificate. Two conflicting spends go to four keepers in any order that
 * a scheduler can think of, while one keeper lies, or crashes at any step and returns with what its disk holds.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MixmintError } from '@mixmint/core/kit/errors'
import { drive } from '@mixmint/core/kit/saga'
import { certify, type AskCenter } from '@mixmint/core/cash/certify'
import { coinId } from '@mixmint/core/cash/coin'
import type { Input, Spend } from '@mixmint/core/cash/formats'
import type { CenterReply, CenterRequest } from '@mixmint/core/cash/messages'
import { isCertified, signSpend, signVote } from '@mixmint/core/cash/spend'
import { createEconomy, suite, type TestCenter } from '../doubles/economy.ts'
import { FaultyStore } from '../doubles/faulty-store.ts'
import { MemoryStore } from '../doubles/memory-store.ts'

const economy = createEconomy()
const owned = economy.mint(8)
const keepers = economy.keepersOf(owned)
const fresh = [1, 2].map(i => signSpend(suite, owned.key, owned.coin, suite.sha256(Uint8Array.of(i))))

const spendOf = (request: CenterRequest): Spend => {
  if (request.op !== 'spend') throw new Error('nobody asks for anything else here')
  return request.spend
}

type Fault =
  | { readonly kind: 'none' }
  /** Votes for whatever it is asked. */
  | { readonly kind: 'liar', readonly keeper: number }
  /** Dies at its operation number `at`, which was carried out or not, and comes back. */
  | { readonly kind: 'crash', readonly keeper: number, readonly at: number, readonly lost: boolean }

const keeper = fc.nat(3)
const anyFault: fc.Arbitrary<Fault> = fc.oneof(
  fc.constant<Fault>({ kind: 'none' }),
  fc.record({ kind: fc.constant('liar' as const), keeper }),
  fc.record({ kind: fc.constant('crash' as const), keeper, at: fc.nat(12), lost: fc.boolean() }))

/** Fresh keepers whose every store operation waits for the scheduler. */
function setUp (scheduler: fc.Scheduler, fault: Fault): (effect: AskCenter) => Promise<CenterReply> {
  const dead = new Map<TestCenter, PromiseWithResolvers<never>>()
  keepers.forEach((center, i) => {
    let operations = 0
    const disk = new MemoryStore()
    const die = async (): Promise<void> => {
      dead.get(center)?.reject(new MixmintError('unreachable', 'peer', 'the center died', { retry: true }))
      start()
      await new Promise(() => {})
    }
    const dies = (lost: boolean): boolean => fault.kind === 'crash' && fault.keeper === i && fault.lost === lost && operations === fault.at
    const start = (): void => {
      const life = Promise.withResolvers<never>()
      life.promise.catch(() => {})
      dead.set(center, life)
      economy.restart(center)
      center.store = new FaultyStore(disk, {
        before: async () => {
          await scheduler.schedule(Promise.resolve(), `${i} starts`)
          operations += 1
          if (dies(true)) await die()
        },
        after: async () => {
          if (dies(false)) await die()
          await scheduler.schedule(Promise.resolve(), `${i} is done`)
        }
      })
    }
    start()
    center.answer = fault.kind === 'liar' && fault.keeper === i
      ? request => ({ is: 'vote', vote: signVote(suite, center.voteKey, center.id, economy.known.ring.id, coinId(suite, owned.coin), spendOf(request).d) })
      : null
  })
  return async effect => {
    await scheduler.schedule(Promise.resolve(), 'ask')
    const center = keepers.find(keeper => Buffer.compare(keeper.id, effect.center) === 0) as TestCenter
    return await Promise.race([economy.askCenter(effect), (dead.get(center) as PromiseWithResolvers<never>).promise])
  }
}

test('two conflicting spends never get two certificates, whatever one keeper of four does', async () => {
  let certified = 0
  let conflicts = 0
  await fc.assert(fc.asyncProperty(fc.scheduler(), anyFault, fc.integer({ min: 1, max: 2 }), async (scheduler, fault, rounds) => {
    const askCenter = setUp(scheduler, fault)
    /** A payee that asks, and asks again with the votes it has. */
    const payee = async (input: Input): Promise<Input> => {
      for (let round = 0; round < rounds; round++) {
        const { inputs, states } = await drive(certify({ suite, registry: economy.registry, meter: economy.meter }, [input]), economy.ports(new MemoryStore()), askCenter)
        input = inputs[0]
        if (states[0].state === 'certified') certified += 1
        if (states[0].state === 'conflict') conflicts += 1
      }
      return input
    }
    const inputs = await scheduler.waitFor(Promise.all(fresh.map(payee)))
    expect(inputs.filter(input => isCertified(suite, economy.known, input.spend, input.votes)).length).toBeLessThanOrEqual(1)
  }), { numRuns: 100 })
  expect(certified).toBeGreaterThan(20)
  expect(conflicts).toBeGreaterThan(20)
})

test('two liars among four are one too many: their votes convict them', async () => {
  await fc.assert(fc.asyncProperty(fc.scheduler(), async scheduler => {
    const askCenter = setUp(scheduler, { kind: 'liar', keeper: 0 })
    keepers[1].answer = keepers[0].answer && (request => ({
      is: 'vote', vote: signVote(suite, keepers[1].voteKey, keepers[1].id, economy.known.ring.id, coinId(suite, owned.coin), spendOf(request).d)
    }))
    const [a, b] = await scheduler.waitFor(Promise.all(fresh.map(async input =>
      (await drive(certify({ suite, registry: economy.registry, meter: economy.meter }, [input]), economy.ports(new MemoryStore()), askCenter)).inputs[0])))
    const both = a.votes.filter(vote => b.votes.some(other => Buffer.compare(vote.center, other.center) === 0)).map(vote => vote.center)
    for (const center of both) expect([keepers[0].id, keepers[1].id]).toContainEqual(center)
  }), { numRuns: 20 })
})
