import { describe, expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import type { MixEffect, MixEngine } from '@mixmint/mixnet/mixing/engine'
import { longestDelay, poissonDelay } from '@mixmint/mixnet/mixing/poisson'
import type { PacketAddress } from '@mixmint/mixnet/sphinx/address'
import { seededRng } from '../doubles/rng.ts'
import { ksOneSample } from '../reference/statistics.ts'
import { engineWith, KEY, NEXT, packet, ready, rng, runOut, turn } from './engine-material.ts'
import { blockOf, chance, exitFor, HERE, keyOf, linkOf, MEAN, packetFor, peerOf, replyFor } from './mix-material.ts'

describe('what becomes of a packet', () => {
  test('forwarded to the next hop, one layer off, after a wait', () => {
    const engine = ready()
    expect(engine.handle(packet(packetFor(KEY, NEXT)), 100, rng)).toEqual([])
    expect(engine.counts()).toEqual({ received: 1, forwarded: 0, delivered: 0, queued: 1, dropped: {} })
    const due = engine.nextDeadline() as number
    expect(due).toBeGreaterThan(100)
    expect(engine.handle({ kind: 'timer' }, due - 0.01, rng)).toEqual([])
    const [effect] = engine.handle({ kind: 'timer' }, due, rng)
    expect(effect).toMatchObject({ kind: 'forward', to: { multiaddr: '/ip4/192.0.2.7/tcp/4001', client: null } })
    expect(effect.kind === 'forward' && [effect.to.peer, effect.packet.length]).toEqual([peerOf('next'), 4608])
    expect(engine.counts()).toEqual({ received: 1, forwarded: 1, delivered: 0, queued: 0, dropped: {} })
    expect(engine.nextDeadline()).toBeUndefined()
  })

  test('delivered or handed over as a reply at once when its path ends here', () => {
    const engine = ready()
    const message = chance.bytes(3968)
    expect(engine.handle(packet(exitFor(KEY, message)), 0, rng)).toEqual([{ kind: 'deliver', message }])
    const surbId = chance.bytes(16)
    const [reply] = engine.handle(packet(replyFor(KEY, surbId, message)), 0, rng)
    expect(reply).toMatchObject({ kind: 'reply', surbId })
    expect(reply.kind === 'reply' && reply.payload.length).toBe(3984)
    expect(engine.counts()).toMatchObject({ received: 2, delivered: 2 })
  })

  test('whatever it becomes, nothing of the packet itself is kept: it was only lent', () => {
    const engine = ready()
    const message = chance.bytes(3968)
    const surbId = chance.bytes(16)
    const forward = packetFor(KEY, NEXT)
    const expected: MixEffect[] = []
    engine.handle(packet(forward.slice()), 0, rng)
    runOut(engine, effect => expected.push(effect))
    const again = ready()
    const effects = [forward, exitFor(KEY, message), replyFor(KEY, surbId, message)].flatMap(bytes => {
      const now = again.handle(packet(bytes), 0, rng)
      bytes.fill(0xee)
      return now
    })
    runOut(again, effect => effects.push(effect))
    expect(effects[0]).toEqual({ kind: 'deliver', message })
    expect(effects[1]).toMatchObject({ kind: 'reply', surbId })
    expect(effects[2]).toEqual(expected[0])
  })

  test('for a wallet, when its block names us as the gateway and the packet came from where it may', () => {
    const wallet = (engine: MixEngine, gateway: string): MixEffect[] => {
      const effects: MixEffect[] = []
      engine.handle(packet(packetFor(KEY, blockOf(gateway, 'wallet'))), 0, rng)
      runOut(engine, effect => effects.push(effect))
      return effects
    }
    const engine = ready({}, { mayForward: () => false })
    expect(wallet(engine, 'mix')).toMatchObject([{ kind: 'to-wallet', wallet: peerOf('wallet') }])
    expect(wallet(engine, 'another gateway')).toEqual([])
    const closed = ready({}, { mayReachWallet: from => from !== linkOf('before') })
    expect(wallet(closed, 'mix')).toEqual([])
    expect(closed.counts().dropped).toEqual({ topology: 1 })
  })

  test.each<[string, () => Uint8Array]>([
    ['size', () => packetFor(KEY, NEXT).subarray(1)],
    ['size', () => packetFor(KEY, NEXT, { message: new Uint8Array(3967) })],
    ['size', () => packetFor(KEY, NEXT, { message: new Uint8Array(860) })],
    ['alpha', () => new Uint8Array(4608)],
    ['mac', () => chance.bytes(4608).fill(9, 31, 32)],
    ['mac', () => packetFor(keyOf(2), NEXT)],
    ['payload', () => { const p = exitFor(KEY, new Uint8Array(3968)); p[4000] ^= 1; return p }],
    ['delay', () => packetFor(KEY, NEXT, { delay: MEAN - 1 })],
    ['delay', () => packetFor(KEY, NEXT, { delay: MEAN + 1 })],
    ['delay', () => packetFor(KEY, NEXT, { delay: 0 })],
    ['address', () => packetFor(KEY, new Uint8Array(94))],
    ['address', () => packetFor(KEY, new Uint8Array(94).fill(7))],
    ['exit-refused', () => exitFor(KEY, new Uint8Array(3968), blockOf('elsewhere'))]
  ])('dropped as %s', (reason, make) => {
    const engine = ready()
    expect(engine.handle(packet(make()), 0, rng)).toEqual([])
    expect(engine.counts()).toEqual({ received: 1, forwarded: 0, delivered: 0, queued: 0, dropped: { [reason]: 1 } })
  })

  test('where no mean is prescribed, waits with the mean that it asks for, up to the most', () => {
    const engine = ready({ meanDelay: { most: 400 } })
    const own = seededRng('own means')
    for (const delay of [0, 401, 65535]) expect(engine.handle(packet(packetFor(KEY, NEXT, { delay })), 0, own)).toEqual([])
    expect(engine.counts()).toMatchObject({ queued: 0, dropped: { delay: 3 } })
    const means = [1, 40, 400]
    const waits = means.map(delay => Array.from({ length: 150 }, () => {
      const one = ready({ meanDelay: { most: 400 } })
      one.handle(packet(packetFor(KEY, NEXT, { delay })), 0, own)
      return one.nextDeadline() ?? 0
    }))
    means.forEach((mean, i) => { expect(ksOneSample(waits[i], x => 1 - Math.exp(-x / mean))).toBeGreaterThan(0.001) })
  })

  test('for a node behind a relay goes to that node, where the topology has it so', () => {
    const asked: Array<[string, string | null]> = []
    const engine = ready({}, { mayForward: (_, to, relay) => { asked.push([to, relay]); return relay !== null }, mayReachWallet: () => false })
    engine.handle(packet(packetFor(KEY, blockOf('relay', 'next'))), 0, rng)
    engine.handle(packet(packetFor(KEY, NEXT)), 0, rng)
    expect(asked).toEqual([[linkOf('next'), linkOf('relay')], [linkOf('next'), null]])
    expect(engine.counts()).toMatchObject({ queued: 1, dropped: { topology: 1 } })
    const effects: MixEffect[] = []
    runOut(engine, effect => effects.push(effect))
    expect(effects).toMatchObject([{ kind: 'forward', to: { peer: peerOf('relay'), client: peerOf('next') } }])
    engine.handle(packet(packetFor(KEY, blockOf('mix', 'next'))), 0, rng)
    expect(asked).toHaveLength(2)
  })

  test('of the size of its network, whichever that is', () => {
    for (const size of [1500, 8192]) {
      const engine = ready({ packetSize: size })
      const effects = engine.handle(packet(exitFor(KEY, new Uint8Array(size - 640))), 0, rng)
      expect(effects.map(effect => effect.kind === 'deliver' && effect.message.length)).toEqual([size - 640])
      engine.handle(packet(exitFor(KEY, new Uint8Array(3968))), 0, rng)
      expect(engine.counts()).toMatchObject({ delivered: 1, dropped: { size: 1 } })
    }
  })

  test('an exit: to the destinations that it is one for, and never to itself', () => {
    const asked: string[] = []
    const exits = ({ peer, multiaddr }: PacketAddress): boolean => {
      asked.push(multiaddr)
      return toHex(peer) !== linkOf('refused')
    }
    const engine = engineWith({}, {}, { exits })
    engine.handle({ kind: 'install', key: KEY }, 0, rng)
    const to = (destination: Uint8Array): MixEffect[] => engine.handle(packet(exitFor(KEY, new Uint8Array(3968).fill(1), destination)), 0, rng)
    expect(to(blockOf('elsewhere'))).toEqual([{ kind: 'exit', message: new Uint8Array(3968).fill(1), destination: { multiaddr: '/ip4/192.0.2.7/tcp/4001', peer: peerOf('elsewhere'), client: null } }])
    expect(to(blockOf('relay', 'elsewhere'))).toMatchObject([{ kind: 'exit', destination: { peer: peerOf('relay'), client: peerOf('elsewhere') } }])
    expect(asked).toHaveLength(2)
    for (const self of [blockOf('mix'), blockOf('relay', 'mix')]) expect(to(self)).toEqual([])
    expect(asked).toHaveLength(2)
    expect(to(blockOf('refused'))).toEqual([])
    expect(to(new Uint8Array(94).fill(1))).toEqual([])
    expect(to(HERE)).toMatchObject([{ kind: 'deliver' }])
    expect(engine.counts()).toMatchObject({ received: 7, delivered: 3, dropped: { 'exit-refused': 3, address: 1 } })
  })

  test('dropped when the topology has no such link', () => {
    const engine = ready({}, { mayForward: (from, to) => from === linkOf('before') && to === linkOf('next') })
    engine.handle(packet(packetFor(KEY, NEXT)), 0, rng)
    expect(engine.counts()).toMatchObject({ queued: 1, dropped: {} })
    engine.handle(packet(packetFor(KEY, NEXT), linkOf('a stranger')), 0, rng)
    engine.handle(packet(packetFor(KEY, blockOf('skipping a layer'))), 0, rng)
    expect(engine.counts()).toMatchObject({ queued: 1, dropped: { topology: 2 } })
  })

  test('dropped when it comes again, also after a restart that kept the tags', () => {
    const engine = ready()
    const bytes = packetFor(KEY, NEXT)
    for (let i = 0; i < 3; i++) engine.handle(packet(bytes), 0, rng)
    expect(engine.counts()).toMatchObject({ queued: 1, dropped: { replay: 2 } })
    expect(engine.seenCount(1)).toBe(1)

    const again = engineWith()
    again.handle({ kind: 'install', key: { ...KEY, seen: engine.seenSince(1, 0) } }, 0, rng)
    again.handle(packet(bytes), 0, rng)
    expect(again.counts()).toMatchObject({ queued: 0, dropped: { replay: 1 } })
  })

  test('dropped when no more tags can be kept: nothing is forgotten', () => {
    const engine = ready({ replayLimit: 2 })
    const first = packetFor(KEY, NEXT)
    for (const bytes of [first, packetFor(KEY, NEXT), packetFor(KEY, NEXT), first]) engine.handle(packet(bytes), 0, rng)
    expect(engine.counts()).toMatchObject({ queued: 2, dropped: { 'replay-full': 1, replay: 1 } })
  })

  test('dropped when the queue is full; an exit needs no room in it', () => {
    const engine = ready({ queueLimit: 2 })
    for (let i = 0; i < 3; i++) engine.handle(packet(packetFor(KEY, NEXT)), 0, rng)
    engine.handle(packet(exitFor(KEY, new Uint8Array(3968))), 0, rng)
    expect(engine.counts()).toMatchObject({ received: 4, queued: 2, delivered: 1, dropped: { 'queue-full': 1 } })
  })
})

describe('keys', () => {
  const [one, two, three] = [keyOf(1, 0, 300), keyOf(2, 100, 400), keyOf(3, 300, 500)]

  test('several are live at once, each within its dates', () => {
    const engine = engineWith()
    for (const key of [one, two, three]) engine.handle({ kind: 'install', key }, 0, rng)
    const opens = (key: typeof one, now: number): boolean => {
      const before = engine.counts().queued
      const { mac = 0 } = engine.counts().dropped
      engine.handle(packet(packetFor(key, NEXT)), now, rng)
      runOut(engine)
      expect((engine.counts().dropped.mac ?? 0) + engine.counts().queued).toBeLessThanOrEqual(before + mac + 1)
      return (engine.counts().dropped.mac ?? 0) === mac
    }
    const live = (now: number): boolean[] => [one, two, three].map(key => opens(key, now))
    expect(live(99.9)).toEqual([true, false, false])
    expect(live(100)).toEqual([true, true, false])
    expect(live(299.9)).toEqual([true, true, false])
    expect(live(300)).toEqual([false, true, true])
    expect(live(450)).toEqual([false, false, true])
  })

  test('each has seen tags of its own', () => {
    const engine = engineWith()
    for (const key of [KEY, keyOf(2)]) engine.handle({ kind: 'install', key }, 0, rng)
    const bytes = packetFor(keyOf(2), NEXT)
    for (const each of [bytes, packetFor(keyOf(2), NEXT), packetFor(KEY, NEXT)]) engine.handle(packet(each), 0, rng)
    expect([engine.seenCount(1), engine.seenCount(2), engine.tagged]).toEqual([1, 2, 3])
    engine.handle(turn(2), 0, rng)
    engine.handle(packet(bytes), 0, rng)
    expect(engine.counts()).toMatchObject({ queued: 3, dropped: { replay: 1 } })
  })

  test('the current one is tried first, then the next, then the one before', () => {
    const engine = engineWith()
    for (const epoch of [1, 2, 3]) engine.handle({ kind: 'install', key: keyOf(epoch) }, 0, rng)
    engine.handle(turn(2), 0, rng)
    expect(engine.snapshot().epochs).toEqual([2, 3, 1])
  })

  test('a retired one opens nothing; without any, the reason says so; one installed twice keeps its tags', () => {
    const engine = ready()
    const bytes = packetFor(KEY, NEXT)
    engine.handle(packet(bytes), 0, rng)
    engine.handle({ kind: 'install', key: KEY }, 0, rng)
    expect(engine.snapshot().epochs).toEqual([1])
    engine.handle(packet(bytes), 0, rng)
    engine.handle({ kind: 'retire', epoch: 1 }, 0, rng)
    engine.handle(packet(packetFor(KEY, NEXT)), 0, rng)
    expect(engine.counts()).toMatchObject({ queued: 1, dropped: { replay: 1, 'no-key': 1 } })
    expect(KEY.privateKey).toEqual(keyOf(1).privateKey)
  })

  test('are refused when they are none', () => {
    for (const key of [{ ...KEY, privateKey: new Uint8Array(31) }, keyOf(5, 10, 10)]) {
      expect(() => engineWith().handle({ kind: 'install', key }, 0, rng)).toThrow(expect.objectContaining({ code: 'bad-argument' }))
    }
  })
})

describe('waiting', () => {
  test('delays are exponential with the mean of the directory', () => {
    const engine = ready()
    const delays: number[] = []
    for (let i = 0; i < 800; i++) {
      engine.handle(packet(packetFor(KEY, NEXT)), 1000 * i, rng)
      delays.push(engine.nextDeadline() as number - 1000 * i)
      runOut(engine)
    }
    expect(ksOneSample(delays, x => 1 - Math.exp(-x / MEAN))).toBeGreaterThan(0.01)
  })

  test('only draws beyond the quantile 1 − 10⁻¹² are drawn again', () => {
    const fromUnit = (u: number): Uint8Array => {
      const out = new Uint8Array(7)
      for (let i = 6, value = Math.round(u * 2 ** 53) - 1; i >= 0; i--, value = Math.floor(value / 256)) out[i] = value % 256
      return out
    }
    const script = (...units: number[]): { bytes: () => Uint8Array } => ({ bytes: () => fromUnit(units.shift() ?? 1) })
    expect(poissonDelay(script(1.01e-12), 10)).toBeCloseTo(276.2, 0)
    expect(poissonDelay(script(0.99e-12, Math.exp(-2)), 10)).toBeCloseTo(20)
    expect(longestDelay(10)).toBeCloseTo(276.31, 2)
  })

  test('packets leave by deadline, not by arrival', () => {
    const engine = ready()
    const deadlines: number[] = []
    for (let i = 0; i < 50; i++) engine.handle(packet(packetFor(KEY, NEXT)), 0, rng)
    const waits = engine.snapshot().waiting.map(({ wait }) => wait as number)
    expect(waits).toEqual(waits.toSorted((a, b) => a - b))
    runOut(engine, (_effect, at) => deadlines.push(at))
    expect(deadlines).toHaveLength(50)
    expect(deadlines).toEqual(deadlines.toSorted((a, b) => a - b))
  })

  test('a packet leaves no earlier for what comes after it', () => {
    const engine = ready()
    engine.handle(packet(packetFor(KEY, NEXT)), 0, rng)
    const due = engine.nextDeadline() as number
    expect(engine.handle(packet(packetFor(KEY, blockOf('other'))), due / 2, rng)).toEqual([])
    const left = engine.handle({ kind: 'drain' }, due, rng).map(effect => effect.kind === 'forward' && toHex(effect.to.peer))
    expect(left).toContain(linkOf('next'))
  })

  test('a clock that steps back neither loses, holds up nor hurries a packet', () => {
    const engine = ready()
    engine.handle(packet(packetFor(KEY, NEXT)), 1_000_000, rng)
    const wait = engine.nextDeadline() as number - 1_000_000
    expect(engine.handle({ kind: 'timer' }, 1_000_000 + wait / 4, rng)).toEqual([])
    expect(engine.handle({ kind: 'timer' }, 400_000, rng)).toEqual([])
    expect(engine.nextDeadline()).toBeCloseTo(400_000 + wait * 3 / 4)
    expect(engine.handle({ kind: 'timer' }, 400_000 + wait / 2, rng)).toEqual([])
    expect(engine.handle({ kind: 'timer' }, 400_000.01 + wait * 3 / 4, rng)).toHaveLength(1)
  })

  test('a clock that steps far ahead does not let everything out at once', () => {
    const engine = ready({ meanDelay: 10_000 })
    for (let i = 0; i < 40; i++) engine.handle(packet(packetFor(KEY, NEXT, { delay: 10_000 })), 0, rng)
    expect(engine.handle({ kind: 'timer' }, 86_400_000, rng).length).toBeLessThan(20)
    runOut(engine)
    expect(engine.counts()).toMatchObject({ forwarded: 40, queued: 0 })
  })

  test('tells how many packets waited whenever one came', () => {
    const engine = ready({ meanDelay: 10_000 })
    for (let i = 0; i < 10; i++) engine.handle(packet(packetFor(KEY, NEXT, { delay: 10_000 })), 0, rng)
    // 0; 1; 2; 3 and 4; 5 to 8; 9.
    expect(engine.queues()).toEqual({ counts: [1, 1, 1, 2, 4, 1, ...Array<number>(9).fill(0)], sum: 45 })
    runOut(engine)
    expect(engine.queues().sum).toBe(45)
  })

  test('draining takes nothing in and lets everything out in its time; abandoning drops it', () => {
    const engine = ready()
    for (let i = 0; i < 3; i++) engine.handle(packet(packetFor(KEY, NEXT)), 0, rng)
    engine.handle({ kind: 'drain' }, 0, rng)
    engine.handle(packet(packetFor(KEY, NEXT)), 0, rng)
    expect(engine.counts()).toMatchObject({ queued: 3, dropped: { draining: 1 } })
    engine.handle({ kind: 'timer' }, engine.nextDeadline() as number, rng)
    expect(engine.counts()).toMatchObject({ forwarded: 1, queued: 2 })
    engine.handle({ kind: 'abandon' }, 0, rng)
    expect(engine.counts()).toEqual({ received: 4, forwarded: 1, delivered: 0, queued: 0, dropped: { draining: 1, abandoned: 2 } })
    expect(engine.nextDeadline()).toBeUndefined()
  })
})
