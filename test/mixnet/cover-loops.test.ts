import { describe, expect, test } from 'vitest'
import { equal, toHex } from '@mixmint/core/kit/bytes'
import { loopPaths } from '@mixmint/mixnet/directory/route'
import { Loops, type LoopsEffect, type LoopsEvent } from '@mixmint/mixnet/cover/loops'
import { readCover } from '@mixmint/mixnet/cover/message'
import { seed, testNode } from '../doubles/directory.ts'
import { EngineClock } from '../doubles/engine-clock.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'
import { ksOneSample } from '../reference/statistics.ts'
import { follow, now, PACKET_SIZE, suite, view } from './cover-material.ts'

const HOME = 2000

class Node {
  readonly meter = new CountingMeter()
  readonly clock = new EngineClock(now)
  readonly effects: LoopsEffect[] = []
  readonly sentAt: number[] = []
  readonly passed = new Set<string>()
  readonly loops: Loops
  mean = 1000
  hasPath = true
  /** Of the loops that it sends, which come home. */
  comes: (number: number) => boolean = () => true
  readonly #self: Uint8Array
  readonly #rng = seededRng('loops')

  constructor (name: string) {
    const self = testNode(name).peer
    this.#self = self
    this.loops = new Loops({
      suite, meter: this.meter, parameters: () => ({ mean: this.mean, packetSize: PACKET_SIZE }),
      path: loopPaths(() => this.hasPath ? view : null, self), homeWithin: () => HOME
    })
  }

  step (event: LoopsEvent): void {
    for (const effect of this.loops.step(event, this.clock.now, this.#rng)) {
      this.effects.push(effect)
      if (effect.do !== 'send') continue
      this.sentAt.push(this.clock.now)
      const end = follow(this.#self, effect.firstHop, effect.packet)
      const cover = end.is === 'exit' ? readCover(end.message) : null
      if (cover?.is !== 'loop' || !equal(testNode(end.at).peer, this.#self)) throw new Error('not a loop')
      for (const name of end.passed) this.passed.add(name)
      if (this.comes(this.sentAt.length)) this.step({ is: 'home', nonce: cover.nonce })
    }
  }

  run (ms: number): this {
    this.step({ is: 'timer' })
    this.clock.run(this.clock.now + ms, this.loops, () => { this.step({ is: 'timer' }) })
    return this
  }
}

const layer = (...layers: number[]): string[] => layers.flatMap(n => [0, 1].map(i => n === 0 ? `gateway ${i}` : `mix ${n - 1 + 3 * i}`)).sort()

describe('loops', () => {
  // In testNetwork mixes 0, 3 stand in layer 1; 1, 4 in layer 2; 2, 5 in layer 3.
  test.each([
    ['gateway 0', layer(1, 2, 3)], ['bank', layer(1, 2, 3)],
    ['mix 0', layer(0, 2, 3)], ['mix 1', layer(0, 1, 3)], ['mix 5', layer(0, 1, 2)]
  ])('of %s pass all other layers and come home, each hop allowing it', (name, others) => {
    const node = new Node(name).run(60_000)
    expect([...node.passed].sort()).toEqual(others)
    const { sent, returned, pending, nodes } = node.loops.figures()
    expect([sent, returned, pending]).toEqual([node.sentAt.length, node.sentAt.length, 0])
    expect(nodes.map(({ node: link }) => link).sort()).toEqual(others.map(other => toHex(testNode(other).peer)).sort())
    expect(node.meter.of('cover_dropped', { reason: 'unknown-loop' })).toBe(0)
  })

  test('leave at exponential distances; those that stay away are counted and raise the alarm', () => {
    const node = new Node('mix 0')
    node.comes = number => number <= 100
    node.run(300_000)
    const { sentAt } = node
    expect(ksOneSample(sentAt.slice(1).map((at, i) => at - sentAt[i]), x => 1 - Math.exp(-x / 1000))).toBeGreaterThan(0.001)
    expect(node.loops.figures()).toMatchObject({ returned: 100, alarms: ['all'] })
    expect(node.effects.filter(effect => effect.do !== 'send')).toMatchObject([{ do: 'alarm', about: 'all', count: { lost: 12 } }])
    node.comes = () => true
    node.run(200_000)
    expect(node.effects.filter(effect => effect.do !== 'send').map(effect => effect.do)).toEqual(['alarm', 'clear'])
  })

  test('another document: another mean, and no alarm about whom it does not list', () => {
    const node = new Node('mix 0')
    node.mean = 0
    node.run(10_000)
    expect([node.sentAt.length, node.loops.due]).toEqual([0, null])
    node.mean = 100
    node.step({ is: 'document', isListed: () => true })
    const bad = testNode('mix 1').peer
    node.comes = number => number % 2 === 0
    expect(Math.abs(node.run(10_000).sentAt.length - 100)).toBeLessThan(40)
    expect(node.loops.figures().alarms).not.toContain(toHex(bad))
    node.hasPath = false
    const before = node.sentAt.length
    node.run(5_000)
    expect(node.sentAt).toHaveLength(before)
    expect(node.meter.of('cover_unsent', { reason: 'no-path' })).toBeGreaterThan(20)
  })

  test('a loop that is not missed is counted, and nothing else', () => {
    const node = new Node('mix 0')
    node.step({ is: 'home', nonce: seed('a nonce').subarray(0, 16) })
    expect(node.meter.of('cover_dropped', { reason: 'unknown-loop' })).toBe(1)
    expect([node.effects, node.loops.figures().returned]).toEqual([[], 0])
  })
})
