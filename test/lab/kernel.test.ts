import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AnyAgenda, RisingAgenda } from '../../lab/kernel/agenda.ts'
import { Deadlines } from '../../lab/kernel/deadlines.ts'
import { seededRng } from '../../lab/kernel/rng.ts'
import { unit } from '@mixmint/core/kit/samplers'

describe('what happens next', () => {
  test('comes in order of time, and of what was put in first', () => {
    // undefined: take the first out.
    fc.assert(fc.property(fc.array(fc.option(fc.integer({ min: 0, max: 50 }), { nil: undefined }), { maxLength: 3000 }), steps => {
      const agenda = new AnyAgenda()
      const slow: Array<[number, number]> = []
      steps.forEach((at, i) => {
        if (at !== undefined) {
          agenda.put(at, i)
          slow.push([at, i])
          slow.sort(([a, x], [b, y]) => a - b || x - y)
        } else if (slow.length > 0) {
          expect(agenda.firstAt).toBe(slow[0][0])
          expect(agenda.take()).toBe((slow.shift() as [number, number])[1])
        }
        expect(agenda.size).toBe(slow.length)
      })
    }), { numRuns: 40 })
  })

  test('also where times only rise, over any number of them', () => {
    const agenda = new RisingAgenda()
    let [put, taken] = [0, 0]
    for (let round = 0; round < 12; round++) {
      for (let i = 0; i < 700; i++) agenda.put(put, put++)
      for (let i = 0; i < 500; i++) {
        expect(agenda.firstAt).toBe(taken)
        expect(agenda.take()).toBe(taken++)
      }
    }
    while (agenda.size > 0) expect(agenda.take()).toBe(taken++)
    expect(taken).toBe(put)
    expect(agenda.firstAt).toBe(Infinity)
  })

  test('of things that change their deadlines the first is known', () => {
    fc.assert(fc.property(fc.array(fc.tuple(fc.nat(30), fc.oneof(fc.nat(100), fc.constant(Infinity))), { maxLength: 400 }), changes => {
      const deadlines = new Deadlines(31)
      const slow = Array.from({ length: 31 }, () => Infinity)
      for (const [thing, at] of changes) {
        deadlines.set(thing, at)
        slow[thing] = at
        expect(deadlines.firstAt).toBe(Math.min(...slow))
        if (deadlines.firstAt < Infinity) expect(deadlines.first).toBe(slow.indexOf(deadlines.firstAt))
      }
    }))
  })
})

test('chance: a seed and a name repeat, another seed or name does not', () => {
  const draw = (seed: number, name: string): number[] => {
    const rng = seededRng(seed, name)
    return Array.from({ length: 20 }, () => unit(rng))
  }
  expect(draw(1, 'mixes')).toEqual(draw(1, 'mixes'))
  const streams = [draw(1, 'mixes'), draw(2, 'mixes'), draw(1, 'paths'), draw(1 + 2 ** 32, 'mixes')]
  expect(new Set(streams.map(([first]) => first)).size).toBe(4)
})
