/** A store for visitors: remembers nothing, finds nothing. For those who fetch the directory once and leave. */
import type { Store } from '@mixmint/core/kit/ports'

export const noStore: Store = {
  get: async () => null,
  scan: async () => [],
  batch: async () => ({ done: true }),
  close: async () => {}
}
