import { describe, expect, it } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { content, expectNothingHeld, isAnswered, LIMIT, network } from './session-material.ts'

describe('on links that lose packets', () => {
  it('999 of 1000 requests succeed within 30 s at a loss of 40 % of all round trips', () => {
    // As much as ten links that lose 5 % each, the path of five hops there and back; short paths are cheaper to compute.
    const net = network({ pathLength: 3, loss: 0.085 })
    const calls = Array.from({ length: 1000 }, (_, i) => net.request(content(200, i), { deadline: 30_000 }))
    net.run()
    expect(calls.filter((call, i) => isAnswered(net, call, content(200, i))).length).toBeGreaterThanOrEqual(999)
    expect(Math.max(...net.runs.values())).toBe(1)
    expectNothingHeld(net)
  }, 120_000)

  it.each([0, 200, 9000, LIMIT])('%i bytes there and back over five hops that lose 5 % each', size => {
    const net = network({ loss: 0.05, seed: `loss ${size}` })
    const call = net.request(content(size), { deadline: 60_000 })
    net.run()
    expect(isAnswered(net, call, content(size))).toBe(true)
    expect([...net.runs.values()]).toEqual([1])
    expectNothingHeld(net)
  })

  it('no packet is sent twice: a retransmission takes a fresh path', () => {
    const net = network()
    const seen = new Set<string>()
    net.intercept = (from, packet) => {
      if (from === 'wallet') seen.add(toHex(packet))
      return true
    }
    net.request(content(5000), { deadline: 20_000 })
    net.run()
    expect(net.packetsSent).toBeGreaterThan(10)
    expect(seen.size).toBe(net.packetsSent)
  })
})
