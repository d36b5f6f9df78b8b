/** Paths of cover. */
import { toHex } from '@mixmint/core/kit/bytes'
import { isMixmintError } from '@mixmint/core/kit/errors'
import type { Meter } from '@mixmint/core/kit/ports'
import type { LinkId } from '../mixing/engine.ts'
import { parseAddress } from '../sphinx/address.ts'
import type { Hop } from '../sphinx/wrap.ts'

/** The nodes at these hops. */
export function nodesOf (hops: readonly Hop[]): LinkId[] {
  return hops.flatMap(({ address }) => {
    const parsed = parseAddress(address)
    return parsed === null ? [] : [toHex(parsed.peer)]
  })
}

/** Null, and counted, where there is no path now, or a node on it has a key of low order: another time there will be another. */
export function attempt<T> (meter: Meter, make: () => T | null): T | null {
  let made: T | null = null
  let reason = 'no-path'
  try {
    made = make()
  } catch (error) {
    if (!isMixmintError(error, 'bad-hop-key')) throw error
    reason = error.code
  }
  if (made === null) meter.count('cover_unsent', { reason })
  return made
}
