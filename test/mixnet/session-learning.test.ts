/** What a requester tells whoever chooses its paths of how these served. */
import { describe, expect, it } from 'vitest'
import type { Path } from '@mixmint/mixnet/session/engines'
import type { MixNetwork } from '../doubles/mix-network.ts'
import { content, isAnswered, network } from './session-material.ts'

interface Learned { readonly path: Path, readonly kind: 'there' | 'back', readonly arrived: boolean }

/** The network with a record of the paths given out, and of what came of them. */
function learning (net: MixNetwork): { given: Map<Path, 'there' | 'back'>, learned: Learned[] } {
  const given = new Map<Path, 'there' | 'back'>()
  const learned: Learned[] = []
  const { forward, back } = net.paths
  const note = (path: Path, kind: 'there' | 'back'): Path => {
    given.set(path, kind)
    return path
  }
  net.requester = net.newRequester({
    paths: {
      forward: () => note(forward(), 'there'),
      back: () => note(back(), 'back'),
      learned: (path, arrived) => { learned.push({ path, kind: given.get(path) as 'there' | 'back', arrived }) }
    }
  })
  return { given, learned }
}

describe('of a path', () => {
  it('that brought the SURB of an answer, and the way of that answer: they serve', () => {
    const net = network()
    const { given, learned } = learning(net)
    const call = net.request(content(100))
    net.run()
    expect(isAnswered(net, call, content(100))).toBe(true)
    expect(learned.map(({ kind, arrived }) => `${kind} ${arrived}`).sort()).toEqual(['back true', 'there true'])
    expect([...given.values()].filter(kind => kind === 'there')).toHaveLength(1)
  })

  it('of a packet sent again, to which nothing came home in time: they lost it, its own or that of the SURB used first', () => {
    const net = network()
    const { given, learned } = learning(net)
    net.intercept = () => true
    net.request(content(100), { deadline: 30_000 })
    net.run()
    expect(learned.length).toBeGreaterThan(2)
    expect(learned.filter(({ arrived }) => arrived)).toEqual([])
    expect(new Set(learned.map(({ path }) => path)).size).toBe(learned.length)
    const flights = [...given.values()].filter(kind => kind === 'there').length
    expect(learned.filter(({ kind }) => kind === 'there').length).toBeLessThanOrEqual(flights)
    expect(learned.filter(({ kind }) => kind === 'back').length).toBeLessThanOrEqual(flights)
  })

  it('of the first flight, whose answer came, if late: nothing is held against it', () => {
    let late = 0
    for (let seed = 0; seed < 150; seed++) {
      const net = network({ seed: `late ${seed}`, handler: bytes => ({ answer: bytes, after: 700 + 10 * seed }) })
      const { given, learned } = learning(net)
      net.request(content(100))
      const first = new Set(given.keys())
      // The repeats are lost: what answers is the first.
      let sent = 0
      net.intercept = from => from === 'wallet' && sent++ >= 0
      net.run()
      if (net.packetsSent > 1 && learned.some(({ arrived }) => arrived)) late += 1
      expect(learned.filter(({ path, arrived }) => !arrived && first.has(path))).toEqual([])
    }
    expect(late).toBeGreaterThan(10)
  })

  it('that nobody had to use: nothing', () => {
    const net = network({ handler: bytes => ({ answer: bytes, after: 20_000 }) })
    const { learned } = learning(net)
    const call = net.request(content(9000), { replySize: 9000 })
    net.run()
    expect(isAnswered(net, call, content(9000))).toBe(true)
    expect(learned.filter(({ arrived }) => !arrived)).toEqual([])
  })
})
