import { describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { Heap } from '@mixmint/core/kit/heap'

describe('the heap', () => {
  test('gives its items in order, whatever comes and goes in between', () => {
    fc.assert(fc.property(fc.array(fc.option(fc.integer({ min: 0, max: 50 })), { maxLength: 200 }), steps => {
      const heap = new Heap<number>((a, b) => a < b)
      const model: number[] = []
      for (const step of steps) {
        if (step === null) {
          expect(heap.peek()).toBe(model[0])
          expect(heap.pop()).toBe(model.shift())
        } else {
          heap.push(step)
          model.push(step)
          model.sort((a, b) => a - b)
        }
        expect(heap.size).toBe(model.length)
        expect([...heap].sort((a, b) => a - b)).toEqual(model)
      }
    }))
  })
})
