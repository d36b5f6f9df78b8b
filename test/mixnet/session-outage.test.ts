/** What becomes of requests while the network is down, in one direction or both: little is sent, and nothing starves. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { MixNetwork } from '../doubles/mix-network.ts'
import { toySuite } from '../doubles/toy-suite.ts'
import { LIMIT } from './session-material.ts'

const SECOND = 1000

function net (seed: string, loss = 0.05): MixNetwork {
  return new MixNetwork({ suite: toySuite, seed, loss, handler: content => ({ answer: new Uint8Array(new DataView(content.buffer, content.byteOffset).getUint32(0)), after: 10 }) })
}

/** A request of so many bytes that asks for so many. */
function asking (size: number, replySize: number): Uint8Array {
  const content = new Uint8Array(Math.max(4, size))
  new DataView(content.buffer).setUint32(0, replySize)
  return content
}

it('whenever and however long it is down, requests are answered soon after', () => {
  fc.assert(fc.property(
    fc.constantFrom(10, 20_000, LIMIT), fc.constantFrom(10, 20_000, LIMIT), fc.boolean(), fc.constantFrom('wallet', 'service', 'mix'),
    fc.integer({ min: 0, max: 6 * SECOND }), fc.integer({ min: 0, max: 10 * SECOND }), fc.integer(),
    (size, replySize, hinted, where, from, length, seed) => {
      const network = net(`outage ${seed}`)
      const start = network.now
      network.intercept = at => at === where && network.now >= start + from && network.now < start + from + length
      const call = network.request(asking(size, replySize), { deadline: 90 * SECOND, replySize: hinted ? replySize : 0 })
      while (!network.outcomes.has(call)) network.run(network.now + 100)
      const outcome = network.outcomes.get(call)
      expect(outcome !== undefined && 'content' in outcome && outcome.content.length).toBe(replySize)
      expect([...network.runs.values()]).toEqual([1])
    }), { numRuns: 40, seed: 3 })
})

it.each([
  { what: 'nothing arrives', where: 'wallet', size: LIMIT, most: 115 },
  { what: 'no answer comes back', where: 'service', size: LIMIT, most: 180 },
  { what: 'nothing arrives of a short request', where: 'wallet', size: 10, most: 25 },
  { what: 'no answer comes back to a short request', where: 'service', size: 10, most: 25 }
] as const)('when $what for a minute, little more is sent than the request', ({ where, size, most }) => {
  const network = net('silence', 0)
  network.intercept = at => at === where
  const call = network.request(asking(size, 10), { deadline: 60 * SECOND })
  network.run()
  const outcome = network.outcomes.get(call)
  expect(outcome !== undefined && 'error' in outcome && outcome.error.code).toBe('lost')
  expect(network.packetsSent).toBeLessThan(most)
})

it('a service at work for a minute is asked now and then, and its SURBs do not run out', () => {
  const network = new MixNetwork({ suite: toySuite, seed: 'slow', loss: 0.05, handler: () => ({ answer: new Uint8Array(LIMIT), after: 60 * SECOND }) })
  const call = network.request(new Uint8Array(10), { deadline: 120 * SECOND })
  network.run(network.now + 60 * SECOND)
  expect(network.packetsSent).toBeLessThan(60)
  expect(network.repliesSent.length).toBeLessThan(40)
  network.run()
  const outcome = network.outcomes.get(call)
  expect(outcome !== undefined && 'content' in outcome && outcome.content.length).toBe(LIMIT)
})

it('many requests that get no answer are sent more and more slowly', () => {
  const network = net('jam', 0)
  network.intercept = () => true
  for (let i = 0; i < 300; i++) network.request(asking(10, i), { deadline: 60 * SECOND })
  network.run(network.now + 20 * SECOND)
  const early = network.packetsSent
  network.run(network.now + 20 * SECOND)
  // A window of four packets in the time of one way, about 550 ms here.
  expect(network.packetsSent - early).toBeLessThan(20 * SECOND / 550 * 4 * 1.5)
  expect(early).toBeGreaterThan(200)
})
