import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { runSphinxVectors } from '@mixmint/mixnet/sphinx/kat'
import { native, suites } from './sphinx-material.ts'

const file = readFileSync(new URL('../vectors/lip99-sphinx.json', import.meta.url), 'utf8')

interface Leaf { path: Array<string | number>, value: unknown }

function leaves (value: unknown, path: Leaf['path'] = []): Leaf[] {
  if (typeof value !== 'object' || value === null) return [{ path, value }]
  return Object.entries(value).flatMap(([name, inner]) => leaves(inner, [...path, Array.isArray(value) ? Number(name) : name]))
}

/** The first vector alone, with the value at this place changed. */
function changed (path: Leaf['path'], change: (value: unknown) => unknown): unknown {
  const parsed = JSON.parse(file) as { vectors: unknown[] }
  const copy = { vectors: parsed.vectors.slice(0, 1) }
  let at = copy as Record<string | number, unknown>
  for (const name of path.slice(0, -1)) at = at[name] as Record<string | number, unknown>
  const last = path[path.length - 1]
  const value = change(at[last])
  if (value === undefined) delete at[last]
  else at[last] = value
  return copy
}

/** Another value of the same shape: one hexadecimal digit in the middle, or one more. */
function another (value: unknown): unknown {
  if (typeof value === 'number') return value + 1
  const text = value as string
  if (!/^[0-9a-f]{16,}$/.test(text)) return text === 'exit' ? 'reply' : 'exit'
  const middle = text.length >> 1
  return text.slice(0, middle) + (text[middle] === '0' ? '1' : '0') + text.slice(middle + 1)
}

const all = leaves({ vectors: (JSON.parse(file) as { vectors: unknown[] }).vectors.slice(0, 1) })

describe('the vectors of LIBP2P-MIX', () => {
  test.each(suites)('hold with the $name suite', suite => {
    expect(runSphinxVectors(suite, JSON.parse(file))).toEqual([])
  })

  test('a wrong value anywhere fails, by name', () => {
    expect(all.length).toBeGreaterThan(40)
    for (const { path } of all) {
      // The first hop's address is in no packet, and the file does not hold whole SURBs.
      if (path.join('.') === 'vectors.0.hops.0.address') continue
      const failures = runSphinxVectors(native, changed(path, another))
      expect(failures.length, path.join('.')).toBeGreaterThan(0)
      for (const failure of failures) expect(failure).toMatch(/^vector 0 \(L=\d\): /)
    }
  })

  test('one wrong step is named alone', () => {
    expect(runSphinxVectors(native, changed(['vectors', 0, 'steps', 1, 'tag'], another))).toEqual(['vector 0 (L=3): step 1: tag'])
    expect(runSphinxVectors(native, changed(['vectors', 0, 'surb', 'header'], another))).toContain('vector 0 (L=3): SURB: create')
  })

  test('a wrong vector does not hide the others', () => {
    const parsed = JSON.parse(file) as { vectors: unknown[] }
    expect(runSphinxVectors(native, { vectors: [{}, ...parsed.vectors, null] })).toEqual([
      'vector 0: malformed: pathLength: a whole number wanted', 'vector 4: malformed: vector: an object wanted'
    ])
  })
})

describe('a file of another shape fails by name and never throws', () => {
  test('no vectors', () => {
    for (const raw of [undefined, null, 1, 'x', [], {}, { vectors: {} }, { vectors: [] }]) expect(runSphinxVectors(native, raw)).toHaveLength(1)
  })

  test('missing or of another type, anywhere', () => {
    for (const { path } of all) {
      for (const value of [undefined, null, [], 'zz', 1.5]) {
        const failures = runSphinxVectors(native, changed(path, () => value))
        expect(failures, path.join('.')).toEqual([expect.stringMatching(/malformed: .+ wanted$/)])
      }
    }
  })

  test('anything', () => {
    fc.assert(fc.property(fc.jsonValue(), raw => { expect(runSphinxVectors(native, raw).length).toBeGreaterThan(0) }))
    fc.assert(fc.property(fc.constantFrom(...all), fc.jsonValue(), ({ path, value: before }, value) => {
      fc.pre(value !== before)
      expect(runSphinxVectors(native, changed(path, () => value)).length).toBeGreaterThan(0)
    }), { numRuns: 50 })
  })
})
