import { describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { Pacer, type PacerConfig, type PacerEffect, type PacerEvent } from '@mixmint/mixnet/cover/pacer'
import { EngineClock } from '../doubles/engine-clock.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'
import { chiSquare, ksOneSample, ksTwoSample } from '../reference/statistics.ts'

type Sent = PacerEffect & { readonly at: number }

class Gateway {
  readonly meter = new CountingMeter()
  readonly clock = new EngineClock()
  readonly sent: Sent[] = []
  pace = 100
  send = 0
  isReady = true
  readonly pacer: Pacer
  readonly #rng = seededRng('pacer')

  constructor (changes: Partial<PacerConfig> = {}) {
    this.pacer = new Pacer({ meter: this.meter, cover: () => ({ send: this.send, pace: this.pace }), ready: () => this.isReady, queueLimit: 100, totalLimit: 1000, ...changes })
  }

  step (event: PacerEvent): void {
    for (const effect of this.pacer.step(event, this.clock.now, this.#rng)) this.sent.push({ ...effect, at: this.clock.now })
  }

  packets (wallet: string, count: number): void {
    for (let i = 0; i < count; i++) this.step({ is: 'packet', wallet, packet: Uint8Array.of(i) })
  }

  run (ms: number): this {
    this.clock.run(this.clock.now + ms, this.pacer, () => { this.step({ is: 'timer' }) })
    return this
  }

  to (wallet: string): Sent[] {
    return this.sent.filter(effect => effect.wallet === wallet)
  }

  /** The first bytes of the packets that a wallet got. */
  got (wallet: string): number[] {
    return this.to(wallet).flatMap(({ packet }) => packet === null ? [] : [packet[0]])
  }

  dropped (reason: string): number {
    return this.meter.of('cover_wallet_dropped', { reason })
  }
}

const gaps = (sent: readonly Sent[]): number[] => sent.slice(1).map(({ at }, i) => at - sent[i].at)

describe('the pacer of a gateway', () => {
  test('sends to each wallet at exponential distances, whether or not there is something for it', () => {
    const gateway = new Gateway()
    for (const wallet of ['idle', 'busy', 'third']) gateway.step({ is: 'attach', wallet })
    for (let i = 0; i < 200; i++) {
      gateway.packets('busy', 4)
      gateway.run(500)
    }
    const cdf = (x: number): number => 1 - Math.exp(-x / 100)
    for (const wallet of ['idle', 'busy', 'third']) expect(ksOneSample(gaps(gateway.to(wallet)), cdf)).toBeGreaterThan(0.001)
    expect(ksTwoSample(gaps(gateway.to('idle')), gaps(gateway.to('busy')))).toBeGreaterThan(0.01)
    expect(chiSquare(['idle', 'busy', 'third'].map(wallet => gateway.to(wallet).length), Array.from({ length: 3 }, () => gateway.sent.length / 3))).toBeGreaterThan(0.001)
    expect(gateway.got('busy').length).toBeGreaterThan(700)
    expect(gateway.got('idle')).toEqual([])
  })

  test('sends what waits first, in its order', () => {
    const gateway = new Gateway()
    gateway.step({ is: 'attach', wallet: 'a' })
    gateway.packets('a', 5)
    gateway.run(10_000)
    expect(gateway.got('a')).toEqual([0, 1, 2, 3, 4])
    expect(gateway.to('a').slice(0, 5).every(({ packet }) => packet !== null)).toBe(true)
    expect(gateway.meter.of('cover_paced', { kind: 'packet' })).toBe(5)
    expect(gateway.meter.of('cover_paced', { kind: 'padding' })).toBe(gateway.sent.length - 5)
  })

  test('keeps packets for a wallet that is away, and drops them when it is gone', () => {
    const gateway = new Gateway()
    gateway.step({ is: 'attach', wallet: 'a' })
    gateway.packets('a', 3)
    gateway.step({ is: 'detach', wallet: 'a' })
    gateway.run(10_000)
    expect(gateway.sent).toEqual([])
    expect(gateway.pacer.due).toBeNull()
    gateway.packets('a', 2)
    gateway.step({ is: 'attach', wallet: 'a' })
    gateway.run(5_000)
    expect(gateway.got('a')).toEqual([0, 1, 2, 0, 1])
    gateway.step({ is: 'detach', wallet: 'a' })
    gateway.packets('a', 7)
    gateway.step({ is: 'gone', wallet: 'a' })
    gateway.packets('a', 1)
    gateway.packets('stranger', 1)
    expect(gateway.pacer.counts()).toEqual({ queued: 0, unsent: 0, dropped: { 'link-full': 0, 'no-link': 2, 'wallet-gone': 7 } })
    expect([gateway.dropped('no-link'), gateway.dropped('wallet-gone')]).toEqual([2, 7])
    gateway.step({ is: 'attach', wallet: 'a' })
    gateway.step({ is: 'gone', wallet: 'a' })
    expect(gateway.pacer.due).toBeNull()
  })

  test('in whatever order wallets come and go, those that are here are sent to, and no others', () => {
    const gateway = new Gateway()
    for (const wallet of ['a', 'b', 'c', 'd']) gateway.step({ is: 'attach', wallet })
    for (const wallet of ['a', 'd', 'b']) gateway.step({ is: 'detach', wallet })
    gateway.run(5_000)
    expect(gateway.to('c').length).toBeGreaterThan(10)
    expect(gateway.to('c')).toHaveLength(gateway.sent.length)
    gateway.step({ is: 'detach', wallet: 'c' })
    expect(gateway.pacer.due).toBeNull()
  })

  test('without pace sends at once, and to whom comes back all that waited', () => {
    const gateway = new Gateway()
    gateway.pace = 0
    gateway.step({ is: 'attach', wallet: 'a' })
    gateway.packets('a', 2)
    expect(gateway.got('a')).toEqual([0, 1])
    gateway.step({ is: 'detach', wallet: 'a' })
    gateway.packets('a', 3)
    expect(gateway.got('a')).toHaveLength(2)
    gateway.step({ is: 'attach', wallet: 'a' })
    expect(gateway.got('a')).toEqual([0, 1, 0, 1, 2])
    gateway.run(10_000)
    expect(gateway.to('a')).toHaveLength(5)
  })

  test('takes up another pace: from none, to another, to none', () => {
    const gateway = new Gateway()
    gateway.pace = 0
    gateway.step({ is: 'attach', wallet: 'a' })
    expect(gateway.run(10_000).sent).toHaveLength(0)
    gateway.pace = 10
    gateway.step({ is: 'timer' })
    expect(Math.abs(gateway.run(10_000).sent.length - 1000)).toBeLessThan(150)
    gateway.packets('a', 50)
    gateway.pace = 0
    gateway.step({ is: 'timer' })
    expect(gateway.got('a')).toHaveLength(50)
    expect(gateway.pacer.due).toBeNull()
  })

  test('neither pads nor loses anything while a link takes nothing', () => {
    const gateway = new Gateway()
    gateway.step({ is: 'attach', wallet: 'a' })
    gateway.packets('a', 3)
    gateway.isReady = false
    gateway.run(5_000)
    expect(gateway.sent).toEqual([])
    expect(gateway.meter.of('cover_unpaced', { reason: 'link' })).toBeGreaterThan(20)
    gateway.isReady = true
    expect(gateway.run(5_000).got('a')).toEqual([0, 1, 2])
  })

  test('does not pad whom it has not heard for thirty times the mean of what a wallet sends', () => {
    const gateway = new Gateway()
    gateway.send = 200
    gateway.step({ is: 'attach', wallet: 'a' })
    expect(gateway.run(6_000).sent.length).toBeGreaterThan(40)
    const padded = gateway.sent.length
    expect(gateway.run(6_000).sent).toHaveLength(padded)
    gateway.packets('a', 3)
    expect(gateway.run(6_000).got('a')).toEqual([0, 1, 2])
    expect(gateway.sent).toHaveLength(padded + 3)
    gateway.step({ is: 'attach', wallet: 'a' })
    expect(gateway.run(6_000).sent.length).toBeGreaterThan(padded + 40)
  })

  test('at a stop sends at once what waits, and what comes', () => {
    const gateway = new Gateway()
    gateway.step({ is: 'attach', wallet: 'a' })
    gateway.packets('a', 3)
    gateway.step({ is: 'drain' })
    expect(gateway.got('a')).toEqual([0, 1, 2])
    gateway.packets('a', 1)
    expect(gateway.got('a')).toEqual([0, 1, 2, 0])
    expect(gateway.pacer.due).toBeNull()
  })

  test('knows who is attached or away', () => {
    const gateway = new Gateway()
    const known = (): boolean => gateway.pacer.knows('a')
    expect(known()).toBe(false)
    gateway.step({ is: 'detach', wallet: 'a' })
    expect(known()).toBe(false)
    gateway.step({ is: 'attach', wallet: 'a' })
    gateway.step({ is: 'detach', wallet: 'a' })
    expect(known()).toBe(true)
    gateway.step({ is: 'gone', wallet: 'a' })
    expect(known()).toBe(false)
  })

  test('drops what is too much for one wallet; of too much for all, the longest queue pays', () => {
    const gateway = new Gateway({ queueLimit: 4, totalLimit: 6 })
    for (const wallet of ['a', 'b', 'c']) {
      gateway.step({ is: 'attach', wallet })
      gateway.step({ is: 'detach', wallet })
    }
    gateway.packets('a', 6)
    expect([gateway.dropped('link-full'), gateway.pacer.counts().queued]).toEqual([2, 4])
    gateway.packets('b', 3)
    expect([gateway.dropped('link-full'), gateway.pacer.counts().queued]).toEqual([3, 6])
    gateway.packets('b', 1)
    expect([gateway.dropped('link-full'), gateway.pacer.counts().queued]).toEqual([4, 6])
    for (const wallet of ['a', 'b', 'c']) gateway.step({ is: 'attach', wallet })
    gateway.run(10_000)
    expect([gateway.got('a'), gateway.got('b')]).toEqual([[1, 2, 3], [0, 1, 2]])
  })

  test('gives every packet once or drops it, whoever comes and goes', () => {
    const wallet = fc.constantFrom('a', 'b', 'c')
    const event = fc.oneof(
      fc.record({ is: fc.constantFrom('attach' as const, 'detach' as const, 'gone' as const), wallet }),
      fc.record({ is: fc.constant('packet' as const), wallet, packet: fc.constant(new Uint8Array(1)) }))
    fc.assert(fc.property(fc.array(fc.tuple(event, fc.nat(200)), { maxLength: 40 }), fc.constantFrom(0, 20), (events, pace) => {
      const gateway = new Gateway({ queueLimit: 3, totalLimit: 5 })
      gateway.pace = pace
      const here = new Set<string>()
      for (const [each, wait] of events) {
        if (each.is === 'attach') here.add(each.wallet)
        if (each.is === 'detach' || each.is === 'gone') here.delete(each.wallet)
        gateway.step(each)
        const before = gateway.sent.length
        gateway.run(wait)
        expect(gateway.sent.slice(before).every(sent => here.has(sent.wallet))).toBe(true)
        expect(gateway.pacer.due === null).toBe(here.size === 0 || pace === 0)
      }
      const packets = events.filter(([{ is }]) => is === 'packet').length
      const got = gateway.sent.filter(({ packet }) => packet !== null).length
      const { queued, dropped } = gateway.pacer.counts()
      expect(got + dropped['link-full'] + dropped['no-link'] + dropped['wallet-gone'] + queued).toBe(packets)
    }))
  })
})
