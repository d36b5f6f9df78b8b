/** A little of every fuzzer, always the same; test/slow/fuzz.test.ts has more, always other. */
import { describe, expect, it } from 'vitest'
import { fuzz } from '../fuzz/fuzz.ts'
import { targets } from '../fuzz/targets.ts'

describe('fuzzing', () => {
  it.each(targets)('$name', async ({ quick, ...target }) => {
    expect(await fuzz(target, { seed: 'quick', rounds: quick })).toBe(quick)
  })
})
