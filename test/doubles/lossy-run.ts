/** Requests one after the other over a network that loses packets, and what they cost: for tests fast and slow. */
import { toHex } from '@mixmint/core/kit/bytes'
import { MixNetwork, type NetworkOptions } from './mix-network.ts'
import { toySuite } from './toy-suite.ts'

export interface LossyRun {
  readonly requests: number
  /** Bytes. */
  readonly requestSize: number
  readonly replySize: number
  /** Is the length of the reply known beforehand? */
  readonly hinted: boolean
  readonly deadline: number
  readonly seed: string
  readonly network?: Partial<NetworkOptions>
}

export interface LossyResult {
  readonly failed: number
  /** ms, ascending, of those that succeeded. */
  readonly latencies: readonly number[]
  readonly packetsPerRequest: number
  readonly repliesPerRequest: number
  readonly runsPerRequest: number
  /** Everything given back at the end. */
  readonly clean: boolean
}

export function lossyRun ({ requests, requestSize, replySize, hinted, deadline, seed, network = {} }: LossyRun): LossyResult {
  const reply = new Uint8Array(replySize)
  const net = new MixNetwork({ suite: toySuite, seed, loss: 0.05, ...network, handler: () => ({ answer: reply, after: 10 }) })
  const latencies: number[] = []
  for (let i = 0; i < requests; i++) {
    const content = new Uint8Array(requestSize)
    new DataView(content.buffer).setUint32(0, i)
    new DataView(reply.buffer).setUint32(0, i)
    const start = net.now
    const call = net.request(content, { deadline, replySize: hinted ? replySize : 0 })
    while (!net.outcomes.has(call)) net.run(net.now + 20)
    const outcome = net.outcomes.get(call)
    if (outcome === undefined || 'error' in outcome) continue
    if (toHex(outcome.content.subarray(0, 4)) !== toHex(reply.subarray(0, 4)) || outcome.content.length !== replySize) throw new Error('another answer')
    latencies.push(net.now - start)
  }
  const [packets, replies] = [net.packetsSent, net.repliesSent.length]
  net.quiet()
  net.run()
  const { calls, surbs } = net.requester.held
  const { requests: remembered, running, bytes } = net.responder.held
  return {
    failed: requests - latencies.length, latencies: latencies.sort((a, b) => a - b), packetsPerRequest: packets / requests, repliesPerRequest: replies / requests,
    runsPerRequest: [...net.runs.values()].reduce((sum, count) => sum + count, 0) / requests, clean: calls + surbs + remembered + running + bytes === 0
  }
}
