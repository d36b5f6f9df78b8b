/** The pure rules of the door: rates, and who gives way. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { giveWay, type Seat } from '@mixmint/mixnet/abuse/give-way'
import { Bucket, RateLimit, walletLimits, type RateLimits } from '@mixmint/mixnet/abuse/rate-limit'

const rate = fc.record({ perSecond: fc.integer({ min: 1, max: 1000 }), burst: fc.integer({ min: 1, max: 100 }) })
const WIDE = { perSecond: 1e9, burst: 1e9 }

/** A sender that has something to say all the time, held back as told: when its packets were worked on, until it is refused. */
function flood (limit: RateLimit, name: string, packets: number, from = 0): { times: number[], refusedAt: number | null } {
  const times: number[] = []
  let now = from
  for (let i = 0; i < packets; i++) {
    const wait = limit.admit(name, now)
    if (wait === 'refuse') return { times, refusedAt: now }
    now += wait
    times.push(now)
  }
  return { times, refusedAt: null }
}

describe('a bucket', () => {
  it('lets through the burst at once, and the rate in the long run, however it is asked', () => {
    fc.assert(fc.property(rate, fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 100 }), (rate, gaps) => {
      const bucket = new Bucket()
      const passed: number[] = []
      let now = 0
      for (const gap of gaps) {
        now += gap
        if (bucket.wait(rate, now) > 0) continue
        bucket.take(rate, now)
        passed.push(now)
      }
      // In any window there are no more than the burst and what the rate allows.
      passed.forEach((from, i) => {
        passed.slice(i).forEach((to, n) => { expect(n + 1).toBeLessThanOrEqual(rate.burst + (to - from) * rate.perSecond / 1000 + 1e-6) })
      })
      if (gaps.length > 0) expect(passed.length).toBeGreaterThan(0)
    }))
  })

  it('says how long to wait: then one more passes, and no sooner', () => {
    fc.assert(fc.property(rate, rate => {
      const bucket = new Bucket()
      for (let i = 0; i < rate.burst; i++) {
        expect(bucket.wait(rate, 0)).toBe(0)
        bucket.take(rate, 0)
      }
      expect(bucket.wait(rate, 0)).toBeCloseTo(1000 / rate.perSecond)
      expect(bucket.isFull(rate.burst * 1000 / rate.perSecond - 1e-3)).toBe(false)
      expect(bucket.isFull(rate.burst * 1000 / rate.perSecond + 1e-6)).toBe(true)
    }))
  })
})

describe('a limit of rates', () => {
  const limits: RateLimits = { each: { perSecond: 10, burst: 5 }, all: WIDE, patience: 2000 }

  it('holds back whoever sends too much, without loss, and refuses it when that does not end', () => {
    const { times, refusedAt } = flood(new RateLimit(() => limits), 'flood', 1000)
    expect(times.slice(0, 7)).toEqual([0, 0, 0, 0, 0, 100, 200])
    expect(refusedAt).toBeGreaterThan(2000)
    expect(refusedAt).toBeLessThan(2200)
    expect(times).toHaveLength(5 + 21)
  })

  it('does not refuse whoever pauses; nor whoever keeps to the rate for ever', () => {
    const limit = new RateLimit(() => limits)
    for (let from = 0; from < 100_000; from += 3000) {
      const { times, refusedAt } = flood(limit, 'bursts', 20, from)
      expect(refusedAt).toBeNull()
      expect(times[0]).toBe(from)
    }
    for (let now = 200_000; now < 300_000; now += 100) expect(limit.admit('steady', now)).toBe(0)
  })

  it('is of no concern to others, and forgets', () => {
    const limit = new RateLimit(() => limits)
    const now = flood(limit, 'flood', 20).times[19]
    expect(limit.admit('other', now)).toBe(0)
    expect(limit.admit('flood', now)).toBeCloseTo(100)
    expect(limit.size).toBe(2)
    limit.forget('flood')
    expect(limit.size).toBe(1)
    expect(limit.admit('flood', now)).toBe(0)
  })

  it('of all is shared: however many flood, one who says little waits for no more than one packet of each', () => {
    const all = { perSecond: 1000, burst: 10 }
    const limit = new RateLimit(() => ({ each: { perSecond: 1e6, burst: 1e6 }, all, patience: 1000 }))
    const next = new Map(Array.from({ length: 50 }, (_, i) => [`flood ${i}`, 0]))
    let passed = 0
    for (let now = 0; now < 2000; now++) {
      for (const [name, at] of next) {
        if (at > now) continue
        const wait = limit.admit(name, now)
        expect(wait).not.toBe('refuse') // it is not its own rate that it waits for
        next.set(name, now + Number(wait))
        passed += 1
      }
      if (now % 100 === 99) expect(limit.admit('modest', now)).toBeLessThanOrEqual(52)
    }
    expect(passed).toBeLessThan(2000 + 10 + 51 + 20)
    expect(passed).toBeGreaterThan(1900)
  })

  it('is as generous as the cover that the directory prescribes', () => {
    expect(walletLimits({ send: 0 }).each.burst).toBeGreaterThanOrEqual(256)
    for (const send of [50, 200, 1000, 60_000]) {
      const { each: { perSecond, burst }, all } = walletLimits({ send })
      expect(perSecond).toBeGreaterThanOrEqual(4 * 1000 / send)
      expect(burst).toBeGreaterThanOrEqual(128)
      expect(all.perSecond).toBeGreaterThan(perSecond)
    }
    expect(walletLimits({ send: 100 }).each).toEqual({ perSecond: 80, burst: 320 })
  })
})

describe('when all seats are taken', () => {
  const seat = fc.record({ group: fc.constantFrom('a', 'b', 'c', 'd'), engaged: fc.boolean(), heard: fc.nat(1000) })
  const rows = fc.array(seat, { minLength: 1, maxLength: 30 }).map(seats => seats.map((seat, who): Seat<number> => ({ ...seat, who })))
  const crowd = (seats: readonly Seat<number>[], group: string): number => seats.filter(other => other.group === group).length

  it('none of a group smaller than the newcomer\'s goes, and of the engaged none that is not of a greater crowd', () => {
    fc.assert(fc.property(rows, fc.constantFrom('a', 'b', 'e'), (seats, newcomer) => {
      const who = giveWay(seats, newcomer)
      const own = crowd(seats, newcomer)
      if (who === null) {
        // Nobody could have gone.
        for (const { group, engaged } of seats) expect(crowd(seats, group)).toBeLessThan(engaged ? own + 2 : Math.max(own, 1))
        return
      }
      const gone = seats[who]
      expect(crowd(seats, gone.group)).toBeGreaterThanOrEqual(gone.engaged ? own + 2 : own)
      const idle = seats.filter(({ group, engaged }) => !engaged && crowd(seats, group) >= own)
      if (gone.engaged) expect(idle).toEqual([])
      const equals = (gone.engaged ? seats.filter(({ engaged }) => engaged) : idle)
      expect(crowd(seats, gone.group)).toBe(Math.max(...equals.map(({ group }) => crowd(seats, group))))
      for (const other of equals) if (crowd(seats, other.group) === crowd(seats, gone.group)) expect(other.heard).toBeGreaterThanOrEqual(gone.heard)
    }), { numRuns: 1000 })
  })

  it('whoever has one address and all seats keeps nobody else out, and cannot drive out the others', () => {
    let seats: Array<Seat<string>> = Array.from({ length: 100 }, (_, i) => ({ who: `evil ${i}`, group: 'evil', engaged: true, heard: i }))
    const come = (who: string, group: string): void => {
      const gone = giveWay(seats, group)
      if (gone === null) return
      seats = [...seats.filter(other => other.who !== gone), { who, group, engaged: true, heard: 0 }]
    }
    for (let i = 0; i < 30; i++) come(`honest ${i}`, `address ${i}`)
    for (let i = 0; i < 1000; i++) come(`evil ${100 + i}`, 'evil')
    expect(seats.filter(({ group }) => group.startsWith('address'))).toHaveLength(30)
    expect(seats).toHaveLength(100)
  })
})
