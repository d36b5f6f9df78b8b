/** As test/mixnet/path-leaks.test.ts, with so many packets that a bias of a bit by 5 %, or of a byte's values, shows. */
import { expect, it } from 'vitest'
import { biasedBits, linked, toldApart, unevenBytes } from '../reference/leaks.ts'
import { alphas, KINDS, sample, withoutAlpha, type Sample } from '../mixnet/leak-material.ts'

const COUNT = 1500
const UNLIKELY = 1e-5

it('the bytes of packets tell neither path, nor position, nor kind', async ({ annotate }) => {
  let reference: Sample | null = null
  for (const length of [3, 4, 5]) {
    for (const kind of length === 5 ? KINDS : ['request', 'reply'] as const) {
      const found = sample(kind, length, COUNT)
      reference ??= found
      const values: number[] = []
      found.at.forEach((packets, hop) => {
        const bytes = withoutAlpha(packets)
        const { sum, greatest } = biasedBits(bytes)
        values.push(sum, greatest, unevenBytes(bytes), biasedBits(alphas(packets)).greatest, unevenBytes(alphas(packets).map(alpha => alpha.subarray(0, 30))))
        // Against the first packets sampled, requests on paths of three at their first hop: then all are alike.
        if (found !== reference || hop > 0) values.push(toldApart(bytes, withoutAlpha(reference?.at[0] ?? [])))
        if (hop > 0) values.push(linked(withoutAlpha(found.at[hop - 1]), bytes))
      })
      await annotate(`${kind}, path of ${length}: least p-value ${Math.min(...values).toFixed(5)} of ${values.length}`)
      expect(Math.min(...values)).toBeGreaterThan(UNLIKELY)
    }
  }
}, 1_800_000)
