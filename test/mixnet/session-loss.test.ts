import { describe, expect, it } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { lossyRun } from '../doubles/lossy-run.ts'
import { content, expectNothingHeld, isAnswered, LIMIT, network } from './session-material.ts'

const DEADLINE = 60_000

describe('on paths of five hops that lose 5 % each, there and back', () => {
  it('999 of 1000 small requests succeed', () => {
    const { failed, latencies, packetsPerRequest, runsPerRequest, clean } = lossyRun({ requests: 1000, requestSize: 200, replySize: 500, hinted: false, deadline: DEADLINE, seed: 'small' })
    expect(failed).toBeLessThanOrEqual(1)
    expect(runsPerRequest).toBe(1)
    expect(latencies[500]).toBeLessThan(1000)
    expect(latencies[990]).toBeLessThan(8000)
    // A packet there and back arrives with probability 0.6, and who waits longer sends more copies.
    expect(packetsPerRequest).toBeLessThan(2.5)
    expect(clean).toBe(true)
  })

  it.each([
    { requestSize: LIMIT, replySize: 500, hinted: false, packets: 150, replies: 15 },
    { requestSize: 200, replySize: LIMIT, hinted: true, packets: 45, replies: 130 },
    { requestSize: 200, replySize: LIMIT, hinted: false, packets: 45, replies: 130 },
    { requestSize: LIMIT, replySize: LIMIT, hinted: true, packets: 170, replies: 140 }
  ])('$requestSize bytes there and $replySize back succeed', ({ packets, replies, ...sizes }) => {
    const { failed, packetsPerRequest, repliesPerRequest, runsPerRequest, clean } = lossyRun({ requests: 10, ...sizes, deadline: DEADLINE, seed: 'large' })
    expect(failed).toBe(0)
    expect(runsPerRequest).toBe(1)
    expect(packetsPerRequest).toBeLessThan(packets)
    expect(repliesPerRequest).toBeLessThan(replies)
    expect(clean).toBe(true)
  })

  it('and duplicate and reorder the others, nothing is mixed up', () => {
    const { failed, runsPerRequest, clean } = lossyRun({
      requests: 100, requestSize: 9000, replySize: 9000, hinted: false, deadline: DEADLINE, seed: 'twice', network: { duplicates: 0.3, echoes: 0.3 }
    })
    expect(failed).toBe(0)
    expect(runsPerRequest).toBe(1)
    expect(clean).toBe(true)
  })
})

describe('on links that lose packets', () => {
  it.each([0, 9000, LIMIT])('%i bytes there and back in packets that are really encrypted', size => {
    const net = network({ loss: 0.05, seed: `loss ${size}` })
    const call = net.request(content(size), { deadline: DEADLINE })
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
