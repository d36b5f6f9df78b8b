/**
 * What an observer who sees times, sizes and numbers of packets learns of requests under cover: on the line of a service,
 * and at a wallet's gateway, which knows padding from packets. The line of a wallet has session-cover.test.ts. On a virtual
 * clock, with the production engines. Each measure is shown to find what cover that is weaker leaves open.
 */
import { describe, expect, it } from 'vitest'
import { exponential } from '@mixmint/core/kit/samplers'
import type { Cover } from '@mixmint/mixnet/directory/formats'
import { MixNetwork } from '../doubles/mix-network.ts'
import { seededRng } from '../doubles/rng.ts'
import { toySuite } from '../doubles/toy-suite.ts'
import { ksTwoSample } from '../reference/statistics.ts'

const COVER: Cover = { send: 100, echoes: 200, pace: 100, loop: 0 }
const SLOTS = 4000
const OBSERVED = SLOTS * COVER.send

interface Asking {
  /** Between two requests, ms, on average; what each asks for, bytes; how long the service works on it, ms. */
  readonly every: number
  readonly replySize: number
  readonly after: number
}

interface Seen {
  /** Times: packets to the service and from it; packets for the wallet, without padding, and with. */
  readonly toService: number[]
  readonly fromService: number[]
  readonly forWallet: number[]
  readonly down: number[]
  readonly answered: number
}

const SMALL: Asking = { every: 1000, replySize: 500, after: 20 }

function observe (seed: string, asking: Asking | null, cover = COVER): Seen {
  const net = new MixNetwork({ suite: toySuite, seed, cover, handler: () => ({ answer: new Uint8Array(asking?.replySize ?? 0), after: asking?.after ?? 0 }) })
  const seen = { toService: [] as number[], fromService: [] as number[], forWallet: [] as number[], down: [] as number[] }
  // From when the first packets have come all the way.
  const from = net.now + 5000
  const note = (times: number[]) => (): void => { if (net.now >= from) times.push(net.now) }
  net.onServiceIn = note(seen.toService)
  net.onServiceOut = note(seen.fromService)
  const [packet, any] = [note(seen.forWallet), note(seen.down)]
  net.onDown = bytes => {
    any()
    if (bytes !== null) packet()
  }
  const rng = seededRng(`${seed}/asking`)
  for (let number = 0, at = net.now; asking !== null && at < from + OBSERVED; number++) {
    at += exponential(rng, asking.every)
    net.run(Math.min(at, from + OBSERVED))
    if (at < from + OBSERVED) net.request(Uint8Array.of(number, number >> 8), { replySize: asking.replySize, deadline: 60_000 })
  }
  net.run(from + OBSERVED)
  return { ...seen, answered: [...net.outcomes.values()].filter(outcome => 'content' in outcome).length }
}

const gaps = (times: readonly number[]): number[] => times.slice(1).map((at, i) => at - times[i])

/** In successive windows of 5 s: how many. Bursts and silences show here. */
function perWindow (times: readonly number[]): number[] {
  const first = times[0]
  const counts = Array.from({ length: Math.floor((times[times.length - 1] - first) / 5000) }, () => 0)
  for (const at of times) {
    const window = Math.floor((at - first) / 5000)
    if (window < counts.length) counts[window] += 1
  }
  return counts
}

function variance (values: readonly number[]): number {
  const mean = values.reduce((a, b) => a + b, 0) / values.length
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)
}

/** From each packet out back to each packet in of the second before, one of which it may answer. */
function lags (ins: readonly number[], outs: readonly number[]): number[] {
  const found: number[] = []
  let first = 0
  for (const out of outs) {
    while (first < ins.length && ins[first] < out - 1000) first++
    for (let i = first; i < ins.length && ins[i] <= out; i++) found.push(out - ins[i])
  }
  return found
}

/** Where little else is on the line, so that these show the most. */
const SPARSE: Cover = { send: 500, echoes: 500, pace: 100, loop: 0 }
const SPARSELY: Asking = { every: 1500, replySize: 500, after: 20 }
const lagsOf = (seed: string, asking: Asking | null): number[] => {
  const { toService, fromService } = observe(seed, asking, SPARSE)
  return lags(toService, fromService)
}

/** How far off, in standard deviations of what chance does to so many slots. */
const PER_SLOT = COVER.echoes / 1000
const offset = (count: number): number => (count - SLOTS * PER_SLOT) / Math.sqrt(SLOTS * PER_SLOT * (1 - PER_SLOT))

const idle = observe('idle', null)
const busy = observe('busy', SMALL)

describe('the line of a service', () => {
  it('carries as many packets with some hundred requests as with none, at the same distances', () => {
    expect(busy.answered).toBeGreaterThan(350)
    for (const seen of [idle, busy]) {
      expect(Math.abs(seen.toService.length - SLOTS)).toBeLessThan(4 * Math.sqrt(SLOTS))
      expect(Math.abs(offset(seen.fromService.length))).toBeLessThan(4)
    }
    for (const line of ['toService', 'fromService'] as const) {
      expect(ksTwoSample(gaps(idle[line]), gaps(busy[line])), line).toBeGreaterThan(0.001)
      expect(variance(perWindow(busy[line])) / variance(perWindow(idle[line])), line).toBeLessThan(1.6)
    }
  })

  it('answers echoes and requests after times of one law: what goes out does not tell to which of both it belongs', () => {
    expect(ksTwoSample(lagsOf('idle, sparse', null), lagsOf('busy, sparse', { ...SPARSELY, after: 90 }))).toBeGreaterThan(0.001)
  })

  it('is found out by these measures where a handler takes several paces, where there are no echoes, or no cover', () => {
    expect(ksTwoSample(lagsOf('idle, sparse', null), lagsOf('slow, sparse', { ...SPARSELY, after: 250 }))).toBeLessThan(1e-6)
    const lonely = observe('no echoes', SMALL, { ...COVER, echoes: 0 })
    expect(lonely.fromService.length).toBeGreaterThan(0)
    expect(observe('idle, no echoes', null, { ...COVER, echoes: 0 }).fromService).toEqual([])
    const bare = observe('no cover', SMALL, { send: 0, echoes: 0, pace: 0, loop: 0 })
    expect(ksTwoSample(gaps(bare.toService), gaps(idle.toService))).toBeLessThan(1e-9)
  })

  it('tells of answers that are more than echoes would be: long ones show as many packets one after the other', () => {
    const long = observe('long', { every: 40_000, replySize: 1 << 17, after: 20 })
    expect(long.answered).toBeGreaterThan(3)
    expect(variance(perWindow(long.fromService)) / variance(perWindow(idle.fromService))).toBeGreaterThan(2)
  })
})

describe('the gateway of a wallet, which knows padding from packets', () => {
  it('passes on as many packets to it with some hundred requests as with none', () => {
    for (const seen of [idle, busy]) expect(Math.abs(offset(seen.forWallet.length))).toBeLessThan(4)
    expect(ksTwoSample(gaps(idle.forWallet), gaps(busy.forWallet))).toBeGreaterThan(0.001)
    expect(ksTwoSample(gaps(idle.down), gaps(busy.down))).toBeGreaterThan(0.001)
    expect(variance(perWindow(busy.forWallet)) / variance(perWindow(idle.forWallet))).toBeLessThan(1.6)
  })

  it('would count the requests if there were no echoes', () => {
    const lonely = observe('counted', SMALL, { ...COVER, echoes: 0 })
    expect(Math.abs(lonely.forWallet.length - lonely.answered)).toBeLessThan(0.05 * lonely.answered + 5)
  })
})
