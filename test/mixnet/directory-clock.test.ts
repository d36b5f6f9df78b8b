/** A node's mix keys and descriptors while its clock is wrong, authorities are away, or its disk is full. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Log } from '@mixmint/core/kit/ports'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import type { Descriptor } from '@mixmint/mixnet/directory/formats'
import { answerDirectory, type Ask } from '@mixmint/mixnet/wire/directory'
import { NodePublisher } from '@mixmint/mixnet/wire/directory-publisher'
import { EPOCH, NETWORK, PARAMETERS, START, testNode } from '../doubles/directory.ts'
import { MemoryKeys } from '../doubles/memory-keys.ts'
import { MemoryStore } from '../doubles/memory-store.ts'
import { seededRng } from '../doubles/rng.ts'

const suite = await defaultSuite()
const { epochLength, epochGrace, clockSkew } = PARAMETERS
const HOUR = 3_600_000
const NOW = START + 60_000
const clock = { now: (): number => Date.now() }
const publishers: NodePublisher[] = []

beforeEach(() => { vi.useFakeTimers({ now: NOW, toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] }) })
afterEach(async () => {
  await Promise.all(publishers.splice(0).map(async publisher => { await publisher.stop() }))
  vi.useRealTimers()
})

class Authorities {
  /** What each has taken. */
  readonly taken: Descriptor[][]
  readonly asks: Ask[]
  /** Those that do not answer. */
  readonly away = new Set<number>()
  readonly #began = performance.now()

  constructor (n: number) {
    this.taken = Array.from({ length: n }, () => [])
    this.asks = this.taken.map((taken, i): Ask => async request => {
      if (this.away.has(i)) throw new MixmintError('not-sent', 'peer', 'nobody there', { retry: true })
      return await answerDirectory(request, async asked => {
        if (asked.op !== 'publish') throw new MixmintError('document-unavailable', 'peer', 'not here')
        const { descriptor } = asked.signed
        if (descriptor.published > this.now + clockSkew) throw new MixmintError('descriptor-future', 'peer', 'set the clock')
        taken.push(descriptor)
        return { is: 'published' }
      })
    })
  }

  /** The right time, whatever the node's clock says. */
  get now (): number { return NOW + performance.now() - this.#began }
}

/** What the node of a test has, over its restarts. */
class Node {
  readonly files = new MemoryKeys()
  readonly errors: string[] = []
  readonly keys = new Set<number>()
  /** How long it takes to know what to say of itself, ms. */
  thinks = 0
  readonly #authorities: Authorities

  constructor (authorities: Authorities) {
    this.#authorities = authorities
  }

  async start (): Promise<NodePublisher> {
    const log: Log = { info: () => {}, warn: (_, fields) => { this.errors.push(String(fields?.code)) }, error: (_, fields) => { this.errors.push(String(fields?.code)) } }
    const publisher = new NodePublisher({
      suite, network: NETWORK, log, schedule: async () => PARAMETERS,
      ports: { clock, rng: seededRng('clock'), store: new MemoryStore(), wait: async () => {} },
      node: {
        secret: testNode('mix 0').secret, mixKeys: this.files, publishTo: () => this.#authorities.asks,
        describe: async signal => {
          if (this.thinks > 0) {
            await new Promise<void>(resolve => {
              setTimeout(resolve, this.thinks)
              signal.addEventListener('abort', () => { resolve() })
            })
          }
          return { role: 'mix', kind: '', addresses: ['/ip4/127.0.0.1/tcp/4001'], entry: [], body: new Uint8Array(0) }
        },
        onKeys: ({ added, destroyed }) => {
          for (const { epoch } of added) this.keys.add(epoch - EPOCH)
          for (const { epoch } of destroyed) this.keys.delete(epoch - EPOCH)
        }
      }
    })
    publishers.push(publisher)
    await publisher.start()
    await pass(1)
    return publisher
  }

  get kept (): number[] { return [...this.files.keys.keys()].map(epoch => epoch - EPOCH) }
}

const pass = async (ms: number): Promise<void> => {
  for (let left = ms; left > 0; left -= 10_000) await vi.advanceTimersByTimeAsync(Math.min(left, 10_000))
}
const jump = (ms: number): void => { vi.setSystemTime(Date.now() + ms) }
const epochs = (descriptor: Descriptor | undefined): number[] => descriptor?.mixKeys.map(({ epoch }) => epoch - EPOCH) ?? []

describe('a clock that goes an hour ahead', () => {
  it('destroys no key, and once it is set right everything goes on', async () => {
    const authorities = new Authorities(1)
    const node = new Node(authorities)
    await node.start()
    jump(HOUR)
    await pass(60_000)
    expect(node.kept).toEqual(expect.arrayContaining([0, 1, 2]))
    // The authority takes nothing of that date.
    expect(authorities.taken[0]).toHaveLength(1)
    expect(node.errors).toContain('descriptor-future')
    jump(-HOUR)
    await pass(30_000)
    const [first, second] = authorities.taken[0]
    expect(second.published).toBeLessThanOrEqual(authorities.now)
    expect(second.mixKeys).toEqual(first.mixKeys)
    await pass(2 * epochLength)
    // In each epoch again, not only when the hour has passed.
    expect(authorities.taken[0].map(descriptor => epochs(descriptor)[0])).toEqual([0, 0, 1, 2])
  })

  it('and stays there: its keys last as long as they are listed, by the clock that nobody sets', async () => {
    const authorities = new Authorities(1)
    const node = new Node(authorities)
    await node.start()
    authorities.away.add(0)
    jump(HOUR)
    await pass(START + epochLength + epochGrace - NOW - 1000)
    expect(node.kept).toContain(0)
    await pass(10_000)
    expect(node.kept).not.toContain(0)
    expect(node.kept).toEqual(expect.arrayContaining([1, 2]))
  })

  it('while the node is down: what it kept is kept', async () => {
    const authorities = new Authorities(1)
    const node = new Node(authorities)
    await (await node.start()).stop()
    jump(HOUR)
    const again = await node.start()
    await pass(60_000)
    expect(node.kept).toEqual(expect.arrayContaining([0, 1, 2]))
    await again.stop()
    jump(-HOUR)
    await node.start()
    expect(authorities.taken[0].map(epochs)).toEqual([[0, 1, 2], [0, 1, 2]])
  })
})

it('a clock that goes an hour back destroys no key, and what is published is of the right epoch when it is set right', async () => {
  const authorities = new Authorities(1)
  const node = new Node(authorities)
  await node.start()
  jump(-HOUR)
  await pass(60_000)
  expect(node.kept).toEqual(expect.arrayContaining([0, 1, 2]))
  jump(HOUR)
  await pass(epochLength + epochLength / 4)
  expect(epochs(authorities.taken[0].at(-1))).toEqual([1, 2, 3])
})

it('a machine that wakes up in another year destroys the old keys as soon as the authorities confirm the date', async () => {
  const authorities = new Authorities(1)
  const node = new Node(authorities)
  await (await node.start()).stop()
  await pass(10 * epochLength)
  authorities.away.add(0)
  await node.start()
  await pass(60_000)
  expect(node.kept).toEqual(expect.arrayContaining([0, 1, 2]))
  authorities.away.clear()
  await pass(10_000)
  expect(node.kept).toEqual([10, 11, 12])
})

describe('whose word it takes', () => {
  it.each([[1, [0, 1, 2]], [2, [10, 11, 12]]])('of 4 authorities, of which 1 may lie, %i are heard', async (heard, left) => {
    const authorities = new Authorities(4)
    const node = new Node(authorities)
    await (await node.start()).stop()
    await pass(10 * epochLength)
    for (const each of [0, 1, 2, 3].slice(heard)) authorities.away.add(each)
    await node.start()
    await pass(60_000)
    expect(node.kept).toEqual(expect.arrayContaining(left))
    expect(node.kept.includes(0)).toBe(left.includes(0))
  })

  it('cut off from all of them, it destroys its keys in time all the same', async () => {
    const authorities = new Authorities(1)
    const node = new Node(authorities)
    await node.start()
    authorities.away.add(0)
    await pass(epochLength + epochGrace)
    expect(node.kept).not.toContain(0)
    expect(node.keys.has(0)).toBe(false)
  })
})

describe('a full disk', () => {
  it('stops no node that has the key of this epoch: it is published with what it has, and anew with what it lacked', async () => {
    const authorities = new Authorities(1)
    const node = new Node(authorities)
    await node.start()
    node.files.failure = new MixmintError('mix-key-failed', 'operator', 'no room', { retry: true })
    await pass(epochLength + epochLength / 4)
    expect(authorities.taken[0].map(epochs)).toEqual([[0, 1, 2], [1, 2]])
    expect(node.errors).toContain('mix-key-failed')
    node.files.failure = null
    await pass(10_000)
    expect(epochs(authorities.taken[0].at(-1))).toEqual([1, 2, 3])
    expect(node.keys).toEqual(new Set([1, 2, 3]))
  })

  it('keeps a node without any key out of the directory, until there is room', async () => {
    const authorities = new Authorities(1)
    const node = new Node(authorities)
    node.files.failure = new MixmintError('mix-key-failed', 'operator', 'no room', { retry: true })
    await node.start()
    await pass(60_000)
    expect(authorities.taken[0]).toEqual([])
    node.files.failure = null
    await pass(10_000)
    expect(authorities.taken[0].map(epochs)).toEqual([[0, 1, 2]])
  })
})

describe('a node that thinks for long about what to say of itself', () => {
  it('publishes the keys of the epoch in which it says it', async () => {
    const authorities = new Authorities(1)
    const node = new Node(authorities)
    node.thinks = 2 * epochLength
    await node.start()
    await pass(2 * epochLength)
    expect(authorities.taken[0].map(epochs)).toEqual([[2, 3, 4]])
  })

  it('makes and destroys its keys in time all the same', async () => {
    const authorities = new Authorities(1)
    const node = new Node(authorities)
    await node.start()
    node.thinks = 10 * epochLength
    await pass(4 * epochLength + epochGrace)
    expect(authorities.taken[0].map(epochs)).toEqual([[0, 1, 2]])
    expect(node.keys).toEqual(new Set([4, 5, 6]))
    expect(node.kept).toEqual([4, 5, 6])
  })
})

it('keys that cannot be read keep the node from starting', async () => {
  const node = new Node(new Authorities(1))
  node.files.load = async () => { throw new MixmintError('mix-key-broken', 'operator', 'damaged') }
  await expect(node.start()).rejects.toMatchObject({ code: 'mix-key-broken' })
})
