/** Every fuzzer for some seconds, each time with other chance: see test/fuzz/fuzz.ts. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { fuzz, once } from '../fuzz/fuzz.ts'
import { targets } from '../fuzz/targets.ts'

const seconds = Number(process.env.FUZZ_SECONDS ?? 20)
const round = process.env.FUZZ_ROUND

describe('fuzzing', () => {
  it.for(targets)('$name', { timeout: seconds * 1000 + 120_000 }, async (target, { annotate }) => {
    if (round !== undefined) {
      await once(target, round)
      return
    }
    const rounds = await fuzz(target, { seed: toHex(new Uint8Array(randomBytes(4))), seconds })
    await annotate(`${rounds} rounds`)
    expect(rounds).toBeGreaterThan(0)
  })
})
