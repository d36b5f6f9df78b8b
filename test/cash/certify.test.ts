import { describe, expect, test } from 'vitest'
import { MixmintError } from '@mixmint/core/kit/errors'
import { drive } from '@mixmint/core/kit/saga'
import { certify, type AskCenter, type Collected } from '@mixmint/core/cash/certify'
import { coinId } from '@mixmint/core/cash/coin'
import type { Input } from '@mixmint/core/cash/formats'
import type { CenterReply } from '@mixmint/core/cash/messages'
import { isCertified, signSpend, signVote } from '@mixmint/core/cash/spend'
import { createEconomy, suite, type Economy, type OwnedCoin, type TestCenter } from '../doubles/economy.ts'

const D = suite.sha256(Uint8Array.of(1))
const E = suite.sha256(Uint8Array.of(2))

function setUp () {
  const economy = createEconomy()
  const owned = economy.mint(8)
  const input = signSpend(suite, owned.key, owned.coin, D)
  const keepers = economy.keepersOf(owned)
  const collect = async (...inputs: Input[]): Promise<Collected> => await economy.run(certify({ suite, registry: economy.registry, meter: economy.meter }, inputs))
  const vote = (center: TestCenter, d = input.spend.d, key = center.voteKey) => signVote(suite, key, center.id, economy.known.ring.id, coinId(suite, owned.coin), d)
  return { economy, owned, input, keepers, collect, vote, second: signSpend(suite, owned.key, owned.coin, E) }
}

const sign = ({ coin, key }: OwnedCoin): Input => signSpend(suite, key, coin, D)
const answers = (economy: Economy, kind: string): number => economy.meter.of('keeper_answer', { kind })
const settled = async (): Promise<void> => { for (let i = 0; i < 20; i++) await new Promise(resolve => setImmediate(resolve)) }
const unreachableAfterTheOthers = async (): Promise<never> => {
  await settled()
  throw new MixmintError('unreachable', 'peer', 'the center is down', { retry: true })
}
const REFUSED = { is: 'refused', code: 'keyset-closed', fault: 'peer', retry: false, message: '' } as const

describe('certified', () => {
  test('with the votes of a quorum', async () => {
    const { economy, input, collect } = setUp()
    const { inputs: [got], states: [state] } = await collect(input)
    expect(state).toEqual({ coin: coinId(suite, input.spend.coin), state: 'certified', first: null, code: '' })
    expect(isCertified(suite, economy.known, got.spend, got.votes)).toBe(true)
    expect({ ...got, votes: [] }).toEqual(input)
  })

  test('with one keeper down, or lying', async () => {
    const { keepers, input, collect } = setUp()
    keepers[0].down = true
    expect((await collect(input)).states[0].state).toBe('certified')
  })

  test('all coins and keepers are asked at once, and the slow fourth is not waited for', async () => {
    const { economy } = setUp()
    const coins = [1, 2, 4].map(value => economy.mint(value))
    const pending: Array<{ effect: AskCenter, reply: (reply: CenterReply) => void }> = []
    const collected = drive(certify({ suite, registry: economy.registry, meter: economy.meter }, coins.map(sign)), economy.ports(economy.centers[0].store),
      async effect => await new Promise<CenterReply>(resolve => { pending.push({ effect, reply: resolve }) }))
    expect(pending.length).toBe(12)
    for (const { effect, reply } of pending.filter((_, i) => i % 4 !== 2)) reply(await economy.askCenter(effect))
    const { inputs, states } = await collected
    expect(states.map(state => state.state)).toEqual(['certified', 'certified', 'certified'])
    expect(inputs.map(input => input.votes.map(vote => vote.center))).toEqual(coins.map(coin =>
      economy.keepersOf(coin).filter((_, i) => i !== 2).map(center => center.id)))
  })

  test('each ask carries the time that the network allows for it', async () => {
    const { economy, input } = setUp()
    const times: number[] = []
    await drive(certify({ suite, registry: economy.registry, meter: economy.meter }, [input]), economy.ports(economy.centers[0].store), async effect => {
      times.push(effect.timeout)
      return await economy.askCenter(effect)
    })
    expect(new Set(times)).toEqual(new Set([economy.parameters.keeperTimeout]))
  })
})

describe('votes that the input brings', () => {
  test('are enough when they are a quorum: nobody is asked', async () => {
    const { economy, keepers, input, collect, vote } = setUp()
    const { inputs: [got], states } = await collect({ ...input, votes: keepers.slice(1).map(keeper => vote(keeper)) })
    expect(states[0].state).toBe('certified')
    expect(got.votes.length).toBe(3)
    expect(economy.centers.map(center => center.asked)).toEqual(economy.centers.map(() => 0))
  })

  test('are kept, and their keepers not asked again', async () => {
    const { keepers, input, collect, vote } = setUp()
    keepers[0].down = keepers[1].down = true
    expect((await collect({ ...input, votes: [vote(keepers[0])] })).states[0].state).toBe('certified')
    expect(keepers.map(keeper => keeper.asked)).toEqual([0, 0, 1, 1])
  })

  test('do not count when they are not valid, and are thrown away', async () => {
    const { economy, keepers, input, collect, vote } = setUp()
    for (const keeper of keepers.slice(2)) keeper.answer = unreachableAfterTheOthers
    const stranger = economy.centers.find(center => !keepers.includes(center)) as TestCenter
    const { inputs: [got], states } = await collect({
      ...input,
      votes: [vote(keepers[2], E), vote(keepers[3], input.spend.d, economy.payee), vote(stranger), vote(keepers[0]), vote(keepers[0])]
    })
    expect(states[0].state).toBe('unavailable')
    expect(got.votes.map(vote => vote.center)).toEqual([keepers[0].id, keepers[1].id])
  })

  test('of an earlier try and this one make a certificate together', async () => {
    const { keepers, input, collect } = setUp()
    keepers[0].answer = keepers[1].answer = unreachableAfterTheOthers
    const first = await collect(input)
    expect(first.states[0].state).toBe('unavailable')
    keepers[1].answer = null
    keepers[2].down = keepers[3].down = true
    expect((await collect(first.inputs[0])).states[0].state).toBe('certified')
  })
})

describe('unavailable', () => {
  test('when a quorum can no longer be reached; the rest is not waited for', async () => {
    const { economy, keepers, input } = setUp()
    keepers[0].down = keepers[1].down = true
    const slow = async (effect: AskCenter): Promise<CenterReply> => effect.center === keepers[3].id ? await new Promise(() => {}) : await economy.askCenter(effect)
    const { states } = await drive(certify({ suite, registry: economy.registry, meter: economy.meter }, [input]), economy.ports(economy.centers[0].store), slow)
    expect(states[0]).toMatchObject({ state: 'unavailable', first: null, code: '' })
    expect(answers(economy, 'silent')).toBe(2)
  })

  test('and the rest is waited for where all are to be heard: one of them may know of another spend', async () => {
    const { economy, keepers, input, second } = setUp()
    await economy.run(certify({ suite, registry: economy.registry, meter: economy.meter }, [second]))
    keepers[0].down = keepers[1].down = true
    const collector = { suite, registry: economy.registry, meter: economy.meter }
    expect((await economy.run(certify(collector, [input]))).states[0].state).toBe('unavailable')
    expect((await economy.run(certify({ ...collector, hearAll: true }, [input]))).states[0].state).toBe('conflict')
  })

  test('when centers have a fault of their own: that says nothing about the coin', async () => {
    const { economy, keepers, input, collect } = setUp()
    keepers[0].answer = keepers[1].answer = () => ({ ...REFUSED, code: 'store-full', fault: 'operator' })
    expect((await collect(input)).states[0]).toMatchObject({ state: 'unavailable', code: '' })
    expect(answers(economy, 'failing')).toBe(2)
  })

  test('when as many refuse as may lie, and another is silent', async () => {
    const { keepers, input, collect } = setUp()
    keepers[0].answer = () => REFUSED
    keepers[1].down = true
    expect((await collect(input)).states[0]).toMatchObject({ state: 'unavailable', code: '' })
  })

  test('one coin does not hold up the others', async () => {
    const { economy, keepers, input, collect, owned } = setUp()
    keepers[0].down = keepers[1].down = true
    let other = economy.mint(4)
    while (economy.keepersOf(other).filter(center => center.down).length > 1) other = economy.mint(4)
    const { states } = await collect(input, sign(other))
    expect(states.map(state => state.state)).toEqual(['unavailable', 'certified'])
    expect(states[0].coin).toEqual(coinId(suite, owned.coin))
  })
})

describe('conflict', () => {
  test('when a keeper shows the earlier spend', async () => {
    const { economy, input, second, collect } = setUp()
    await collect(second)
    const { states } = await collect(input)
    expect(states[0]).toMatchObject({ state: 'conflict', first: second.spend, code: '' })
    expect(answers(economy, 'conflict')).toBeGreaterThanOrEqual(2)
  })

  test('is not believed without a proof', async () => {
    const { economy, input, second, keepers, collect } = setUp()
    const other = economy.mint(8)
    const forged = [
      { ...second.spend, signature: input.spend.signature },
      signSpend(suite, other.key, other.coin, E).spend,
      input.spend,
      { ...second.spend, coin: { ...second.spend.coin, signature: new Uint8Array(256) } }
    ]
    for (const [i, first] of forged.entries()) {
      for (const keeper of keepers) keeper.answer = () => ({ is: 'conflict', first })
      expect((await collect(input)).states[0]).toMatchObject({ state: 'unavailable', first: null })
      expect(answers(economy, 'garbage')).toBeGreaterThanOrEqual(2 * (i + 1))
    }
  })

  test('shown by one keeper does not undo a certificate of the others', async () => {
    const { keepers, input, second, collect } = setUp()
    keepers[0].answer = () => ({ is: 'conflict', first: second.spend })
    expect((await collect(input)).states[0].state).toBe('certified')
  })
})

describe('refused', () => {
  test('by more keepers than may lie', async () => {
    const { economy, keepers, input, collect } = setUp()
    keepers[0].answer = keepers[2].answer = () => REFUSED
    expect((await collect(input)).states[0]).toMatchObject({ state: 'refused', code: 'keyset-closed' })
    expect(answers(economy, 'refused')).toBe(2)
  })

  test('by all, once the keyset is closed', async () => {
    const { economy, input, collect } = setUp()
    economy.clock.set(economy.signedKeyset.keyset.spendUntil)
    expect((await collect(input)).states[0]).toMatchObject({ state: 'refused', code: 'keyset-closed' })
  })

  test.each([
    ['an unknown keyset', (input: Input): Input => ({ ...input, spend: { ...input.spend, coin: { ...input.spend.coin, keyset: D } } }), 'unknown-keyset'],
    ['an unknown value', (input: Input): Input => ({ ...input, spend: { ...input.spend, coin: { ...input.spend.coin, value: 3 } } }), 'unknown-denomination'],
    ['no coin', (input: Input): Input => ({ ...input, spend: { ...input.spend, coin: { ...input.spend.coin, signature: new Uint8Array(256) } } }), 'bad-coin'],
    ['no spend', (input: Input): Input => ({ ...input, spend: { ...input.spend, d: D } }), 'bad-spend']
  ])('%s, without asking anybody', async (_, change, code) => {
    const { economy, input, collect } = setUp()
    const { inputs, states } = await collect(change({ ...input, votes: [] }))
    expect(states[0]).toMatchObject({ state: 'refused', code })
    expect(inputs[0].votes).toEqual([])
    expect(economy.centers.every(center => center.asked === 0)).toBe(true)
  })

  test('a coin that is there a second time, whatever its signature or contract', async () => {
    const { input, second, collect } = setUp()
    const again = { ...input, spend: { ...input.spend, coin: { ...input.spend.coin, signature: new Uint8Array(256) } } }
    const { states } = await collect(input, input, second, again)
    expect(states.map(state => state.state)).toEqual(['certified', 'refused', 'refused', 'refused'])
    expect(states.slice(1).map(state => state.code)).toEqual(['duplicate-coin', 'duplicate-coin', 'duplicate-coin'])
  })
})

describe('garbage from a keeper counts as no answer', () => {
  test.each([
    ['a vote for another spend', ({ vote, keepers }: ReturnType<typeof setUp>) => ({ is: 'vote', vote: vote(keepers[0], E) })],
    ['a vote signed by another key', ({ vote, keepers, economy, input }: ReturnType<typeof setUp>) => ({ is: 'vote', vote: vote(keepers[0], input.spend.d, economy.payee) })],
    ['the vote of another keeper', ({ vote, keepers }: ReturnType<typeof setUp>) => ({ is: 'vote', vote: vote(keepers[1]) })]
  ])('%s', async (_, reply) => {
    const set = setUp()
    const { economy, keepers, input, collect } = set
    keepers[0].answer = () => reply(set) as CenterReply
    keepers[2].down = true
    const { inputs: [got], states } = await collect(input)
    expect(states[0].state).toBe('unavailable')
    expect(got.votes.map(vote => vote.center)).not.toContainEqual(keepers[0].id)
    expect(answers(economy, 'garbage')).toBe(1)
  })

  test('bytes that are no reply', async () => {
    const { economy, keepers, input, collect } = setUp()
    keepers[0].answer = () => { throw new MixmintError('bad-encoding', 'peer', 'no') }
    expect((await collect(input)).states[0].state).toBe('certified')
    await settled()
    expect(answers(economy, 'garbage')).toBe(1)
  })

  test('a defect of ours is no peer\'s garbage: it comes out', async () => {
    const { keepers, input, collect } = setUp()
    for (const keeper of keepers) keeper.answer = () => { throw new TypeError('defect') }
    await expect(collect(input)).rejects.toThrow('defect')
  })
})
