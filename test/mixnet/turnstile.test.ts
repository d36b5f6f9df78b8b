/** In which order handshakes begin, on a virtual clock. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Turnstile, type TurnstileLimits } from '@mixmint/mixnet/abuse/turnstile'

const WIDE = { perSecond: 1e6, burst: 1e6 }
const turnstile = (limits: Partial<TurnstileLimits>): Turnstile<string> =>
  new Turnstile({ each: WIDE, preferred: WIDE, all: WIDE, pendingEach: 100, pending: 100, ...limits })

test('those of one address have a rate; the others do not wait for them', () => {
  const it = turnstile({ each: { perSecond: 10, burst: 2 } })
  for (const who of ['a1', 'a2', 'a3', 'a4', 'b1']) expect(it.come(who, who[0], false, 0)).toBe(null)
  expect(it.next(0)).toEqual({ begin: ['a1', 'b1', 'a2'], wait: 100 })
  expect(it.next(50)).toEqual({ begin: [], wait: 50 })
  expect(it.next(100)).toEqual({ begin: ['a3'], wait: 100 })
  it.leave('a4')
  expect(it.next(200)).toEqual({ begin: [], wait: Infinity })
  expect(it.size).toBe(4)
})

test('all together have a rate, and next is whose address was served the longest time ago, or never', () => {
  const it = turnstile({ all: { perSecond: 10, burst: 1 } })
  for (const who of ['a1', 'b1', 'a2', 'b2']) it.come(who, who[0], false, 0)
  expect(it.next(0).begin).toEqual(['a1'])
  expect(it.next(100).begin).toEqual(['b1'])
  it.come('c1', 'c', false, 150)
  expect(it.next(200).begin).toEqual(['c1'])
  expect(it.next(300).begin).toEqual(['a2'])
  expect(it.next(400)).toEqual({ begin: ['b2'], wait: Infinity })
})

test('a preferred address has its own rate, takes nothing of that of all, and no place of theirs', () => {
  const it = turnstile({ all: { perSecond: 1, burst: 1 }, preferred: { perSecond: 10, burst: 1 }, pending: 2 })
  it.come('a1', 'a', false, 0)
  it.come('b1', 'b', false, 0)
  for (const who of ['h1', 'h2']) expect(it.come(who, 'h', true, 0)).toBe(null)
  expect(it.next(0)).toEqual({ begin: ['a1', 'h1'], wait: 100 })
  expect(it.next(100)).toEqual({ begin: ['h2'], wait: 900 })
  expect(it.come('c1', 'c', false, 100)).toBe('c1')
  expect(it.next(1000).begin).toEqual(['b1'])
})

test('of one address there are so many: the oldest gives way, unless it has only just come', () => {
  const it = turnstile({ pendingEach: 2 })
  it.come('a1', 'a', false, 0)
  it.come('a2', 'a', false, 900)
  expect(it.next(900).begin).toEqual(['a1', 'a2'])
  expect(it.come('a3', 'a', false, 1500)).toBe('a3')
  expect(it.come('b1', 'b', false, 1500)).toBe(null)
  // What counts is the time since the handshake began, not since they came.
  expect(it.come('a4', 'a', false, 1899)).toBe('a4')
  expect(it.come('a5', 'a', false, 1900)).toBe('a1')
  expect(it.size).toBe(3)
})

test('of all there are so many: one of the most crowded address gives way, and who brings a crowd is refused', () => {
  const it = turnstile({ pending: 4 })
  for (const who of ['a1', 'a2', 'a3', 'b1']) it.come(who, who[0], false, 0)
  expect(it.come('c1', 'c', false, 10)).toBe('a1')
  expect(it.come('a4', 'a', false, 20)).toBe('a4')
  expect(it.come('d1', 'd', false, 30)).toBe('a2')
  expect(it.come('e1', 'e', false, 40)).toBe('e1')
  // After a while anybody.
  expect(it.come('e2', 'e', false, 1000)).toBe('a3')
  expect(it.size).toBe(4)
})

test('who was served is remembered for so many others, and no longer', () => {
  const it = turnstile({ all: { perSecond: 1e6, burst: 1 } })
  const serve = (group: string, now: number): void => {
    it.come(group, group, false, now)
    expect(it.next(now).begin).toEqual([group])
    it.leave(group)
  }
  const after = (others: number, begin: number): string => {
    serve('a', begin)
    for (let i = 0; i < others; i++) serve(`${begin} ${i}`, begin + 1 + i)
    const now = begin + 1 + others
    serve('b', now)
    // There is no room for them at once: who goes first is seen.
    for (const who of ['a', 'c']) it.come(who, who, false, now)
    const [first] = it.next(now + 1).begin
    it.leave('a')
    it.leave('c')
    return first
  }
  expect(after(8000, 1)).toBe('c')
  expect(after(8200, 100_000)).toBe('a')
})

test('whatever comes and goes: no more wait than there are places, rates are kept, nobody who could begin waits', () => {
  const limits: TurnstileLimits = { each: { perSecond: 5, burst: 2 }, preferred: { perSecond: 10, burst: 3 }, all: { perSecond: 8, burst: 4 }, pendingEach: 3, pending: 6 }
  fc.assert(fc.property(fc.array(fc.record({ group: fc.integer({ min: 0, max: 5 }), after: fc.integer({ min: 0, max: 400 }), goes: fc.boolean() }), { maxLength: 80 }), steps => {
    const it = new Turnstile<number>(limits)
    const here = new Map<number, { group: number, waits: boolean }>()
    const begun: Array<{ group: number, at: number }> = []
    let now = 0
    for (const [i, { group, after, goes }] of steps.entries()) {
      now += after
      const gone = it.come(i, String(group), group === 0, now)
      if (gone !== i) here.set(i, { group, waits: true })
      if (gone !== null) here.delete(gone)
      const { begin, wait } = it.next(now)
      for (const who of begin) {
        const one = here.get(who)
        expect(one?.waits).toBe(true)
        if (one !== undefined) one.waits = false
        begun.push({ group: one?.group ?? -1, at: now })
      }
      expect(wait === Infinity).toBe(![...here.values()].some(({ waits }) => waits))
      expect(wait).toBeGreaterThan(0)
      if (goes) {
        it.leave(i)
        here.delete(i)
      }
      expect(it.size).toBe(here.size)
      expect([...here.values()].filter(one => one.group !== 0).length).toBeLessThanOrEqual(limits.pending)
      for (let g = 0; g <= 5; g++) expect([...here.values()].filter(one => one.group === g).length).toBeLessThanOrEqual(limits.pendingEach)
    }
    const kept = (of: typeof begun, { perSecond, burst }: { perSecond: number, burst: number }): void => {
      for (const [i, { at }] of of.entries()) expect(i + 1).toBeLessThanOrEqual(burst + perSecond * at / 1000 + 1e-6)
    }
    kept(begun.filter(({ group }) => group !== 0), limits.all)
    kept(begun.filter(({ group }) => group === 0), limits.preferred)
    for (let g = 1; g <= 5; g++) kept(begun.filter(({ group }) => group === g), limits.each)
  }), { numRuns: 200 })
})
