/** What the tests of sessions share: a network of engines, contents, and what must be left over: nothing. */
import { expect } from 'vitest'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { concat, toHex, u32 } from '@mixmint/core/kit/bytes'
import { MixNetwork, type NetworkOptions } from '../doubles/mix-network.ts'

const suite = await defaultSuite()
export const LIMIT = 1 << 18

export function network (options: Partial<NetworkOptions> = {}): MixNetwork {
  return new MixNetwork({ suite, seed: 'session', ...options })
}

/** Bytes of this length, different everywhere and for every seed. */
export function content (length: number, seed = 0): Uint8Array {
  return suite.chacha20(new Uint8Array(32).fill(7), concat(u32(seed), new Uint8Array(8)), new Uint8Array(length))
}

export function isAnswered (net: MixNetwork, call: number, answer: Uint8Array): boolean {
  const outcome = net.outcomes.get(call)
  return outcome !== undefined && 'content' in outcome && toHex(outcome.content) === toHex(answer)
}

export function expectNothingHeld (net: MixNetwork): void {
  expect(net.requester.held).toEqual({ calls: 0, surbs: 0 })
  expect(net.requester.due).toBeNull()
  expect(net.responder.held).toEqual({ requests: 0, running: 0, bytes: 0 })
  expect(net.responder.due).toBeNull()
  expect(new Set(net.repliesSent).size).toBe(net.repliesSent.length)
}
