/** Can a store be read? A look at its first entries, for `mixmint doctor`. */
import type { Store } from '@mixmint/core/kit/ports'

const LOOKED_AT = 1000

/** @returns in how many ms it was read @throws what the store refuses with */
export async function checkStore (store: Store): Promise<{ milliseconds: number }> {
  const began = performance.now()
  const entries = await store.scan({ prefix: new Uint8Array(0), limit: LOOKED_AT })
  for (const { key } of entries.slice(-1)) await store.get(key)
  return { milliseconds: Math.round(performance.now() - began) }
}
