import { describe, expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Store } from '@mixmint/core/kit/ports'
import { drive, type Saga } from '@mixmint/core/kit/saga'
import type { Suite } from '@mixmint/core/crypto/suite'
import { lookMessage } from '@mixmint/core/cash/bank-requests'
import { CenterEngine } from '@mixmint/core/cash/center'
import { coinId } from '@mixmint/core/cash/coin'
import type { Spend } from '@mixmint/core/cash/formats'
import type { CenterReply } from '@mixmint/core/cash/messages'
import { signSpend, verifyDoubleSpend, verifyVote } from '@mixmint/core/cash/spend'
import { knownTime } from '@mixmint/core/cash/steady-clock'
import { createEconomy, DAY, HOUR, keyNamed, mint, never, suite, type OwnedCoin, type TestCenter } from '../doubles/economy.ts'
import { FaultyStore } from '../doubles/faulty-store.ts'
import { copyOf, MemoryStore } from '../doubles/memory-store.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { malleated, smallOrderKeys, smallOrderSignatures } from '../doubles/small-order.ts'

const D = suite.sha256(Uint8Array.of(1))
const E = suite.sha256(Uint8Array.of(2))

function setUp () {
  const economy = createEconomy()
  const owned = economy.mint(8)
  const center = economy.keepersOf(owned)[0]
  const spend = signSpend(suite, owned.key, owned.coin, D).spend
  const other = signSpend(suite, owned.key, owned.coin, E).spend
  const ask = async (spend: Spend, of: TestCenter = center): Promise<CenterReply> =>
    await drive(of.engine.handle({ op: 'spend', spend }), economy.ports(of.store), never)
  /** `vote`, `conflict` or the code of the refusal; a vote and a conflict are verified. */
  const said = async (spend: Spend, of: TestCenter = center): Promise<string> => {
    const reply = await ask(spend, of)
    if (reply.is === 'vote') verifyVote(suite, economy.known, spend, reply.vote)
    if (reply.is === 'conflict') verifyDoubleSpend(suite, economy.known, { first: reply.first, second: spend })
    return reply.is === 'refused' ? reply.code : reply.is
  }
  /** Let the center write its clock and look up its marks, so that only the insert is still to come. */
  const warm = async (): Promise<void> => {
    expect(await said({ ...spend, signature: new Uint8Array(64) })).toBe('bad-spend')
  }
  return { economy, owned, center, spend, other, ask, said, warm }
}

const settled = async (): Promise<void> => { for (let i = 0; i < 20; i++) await new Promise(resolve => setImmediate(resolve)) }

/** The suite, counting how often it verifies signatures. */
function counting (): Suite & { rsa: number, ed25519: number } {
  const counted = {
    ...suite,
    rsa: 0,
    ed25519: 0,
    rsaVerifyPss: (...args: Parameters<Suite['rsaVerifyPss']>) => { counted.rsa += 1; return suite.rsaVerifyPss(...args) },
    ed25519Verify: (...args: Parameters<Suite['ed25519Verify']>) => { counted.ed25519 += 1; return suite.ed25519Verify(...args) }
  }
  return counted
}

function countedEngine (economy: ReturnType<typeof createEconomy>, center: TestCenter): Suite & { rsa: number, ed25519: number } {
  const counted = counting()
  center.engine = new CenterEngine({ suite: counted, id: center.id, voteKeys: [center.voteKey], registry: () => economy.registry, meter: center.meter })
  return counted
}

describe('the first spend of a coin', () => {
  test('gets a vote, and the same vote again', async () => {
    const { ask, said, spend, center } = setUp()
    expect(await said(spend)).toBe('vote')
    expect(await ask(spend)).toEqual(await ask(spend))
    expect(center.meter.of('center_spend', { outcome: 'vote' })).toBe(3)
  })

  test('gets the same vote after a restart', async () => {
    const { economy, ask, spend, center } = setUp()
    const before = await ask(spend)
    economy.restart(center)
    expect(await ask(spend)).toEqual(before)
  })

  test('is verified once; repeating it costs no verification', async () => {
    const { economy, said, spend, center } = setUp()
    const counted = countedEngine(economy, center)
    await said(spend)
    expect([counted.rsa, counted.ed25519]).toEqual([1, 1])
    await said(spend)
    expect([counted.rsa, counted.ed25519]).toEqual([1, 1])
  })
})

describe('another spend of the coin', () => {
  test('is answered with the first, which proves a double spend', async () => {
    const { said, ask, spend, other, center } = setUp()
    await said(spend)
    expect(await said(other)).toBe('conflict')
    expect(await ask(other)).toEqual({ is: 'conflict', first: spend })
    expect(await said(spend)).toBe('vote')
    expect(center.meter.of('center_spend', { outcome: 'conflict' })).toBe(2)
  })

  test('has to be the owner\'s: nobody else learns about the coin', async () => {
    const { said, spend, other } = setUp()
    await said(spend)
    expect(await said({ ...other, signature: spend.signature })).toBe('bad-spend')
    expect(await said({ ...spend, signature: other.signature })).toBe('bad-spend')
    expect(await said({ ...spend, signature: malleated(spend.signature) })).toBe('bad-spend')
  })

  test('at the same moment: one wins, and all are told which', async () => {
    const { owned, ask } = setUp()
    const spends = Array.from({ length: 20 }, (_, i) => signSpend(suite, owned.key, owned.coin, suite.sha256(Uint8Array.of(i))).spend)
    const replies = await Promise.all([...spends, ...spends].map(async spend => await ask(spend)))
    const winners = spends.filter((_, i) => replies[i].is === 'vote')
    expect(winners.length).toBe(1)
    replies.forEach((reply, i) => {
      if (spends[i % 20] === winners[0]) expect(reply.is).toBe('vote')
      else expect(reply).toEqual({ is: 'conflict', first: winners[0] })
    })
  })
})

describe('refused, and nothing stored', () => {
  const refused = async (of: (set: ReturnType<typeof setUp>) => Spend, code: string, signatures: number): Promise<void> => {
    const set = setUp()
    const counted = countedEngine(set.economy, set.center)
    expect(await set.said(of(set))).toBe(code)
    expect(set.center.meter.of('center_spend', { outcome: code })).toBe(1)
    expect(counted.rsa + counted.ed25519).toBe(signatures)
    expect((await set.center.store.scan({ prefix: Buffer.from('spend'), limit: 9 })).length).toBe(0)
    expect(await set.said(set.spend)).toBe('vote')
  }
  /** A coin of this shape that the center would keep. */
  const kept = ({ economy, center }: ReturnType<typeof setUp>, make: () => OwnedCoin): OwnedCoin => {
    for (;;) {
      const owned = make()
      if (economy.keepersOf(owned).includes(center)) return owned
    }
  }

  test('an unknown keyset', async () => {
    await refused(({ economy }) => { const { coin, key } = mint(economy.rng.bytes(32), E, 8); return signSpend(suite, key, coin, D).spend }, 'unknown-keyset', 0)
  })
  test('a value that the keyset does not have', async () => {
    await refused(({ spend, economy, center }) => {
      // Said before the center looks whether it would keep such a coin, which it would not.
      const coins = [3, 5, 6, 7, 9, 10, 11, 12].map(value => ({ ...spend.coin, value }))
      return { ...spend, coin: coins.find(coin => !economy.keepersOf({ coin }).includes(center)) ?? coins[0] }
    }, 'unknown-denomination', 0)
  })
  test('a coin of other keepers', async () => {
    await refused(({ economy, center }) => {
      for (;;) {
        const owned = economy.mint(1)
        if (!economy.keepersOf(owned).includes(center)) return signSpend(suite, owned.key, owned.coin, D).spend
      }
    }, 'not-a-keeper', 0)
  })
  test('a coin that the bank has not signed', async () => {
    await refused(set => {
      const { coin, key } = kept(set, () => {
        const { coin, key } = set.economy.mint(8)
        return { coin: { ...coin, signature: set.economy.rng.bytes(256) }, key }
      })
      return signSpend(suite, key, coin, D).spend
    }, 'bad-coin', 1)
  })
  test('a spend that the coin has not signed', async () => {
    await refused(({ spend, other }) => ({ ...spend, signature: other.signature }), 'bad-spend', 2)
  })
  test('a spend by a coin whose key is of small order', async () => {
    await refused(set => {
      const { coin } = kept(set, () => set.economy.mintFor(smallOrderKeys[0], 1 << Math.floor(set.economy.rng.bytes(1)[0] / 32)))
      return { coin, d: D, signature: smallOrderSignatures[0] }
    }, 'bad-spend', 2)
  })
})

describe('dates', () => {
  test('new spends until spendUntil, known ones until redeemUntil', async () => {
    const { economy, said, spend, other, center } = setUp()
    const { spendUntil, redeemUntil } = economy.signedKeyset.keyset
    const late = economy.mint(8)
    const lateCenter = economy.keepersOf(late)[0]
    const lateSpend = signSpend(suite, late.key, late.coin, D).spend
    economy.clock.set(spendUntil - 1)
    expect(await said(spend)).toBe('vote')
    economy.clock.set(spendUntil)
    expect(await said(lateSpend, lateCenter)).toBe('keyset-closed')
    expect(await said(spend)).toBe('vote')
    expect(await said(other)).toBe('conflict')
    economy.clock.set(redeemUntil - 1)
    expect(await said(spend)).toBe('vote')
    expect(await said(other)).toBe('conflict')
    economy.clock.set(redeemUntil)
    expect(await said(spend)).toBe('keyset-ended')
    expect(await said(other)).toBe('keyset-ended')
    expect(center.meter.of('center_spend', { outcome: 'keyset-ended' })).toBe(2)
  })

  test('a clock set back reopens nothing, even after a restart', async () => {
    const { economy, said, spend, center } = setUp()
    const { spendUntil } = economy.signedKeyset.keyset
    economy.clock.set(spendUntil + DAY)
    expect(await said(spend)).toBe('keyset-closed')
    economy.clock.set(spendUntil - DAY)
    expect(await said(spend)).toBe('keyset-closed')
    economy.restart(center)
    expect(await said(spend)).toBe('keyset-closed')
  })

  test('nor does it bring back a keyset that has ended', async () => {
    const { economy, said, spend, center } = setUp()
    const { redeemUntil } = economy.signedKeyset.keyset
    await said(spend)
    economy.clock.set(redeemUntil)
    expect(await said(spend)).toBe('keyset-ended')
    economy.clock.set(redeemUntil - DAY)
    expect(await said(spend)).toBe('keyset-ended')
    economy.restart(center)
    expect(await said(spend)).toBe('keyset-ended')
  })

  test('nor is a keyset open again for the last second, which the steady clock may lose: closing is a mark of its own', async () => {
    const { economy, said, warm, spend, center } = setUp()
    const { spendUntil } = economy.signedKeyset.keyset
    economy.clock.set(spendUntil - 500)
    await warm()
    economy.clock.set(spendUntil)
    expect(await said(spend)).toBe('keyset-closed')
    economy.clock.set(spendUntil - 400)
    economy.restart(center)
    expect(await said(spend)).toBe('keyset-closed')
  })
})

describe('the promise is durable before it is given', () => {
  test('no reply while the insert is under way', async () => {
    const { center, ask, warm, spend } = setUp()
    const gate = Promise.withResolvers<void>()
    await warm()
    center.store = new FaultyStore(center.store, { after: async operation => { if (operation === 'batch') await gate.promise } })
    let reply: CenterReply | undefined
    const asked = ask(spend).then(answer => { reply = answer })
    await settled()
    expect(reply).toBeUndefined()
    gate.resolve()
    await asked
    expect(reply?.is).toBe('vote')
  })

  test('no vote when the store fails, and the coin is not lost', async () => {
    const { economy, center, said, ask, warm, spend, other } = setUp()
    await warm()
    const healthy = center.store
    for (const applied of [false, true]) {
      const fail = async (operation: string): Promise<void> => {
        if (operation === 'batch') throw new MixmintError('store-failed', 'operator', 'disk /dev/x failed', { retry: true })
      }
      center.store = new FaultyStore(healthy, applied ? { after: fail } : { before: fail })
      expect(await ask(spend)).toMatchObject({ is: 'refused', code: 'store-failed', fault: 'operator', retry: true })
    }
    center.store = healthy
    economy.restart(center)
    expect(await said(other)).toBe('conflict')
    expect(await said(spend)).toBe('vote')
  })

  test('whatever the operation at which it crashes, done or lost: what it said before holds after', async () => {
    for (const lost of [true, false]) {
      for (let at = 0; at < 8; at++) {
        const { economy, center, said, spend, other } = setUp()
        const disk: Store = new MemoryStore()
        let count = 0
        const crash = async (): Promise<void> => { if (count++ >= at) await new Promise(() => {}) }
        center.store = new FaultyStore(disk, lost ? { before: crash } : { after: crash })
        let before = 'nothing'
        said(spend).then(answer => { before = answer }, () => {})
        await settled()
        center.store = disk
        economy.restart(center)
        const [second, first] = [await said(other), await said(spend)]
        if (before === 'vote') expect([second, first]).toEqual(['conflict', 'vote'])
        else expect([second, first].toSorted()).toEqual(['conflict', 'vote'])
      }
    }
  })
})

test('a center whose vote key is not the one on the ring says so instead of giving votes that nobody can count', async () => {
  const { economy, center, said, spend } = setUp()
  const meter = new CountingMeter()
  center.engine = new CenterEngine({ suite, id: center.id, voteKeys: [economy.payee], registry: () => economy.registry, meter })
  expect(await said(spend)).toBe('ring-vote-key')
  expect(await center.store.scan({ prefix: Buffer.from('spend'), limit: 9 })).toEqual([])
})

describe('a center whose store is one of before', () => {
  test('repeats what it still knows, votes for no other coin under a key of then, also after a restart, and does under a new one', async () => {
    const { economy, owned, center, spend, other, said } = setUp()
    expect(await said(spend)).toBe('vote')
    const copy = await copyOf(center.store)
    const lost = mintFor(economy, center)
    const [first, second] = [D, E].map(d => signSpend(suite, lost.key, lost.coin, d).spend)
    expect(await said(first)).toBe('vote')
    economy.clock.advance(HOUR)

    center.store = copy
    economy.restart(center)
    const tell = async <T>(saga: Saga<T>): Promise<T> => await drive(saga, economy.ports(center.store), never)
    const known = await tell(knownTime())
    await expect(tell(center.engine.declareLoss(economy.clock.now() + HOUR))).rejects.toMatchObject({ code: 'bad-argument' })
    // By that it is told from the right one.
    expect(await tell(knownTime())).toBe(known)
    await tell(center.engine.declareLoss(economy.clock.now()))
    for (let i = 0; i < 2; i++) {
      // It would have voted twice.
      expect(await said(second)).toBe('center-forgot')
      expect(await said(first)).toBe('center-forgot')
      expect(await said(spend)).toBe('vote')
      expect(await said(other)).toBe('conflict')
      const look = async (coin: OwnedCoin): Promise<CenterReply> => await tell(center.engine.handle({ op: 'look', coin: coin.coin, signature: suite.ed25519Sign(coin.key, lookMessage(coinId(suite, coin.coin))) }))
      expect(await look(owned)).toMatchObject({ is: 'recorded', spend })
      expect(await look(lost)).toMatchObject({ is: 'refused', code: 'center-forgot' })
      economy.restart(center)
    }
    // One that was made for rings to come has not voted, whether it was made before or after that was said.
    const fresh = keyNamed('new vote key')
    center.engine = new CenterEngine({ suite, id: center.id, voteKeys: [fresh, center.voteKey], registry: () => economy.registry, meter: center.meter })
    await tell(center.engine.declareLoss(economy.clock.now()))
    expect([...await tell(center.engine.silent())]).toEqual([toHex(center.voteKey.publicKey)])
    economy.clock.advance(HOUR)
    await tell(center.engine.declareLoss(economy.clock.now()))
    expect([...await tell(center.engine.silent())]).toEqual([toHex(center.voteKey.publicKey)])
  })
})


/** A coin that this center keeps, too. */
function mintFor (economy: ReturnType<typeof createEconomy>, center: TestCenter): OwnedCoin {
  for (;;) {
    const coin = economy.mint(8)
    if (economy.keepersOf(coin).includes(center)) return coin
  }
}
