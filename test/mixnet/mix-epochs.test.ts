/** What an epoch changes in a mixer: limits, the mean delay, the strategy; and what its tags mean to packets. */
import { describe, expect, test } from 'vitest'
import type { MixEngine, MixEffect } from '@mixmint/mixnet/mixing/engine'
import type { Strategy } from '@mixmint/mixnet/directory/formats'
import { ksOneSample } from '../reference/statistics.ts'
import { engineWith, KEY, NEXT, packet, ready, rng, runOut, turn } from './engine-material.ts'
import { exitFor, keyOf, MEAN, packetFor } from './mix-material.ts'

const STRATEGIES: Strategy[] = [
  { kind: 'poisson' }, { kind: 'timed', interval: 100 }, { kind: 'pool', interval: 100, threshold: 20, pool: 3 }, { kind: 'threshold', batch: 30 }, { kind: 'threshold', batch: 2 }
]

function send (engine: MixEngine, packets: readonly Uint8Array[], now = 0): MixEffect[] {
  return packets.flatMap(bytes => engine.handle(packet(bytes), now, rng))
}

const packets = (count: number, options = {}): Uint8Array[] => Array.from({ length: count }, () => packetFor(KEY, NEXT, options))

describe('the document of an epoch', () => {
  test('sets the limit of the queue; what waits already goes on waiting', () => {
    const engine = ready({ queueLimit: 3 })
    send(engine, packets(4))
    engine.handle(turn(2, { queueLimit: 5 }), 0, rng)
    send(engine, packets(3))
    expect(engine.counts()).toMatchObject({ queued: 5, dropped: { 'queue-full': 2 } })
    engine.handle(turn(3, { queueLimit: 2 }), 0, rng)
    send(engine, packets(1))
    expect(engine.counts()).toMatchObject({ queued: 5, dropped: { 'queue-full': 3 } })
  })

  test('sets the limit of the tags of every key; a lower one forgets none', () => {
    const engine = ready({ replayLimit: 2 })
    const old = packets(2)
    send(engine, [...old, ...packets(1)])
    expect(engine.counts().dropped).toEqual({ 'replay-full': 1 })
    engine.handle(turn(2, { replayLimit: 3 }), 0, rng)
    send(engine, packets(2))
    expect(engine.counts().dropped).toEqual({ 'replay-full': 2 })
    engine.handle(turn(3, { replayLimit: 1 }), 0, rng)
    send(engine, [...old, ...packets(1)])
    expect(engine.counts()).toMatchObject({ queued: 3, dropped: { replay: 2, 'replay-full': 3 } })
    engine.handle({ kind: 'install', key: keyOf(4) }, 0, rng)
    send(engine, [packetFor(keyOf(4), NEXT), packetFor(keyOf(4), NEXT)])
    expect([engine.seenCount(4), engine.counts().dropped['replay-full']]).toEqual([1, 4])
  })

  test('a limit that was lowered over a restart forgets nothing either', () => {
    const engine = ready()
    const old = packets(5)
    send(engine, old)
    const again = engineWith({ replayLimit: 3 })
    again.handle({ kind: 'install', key: { ...KEY, seen: engine.seenSince(1, 0) } }, 0, rng)
    send(again, old)
    expect(again.counts()).toMatchObject({ queued: 0, dropped: { replay: 5 } })
    expect(again.tagged).toBe(0)
  })

  test('sets the mean; the one before still holds until its key does not', () => {
    const engine = engineWith()
    engine.handle({ kind: 'install', key: keyOf(1, 0, 300) }, 0, rng)
    engine.handle({ kind: 'install', key: keyOf(2, 0) }, 0, rng)
    engine.handle(turn(1), 0, rng)
    const takes = (delay: number, now: number): boolean => {
      const before = engine.counts().dropped.delay ?? 0
      send(engine, [packetFor(keyOf(2), NEXT, { delay })], now)
      return (engine.counts().dropped.delay ?? 0) === before
    }
    expect([takes(MEAN, 0), takes(80, 0)]).toEqual([true, false])
    engine.handle(turn(2, { meanDelay: 80 }), 100, rng)
    expect([takes(MEAN, 299), takes(80, 299), takes(81, 299)]).toEqual([true, true, false])
    expect([takes(MEAN, 300), takes(80, 300)]).toEqual([false, true])
    engine.handle(turn(3, { meanDelay: 20 }), 400, rng)
    expect([takes(80, 400), takes(20, 400)]).toEqual([true, true])
    engine.handle({ kind: 'retire', epoch: 2 }, 400, rng)
    engine.handle({ kind: 'install', key: keyOf(3) }, 400, rng)
    engine.handle(turn(3, { meanDelay: 20 }), 400, rng)
    send(engine, [packetFor(keyOf(3), NEXT, { delay: 80 })], 400)
    expect(engine.counts().dropped.delay).toBe(4)
  })

  test('a key installed in its own epoch keeps the mean of that epoch, too', () => {
    const engine = engineWith()
    engine.handle(turn(1), 0, rng)
    engine.handle({ kind: 'install', key: KEY }, 0, rng)
    engine.handle(turn(2, { meanDelay: 80 }), 0, rng)
    send(engine, packets(1))
    expect(engine.counts()).toMatchObject({ queued: 1, dropped: {} })
  })

  test('poisson draws with the mean that the packet asked for', () => {
    const engine = ready()
    engine.handle(turn(2, { meanDelay: 500 }), 0, rng)
    const waits = (delay: number): number[] => Array.from({ length: 300 }, (_, i) => {
      const at = 100_000 * (delay + i)
      send(engine, packets(1, { delay }), at)
      const wait = engine.nextDeadline() as number - at
      runOut(engine)
      return wait
    })
    expect(ksOneSample(waits(MEAN), x => 1 - Math.exp(-x / MEAN))).toBeGreaterThan(0.01)
    expect(ksOneSample(waits(500), x => 1 - Math.exp(-x / 500))).toBeGreaterThan(0.01)
  })

  test.each(STRATEGIES.flatMap(before => STRATEGIES.map(after => [before, after])))('from %o to %o nothing is lost', (before, after) => {
    const engine = ready({ strategy: before })
    let out = send(engine, packets(9)).length
    const inside = engine.queued
    const due = engine.nextDeadline()
    out += engine.handle(turn(2, { strategy: after }), 1, rng).length
    expect(engine.queued).toBe(9 - out)
    if (before === after) expect(engine.queued).toBe(inside)
    if (before === after && due !== undefined) expect(engine.nextDeadline()).toBeCloseTo(due)
    if (after.kind === 'timed' && engine.queued > 0) expect(engine.nextDeadline()).toBeLessThanOrEqual(101)
    if (after.kind === 'threshold' && after.batch === 2) expect(engine.queued).toBeLessThan(2)
    runOut(engine, () => { out += 1 })
    if (after.kind !== 'threshold') expect(engine.queued).toBe(0)
    out += engine.handle({ kind: 'drain' }, 10_000, rng).length
    expect(engine.counts()).toEqual({ received: 9, forwarded: 9, delivered: 0, queued: 0, dropped: {} })
    expect(out).toBe(9)
  })

  test('a strategy that comes while a mix drains keeps nothing back', () => {
    const engine = ready()
    send(engine, packets(9))
    engine.handle({ kind: 'drain' }, 0, rng)
    expect(engine.queued).toBe(9)
    expect(engine.handle(turn(2, { strategy: { kind: 'threshold', batch: 30 } }), 0, rng)).toHaveLength(9)
  })
})

describe('draining', () => {
  test.each(STRATEGIES)('under %o loses nothing', strategy => {
    const engine = ready({ strategy })
    let out = send(engine, packets(7)).length
    out += engine.handle({ kind: 'drain' }, 1, rng).length
    if (strategy.kind !== 'poisson') expect(engine.queued).toBe(0)
    runOut(engine, () => { out += 1 })
    expect(engine.counts()).toEqual({ received: 7, forwarded: 7, delivered: 0, queued: 0, dropped: {} })
    expect(out).toBe(7)
  })
})

describe('a tag that is not recorded yet', () => {
  test('holds up its packet, whatever becomes of it, and those that leave after it', () => {
    for (let i = 0; i < 10; i++) {
      const engine = ready({ strategy: { kind: 'threshold', batch: 4 } })
      engine.handle({ kind: 'recorded', tags: 0 }, 0, rng)
      expect(send(engine, [...packets(4), exitFor(KEY, new Uint8Array(3968))])).toEqual([])
      expect(engine.counts()).toEqual({ received: 5, forwarded: 0, delivered: 0, queued: 5, dropped: {} })
      const { waiting } = engine.snapshot()
      expect(waiting.map(({ wait }) => wait)).toEqual([0, 0, 0, 0, 0])
      expect(engine.nextDeadline()).toBeUndefined()
      const left = [1, 2, 3, 4].flatMap(tags => {
        const out = engine.handle({ kind: 'recorded', tags }, 0, rng)
        expect(engine.counts().forwarded).toBeLessThanOrEqual(tags)
        return out
      })
      expect(left).toEqual(waiting.slice(0, 4).map(({ effect }) => effect))
      expect(engine.handle({ kind: 'recorded', tags: 5 }, 0, rng)).toMatchObject([{ kind: 'deliver' }])
      expect(engine.counts()).toEqual({ received: 5, forwarded: 4, delivered: 1, queued: 0, dropped: {} })
    }
  })

  test('keeps its packet in the queue, which then is full sooner', () => {
    const engine = ready({ strategy: { kind: 'threshold', batch: 2 }, queueLimit: 3 })
    engine.handle({ kind: 'recorded', tags: 0 }, 0, rng)
    send(engine, packets(5))
    expect(engine.counts()).toMatchObject({ queued: 3, dropped: { 'queue-full': 2 } })
    expect(engine.handle({ kind: 'recorded', tags: 5 }, 0, rng)).toHaveLength(2)
  })

  test('costs no time when it is recorded while the packet waits', () => {
    const engine = ready()
    engine.handle({ kind: 'recorded', tags: 0 }, 0, rng)
    send(engine, packets(1))
    const due = engine.nextDeadline() as number
    expect(engine.handle({ kind: 'recorded', tags: engine.tagged }, due / 2, rng)).toEqual([])
    expect(engine.handle({ kind: 'timer' }, due, rng)).toHaveLength(1)
  })

  test('counts in whatever way packets end', () => {
    const engine = ready({ queueLimit: 1 })
    engine.handle({ kind: 'recorded', tags: 0 }, 0, rng)
    const one = packetFor(KEY, NEXT)
    send(engine, [one, one, packetFor(KEY, NEXT), packetFor(KEY, NEXT, { delay: 1 }), new Uint8Array(4608)])
    expect(engine.tagged).toBe(3)
    expect(engine.counts()).toMatchObject({ queued: 1, dropped: { replay: 1, 'queue-full': 1, delay: 1, alpha: 1 } })
  })

  test('bounds what ends here: there is room for as many as the queue may hold', () => {
    const engine = ready({ queueLimit: 2 })
    engine.handle({ kind: 'recorded', tags: 0 }, 0, rng)
    send(engine, Array.from({ length: 4 }, () => exitFor(KEY, new Uint8Array(3968))))
    expect(engine.counts()).toMatchObject({ queued: 2, dropped: { 'queue-full': 2 } })
    expect(engine.handle({ kind: 'recorded', tags: 4 }, 0, rng)).toHaveLength(2)
    engine.handle({ kind: 'recorded', tags: 0 }, 0, rng)
    send(engine, [exitFor(KEY, new Uint8Array(3968))])
    engine.handle({ kind: 'abandon' }, 0, rng)
    expect(engine.counts()).toMatchObject({ delivered: 2, queued: 0, dropped: { 'queue-full': 2, abandoned: 1 } })
  })
})
