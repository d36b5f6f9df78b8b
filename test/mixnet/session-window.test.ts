/** How fast packets leave, in what order, and how much of the thread's time their making takes. */
import { describe, expect, it } from 'vitest'
import type { PartPlan } from '@mixmint/mixnet/session/flight'
import { Outbox } from '@mixmint/mixnet/session/outbox'
import { Window } from '@mixmint/mixnet/session/window'
import { seededRng } from '../doubles/rng.ts'
import { ksOneSample } from '../reference/statistics.ts'
import { content, expectNothingHeld, isAnswered, LIMIT, network } from './session-material.ts'

const TIMING = { spread: 500, oneWay: 640, roundTrip: 1500 }
const part = (index: number): PartPlan => ({ index, surbs: 0, wants: [] })

/** The times at which packets leave when there is always one that waits. */
function times (window: Window, count: number, start = 0): number[] {
  const rng = seededRng('window')
  const out: number[] = []
  for (let now = start; out.length < count; now = Math.max(now, window.opens(now))) {
    window.take(now, TIMING, rng)
    out.push(now)
  }
  return out
}

describe('a window', () => {
  it('lets its size leave in the time of one way, at the times of a Poisson process', () => {
    const window = new Window()
    const mean = TIMING.oneWay / window.size
    const gaps = times(window, 3000).slice(2).map((at, i, all) => i === 0 ? null : at - all[i - 1]).filter(gap => gap !== null)
    expect(ksOneSample(gaps, x => 1 - Math.exp(-x / mean))).toBeGreaterThan(0.001)
  })

  it('is open to the first packet after a rest, and to no burst then', () => {
    const window = new Window()
    times(window, 10)
    expect(window.opens(1_000_000)).toBeLessThanOrEqual(1_000_000)
    const leaving = times(window, 200, 1_000_000).filter(at => at < 1_000_000 + TIMING.oneWay)
    expect(leaving.length).toBeGreaterThan(window.size / 2)
    expect(leaving.length).toBeLessThan(window.size * 2)
  })

  it('grows by what arrives, up to a bound, and so does the rate, up to less than 100 packets a second', () => {
    const window = new Window()
    const slow = times(window, 500).at(-1) ?? 0
    window.word(16)
    expect((times(window, 500, 1_000_000).at(-1) ?? 0) - 1_000_000).toBeLessThan(slow * 0.75)
    for (let i = 0; i < 10; i++) window.word(100)
    expect(window.size).toBe(256)
    expect((times(window, 500, 2_000_000).at(-1) ?? 0) - 2_000_000).toBeGreaterThan(5000)
  })

  it('is not narrowed by what mixes usually lose', () => {
    const window = new Window()
    const size = window.size
    const chance = seededRng('loss')
    for (let now = 0; now < 1_000_000; now += 2000) {
      if (chance.bytes(1)[0] < 102) window.silence(now, TIMING)
      else window.word(1)
    }
    expect(window.size).toBeGreaterThan(size)
  })

  it('is halved while hardly anything comes through, once a round trip, down to a bound; and opens again', () => {
    const window = new Window()
    const sizes = new Set<number>()
    for (let i = 0; i < 100; i++) {
      window.silence(1000, TIMING)
      sizes.add(window.size)
    }
    expect([...sizes]).toEqual([32, 16])
    for (let now = 0; now < 20_000; now += 1501) window.silence(10_000 + now, TIMING)
    expect(window.size).toBe(4)
    for (let i = 0; i < 30; i++) window.word(1)
    expect(window.size).toBe(34)
  })

  it('is not shut by a clock that is set back', () => {
    const window = new Window()
    times(window, 10, 1e12)
    expect(window.opens(1000)).toBeLessThanOrEqual(1000)
  })
})

describe('an outbox', () => {
  it('gives calls their turns, and each all its parts in a random order', () => {
    const rng = seededRng('outbox')
    const outbox = new Outbox<string>()
    outbox.put('long', Array.from({ length: 60 }, (_, i) => part(i)), rng)
    outbox.put('short', [part(0), part(1)], rng)
    const out = []
    for (let next = outbox.next(); next !== null; next = outbox.next()) out.push(next)
    expect(out.slice(0, 4).map(({ call }) => call)).toEqual(['long', 'short', 'long', 'short'])
    const order = out.filter(({ call }) => call === 'long').map(next => next.part.index ?? -1)
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, i) => i))
    expect(order.filter((index, i) => index === i).length).toBeLessThan(8)
    expect(order.filter((index, i) => index === 59 - i).length).toBeLessThan(8)
    expect(outbox.isEmpty).toBe(true)
  })

  it('lets go what is dropped', () => {
    const outbox = new Outbox<string>()
    outbox.put('a', [{ index: 0, surbs: 3, wants: [] }, { index: 1, surbs: 2, wants: [] }], seededRng('outbox'))
    outbox.put('b', [part(0)], seededRng('outbox'))
    expect([outbox.surbsOf('a'), outbox.surbsOf('b'), outbox.surbsOf('c')]).toEqual([5, 0, 0])
    outbox.drop('a')
    expect(outbox.has('a')).toBe(false)
    expect([outbox.next()?.call, outbox.next()]).toEqual(['b', null])
  })
})

describe('a long request', () => {
  it('leaves packet by packet: no step builds more than four, and no burst goes to the gateway', () => {
    const net = network()
    const left: number[] = []
    net.intercept = from => {
      if (from === 'wallet') left.push(net.now)
      return false
    }
    const call = net.request(content(LIMIT))
    expect(left.length).toBeLessThanOrEqual(2)
    net.run()
    expect(isAnswered(net, call, content(LIMIT))).toBe(true)
    const perTurn = new Map<number, number>()
    for (const at of left) perTurn.set(at, (perTurn.get(at) ?? 0) + 1)
    expect(Math.max(...perTurn.values())).toBeLessThanOrEqual(4)
    // At no time do more than a window and its chance fluctuations leave within the time of one way, about 550 ms here.
    const most = Math.max(...left.map(at => left.filter(other => other >= at && other < at + 550).length))
    expect(most).toBeGreaterThan(20)
    expect(most).toBeLessThan(32 + 4 * Math.sqrt(32))
    expectNothingHeld(net)
  })

  it('does not keep a short one waiting', () => {
    const net = network()
    const long = net.request(content(LIMIT))
    const short = net.request(content(10))
    while (!net.outcomes.has(short)) net.run(net.now + 10)
    expect(isAnswered(net, short, content(10))).toBe(true)
    expect(net.outcomes.has(long)).toBe(false)
    net.run()
    expect(isAnswered(net, long, content(LIMIT))).toBe(true)
  })

  it('that is aborted while it leaves, leaves no more', () => {
    const net = network()
    const call = net.request(content(LIMIT))
    net.run(net.now + 200)
    const sent = net.packetsSent
    expect(sent).toBeLessThan(40)
    net.ask({ is: 'cancel', call })
    net.run()
    expect(net.packetsSent).toBe(sent)
    expectNothingHeld(net)
  })

  it('is not-sent when its turn did not come before its deadline', () => {
    const net = network()
    net.request(content(LIMIT, 1))
    const late = Array.from({ length: 40 }, (_, i) => net.request(content(10, i), { deadline: 20 }))
    net.run(net.now + 30)
    const codes = late.map(call => {
      const outcome = net.outcomes.get(call)
      return outcome !== undefined && 'error' in outcome ? outcome.error.code : ''
    })
    expect(new Set(codes)).toEqual(new Set(['not-sent', 'lost']))
    expect(codes.filter(code => code === 'not-sent').length).toBeGreaterThan(30)
    net.run()
    expectNothingHeld(net)
  })
})
