/** A store for visitors: remembers nothing, finds nothing. For those who keep up with the directory for as long as they run, or fetch it once. */
import type { Store } from './ports.ts'

export const noStore: Store = {
  get: async () => null,
  scan: async () => [],
  batch: async () => ({ done: true }),
  close: async () => {}
}
