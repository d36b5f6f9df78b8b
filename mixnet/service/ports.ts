/** Clock and chance of the platform that the service runs on, browser or Node, as the ports that engines take. */
import type { Clock, Rng } from '@mixmint/core/kit/ports'

/** What getRandomValues gives at one call. */
const AT_ONCE = 65_536

export const platformClock: Clock = { now: () => Date.now() }

export const platformRng: Rng = {
  bytes: length => {
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length; at += AT_ONCE) crypto.getRandomValues(bytes.subarray(at, at + AT_ONCE))
    return bytes
  }
}

export async function sleep (ms: number): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, ms))
}
