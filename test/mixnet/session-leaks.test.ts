/** What sessions tell: to links by the packets' times and number, to services by what is in them. */
import { expect, it } from 'vitest'
import type { Stream } from '@libp2p/interface'
import { decodeMessage } from '@mixmint/mixnet/sphinx/message'
import { readRequest, type RequestPart } from '@mixmint/mixnet/session/fragment'
import { FrameWriter } from '@mixmint/mixnet/wire/frames'
import { MixNetwork } from '../doubles/mix-network.ts'
import { toySuite } from '../doubles/toy-suite.ts'
import { ksOneSample } from '../reference/statistics.ts'
import { KINDS, sample } from './leak-material.ts'

/** A network whose packets can be read on the way. */
function readable (options: Partial<ConstructorParameters<typeof MixNetwork>[0]> = {}): { net: MixNetwork, parts: Array<RequestPart & { sequence: number, at: number }>, answers: number[] } {
  const net = new MixNetwork({ suite: toySuite, seed: 'leaks', ...options })
  const parts: Array<RequestPart & { sequence: number, at: number }> = []
  const answers: number[] = []
  net.intercept = (from, packet) => {
    const message = decodeMessage(packet.subarray(640))
    if (message === null) throw new Error('no message')
    if (from === 'service') answers.push(message.sequence)
    const part = from === 'wallet' ? readRequest(message.data) : null
    if (part !== null) parts.push({ ...part, sequence: message.sequence, at: net.now })
    return false
  }
  return { net, parts, answers }
}

it('messages bear no number that grows from packet to packet, there or back', () => {
  const { net, parts, answers } = readable({ loss: 0.05 })
  net.request(new Uint8Array(30_000), { replySize: 30_000 })
  net.run()
  expect(net.outcomes.size).toBe(1)
  expect(new Set([...parts.map(({ sequence }) => sequence), ...answers])).toEqual(new Set([0]))
})

it('fragments leave in an order that chance has made: which were dropped does not show in which are missing', () => {
  const { net, parts } = readable()
  let [inversions, pairs, variance] = [0, 0, 0]
  for (let i = 0; i < 60; i++) {
    parts.length = 0
    net.request(new Uint8Array(40_000).fill(i))
    net.run()
    const order = [...new Set(parts.map(({ index }) => index ?? -1).filter(index => index >= 0))]
    const n = order.length
    expect(n).toBeGreaterThan(10)
    for (let a = 0; a < n; a++) for (let b = a + 1; b < n; b++) inversions += order[a] > order[b] ? 1 : 0
    pairs += n * (n - 1) / 2
    variance += n * (n - 1) * (2 * n + 5) / 72
  }
  // Kendall's test, three standard deviations.
  expect(Math.abs(inversions - pairs / 2)).toBeLessThan(3 * Math.sqrt(variance))
})

it('when a lost packet comes again, nobody can foresee: exponentially after the time in which it could have been answered', () => {
  const { net, parts } = readable()
  const observe = net.intercept
  net.intercept = (from, packet) => observe(from, packet) || from === 'wallet'
  const gaps: number[] = []
  for (let i = 0; i < 400; i++) {
    parts.length = 0
    const call = net.request(Uint8Array.of(i & 0xff, i >> 8))
    while (parts.length < 2) net.run(net.now + 50)
    gaps.push(parts[1].at - parts[0].at)
    net.ask({ is: 'cancel', call })
    // Until the window is open to the next, and silence has not made it small.
    net.run(net.now + 2000)
  }
  const roundTrip = Math.min(...gaps)
  const longest = 1 - Math.exp(-4)
  expect(ksOneSample(gaps, x => Math.min(1, (1 - Math.exp(-2 * (x - roundTrip) / roundTrip)) / longest))).toBeGreaterThan(0.001)
})

it('on a stream all kinds of packets take as many bytes, in as many writes', async () => {
  const patterns = [1, 3, 1, 20, 2]
  const writes = new Map<string, number[]>()
  for (const kind of KINDS) {
    const packets = sample(kind, 5, patterns.reduce((a, b) => a + b)).at[0]
    const queue: Uint8Array[] = []
    const sizes: number[] = []
    const stream = { writeStatus: 'writable', writableNeedsDrain: false, addEventListener: () => {}, send: (bytes: Uint8Array) => { sizes.push(bytes.length) } } as unknown as Stream
    const writer = new FrameWriter(stream, () => queue.shift(), 1000)
    for (const burst of patterns) {
      queue.push(...packets.splice(0, burst))
      writer.kick()
      await new Promise(resolve => setImmediate(resolve))
    }
    writes.set(kind, sizes)
  }
  const [first] = writes.values()
  for (const sizes of writes.values()) expect(sizes).toEqual(first)
  for (const size of first) expect(size % (2 + 4608)).toBe(0)
})
