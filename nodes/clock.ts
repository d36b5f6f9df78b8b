/** The real clock and chance of a process, as the ports that engines take. */
import { randomBytes } from 'node:crypto'
import type { Clock, Rng } from '@mixmint/core/kit/ports'

export const systemClock: Clock = { now: () => Date.now() }

export const systemRng: Rng = { bytes: length => new Uint8Array(randomBytes(length)) }

export async function sleep (ms: number): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, ms))
}
