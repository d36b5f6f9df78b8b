import { describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { below, unit } from '@mixmint/core/kit/samplers'
import { ALL, LossMonitor, type LossEffect } from '@mixmint/mixnet/cover/loss'
import { binomialTail, fisherTail } from '@mixmint/mixnet/cover/statistics'
import { seededRng } from '../doubles/rng.ts'

const WITHIN = 1000

/** Loops through layers of two mixes each, one a second; `lose` decides. */
class World {
  readonly monitor = new LossMonitor()
  readonly effects: LossEffect[] = []
  readonly #rng
  readonly #layers: readonly string[][]
  now = 1_000_000
  loops = 0

  constructor (seed: string, layers = [['a1', 'a2'], ['b1', 'b2'], ['c1', 'c2'], ['g1', 'g2']]) {
    this.#rng = seededRng(seed)
    this.#layers = layers
  }

  /** Chance that a loop over this path is lost. */
  run (loops: number, lose: (path: readonly string[]) => number): this {
    for (let i = 0; i < loops; i++) {
      const path = this.#layers.map(layer => layer[below(this.#rng, layer.length)])
      const name = `loop ${this.loops++}`
      this.monitor.sent(name, path, WITHIN, this.now)
      if (unit(this.#rng) > lose(path)) this.effects.push(...this.monitor.home(name, this.now + 300))
      this.now += 1000
      this.effects.push(...this.monitor.pass(this.now))
    }
    return this
  }

  get alarms (): string[] {
    return this.effects.filter(effect => effect.do === 'alarm').map(({ about }) => about)
  }
}

const base = (path: readonly string[], bad: string, rate: number): number => path.includes(bad) ? rate : 0.01

describe('an alarm', () => {
  test.each(['a1', 'b2', 'c1', 'g2'])('names the one mix that drops 30 percent, %s, and no other, in a few minutes', bad => {
    for (const seed of ['one', 'two', 'three']) {
      const world = new World(seed)
      world.run(300, path => base(path, bad, 0))
      expect(world.alarms).toEqual([])
      let loops = 0
      while (world.alarms.length === 0 && loops < 400) {
        world.run(1, path => base(path, bad, 0.3))
        loops += 1
      }
      expect(loops).toBeLessThan(300)
      world.run(1000, path => base(path, bad, 0.3))
      expect(new Set(world.alarms)).toEqual(new Set([bad]))
    }
  })

  test('is not raised by ordinary loss of 2 %, however long it lasts', () => {
    expect(new World('ordinary').run(15_000, () => 0.02).alarms).toEqual([])
  })

  test('about all is raised by twelve losses in a row, not by eleven, whatever was before', () => {
    for (const before of [0, 5, 500, 3000]) {
      const world = new World(`cut off after ${before}`).run(before, () => 0)
      expect(world.run(11, () => 1).alarms).toEqual([])
      expect(world.run(1, () => 1).alarms).toEqual([ALL])
      const [alarm] = world.effects.filter(effect => effect.do === 'alarm')
      expect(alarm).toMatchObject({ count: { loops: 12, lost: 12, othersLoops: 0, othersLost: 0 } })
    }
  })

  test('about all is raised, too, when the only mix of a layer drops half: nobody else can be told from it', () => {
    const world = new World('alone', [['a1'], ['b1', 'b2']]).run(200, () => 0.5)
    expect(world.alarms).toEqual([ALL])
  })

  test('about all is not raised by one dead node, where there is another in its place', () => {
    for (const dead of ['a1', 'b2', 'g1']) {
      const world = new World(`${dead} is dead`).run(100, () => 0.01).run(500, path => base(path, dead, 1))
      expect(world.alarms).toEqual([dead])
      expect(world.run(50, () => 1).alarms).toContain(ALL)
    }
  })

  test('about all is over when one node turns out to be the cause: most paths passed it', () => {
    const twice = [['a1', 'a2'], ['b1', 'b2'], ['c1', 'c2'], ['a1', 'a2'], ['b1', 'b2'], ['c1', 'c2']]
    const world = new World('both ways', twice).run(200, () => 0).run(200, path => base(path, 'b2', 1))
    expect(world.effects.map(effect => `${effect.do} ${effect.about}`)).toEqual(['alarm all', 'alarm b2', 'clear all'])
  })

  test('is over when it is better, and raised anew when it is bad again', () => {
    const world = new World('better').run(200, path => base(path, 'b1', 0.5))
    expect(world.alarms).toEqual(['b1'])
    expect(world.monitor.figures().alarms).toEqual(['b1'])
    world.run(250, () => 0.01)
    expect(world.effects.map(effect => `${effect.do} ${effect.about}`)).toEqual(['alarm b1', 'clear b1'])
    world.run(200, path => base(path, 'b1', 0.5))
    expect(world.effects.map(effect => `${effect.do} ${effect.about}`)).toEqual(['alarm b1', 'clear b1', 'alarm b1'])
    const cut = new World('cut').run(50, () => 0).run(40, () => 1).run(60, () => 0)
    expect(cut.effects.map(({ do: what }) => what)).toEqual(['alarm'])
    expect(cut.run(1, () => 0).effects.map(({ do: what }) => what)).toEqual(['alarm', 'clear'])
  })

  test('goes with its node when the directory no longer lists it', () => {
    const world = new World('gone').run(200, path => base(path, 'b1', 0.5))
    expect(world.monitor.keep(node => node !== 'a1')).toEqual([])
    expect(world.monitor.keep(node => node !== 'b1')).toEqual([{ do: 'clear', about: 'b1' }])
    world.run(12, () => 1)
    expect(world.monitor.keep(() => false)).toEqual([])
  })
})

describe('figures', () => {
  test('add up, and say how long loops took', () => {
    const monitor = new LossMonitor()
    monitor.sent('one', ['a', 'b', 'a'], 100, 0)
    monitor.sent('two', ['b'], 100, 10)
    monitor.sent('three', ['c'], 500, 10)
    expect(monitor.due).toBe(100)
    monitor.home('two', 60)
    expect(monitor.pass(99)).toEqual([])
    expect(monitor.isPending('one')).toBe(true)
    monitor.pass(100)
    expect(monitor.isPending('one')).toBe(false)
    monitor.home('one', 101)
    monitor.home('never sent', 101)
    expect(monitor.figures()).toEqual({
      sent: 3, returned: 1, lost: 1, pending: 1, void: 0, delay: { mean: 50, longest: 50 }, alarms: [],
      nodes: [{ node: 'a', loops: 1, lost: 1 }, { node: 'b', loops: 2, lost: 1 }], paths: [{ nodes: ['a', 'b'], loops: 1, lost: 1 }]
    })
    expect(new LossMonitor().figures().delay).toEqual({ mean: 0, longest: 0 })
    expect(new LossMonitor().due).toBeNull()
  })

  test('name the paths over which the most were lost, and no others', () => {
    const layers = [['a1', 'a2'], ['b1', 'b2'], ['c1', 'c2'], ['g1', 'g2']]
    const world = new World('paths', layers).run(400, path => path.join() === 'a1,b2,c1,g2' ? 0.5 : path.join() === 'a2,b2,c1,g2' ? 0.2 : 0)
    const { paths } = world.monitor.figures()
    expect(paths.map(({ nodes }) => nodes.join())).toEqual(['a1,b2,c1,g2', 'a2,b2,c1,g2'])
    for (const { loops, lost } of paths) expect([loops > lost, lost > 0]).toEqual([true, true])
    expect(new World('all paths', [...layers, ['h1', 'h2']]).run(600, () => 0.5).monitor.figures().paths).toHaveLength(16)
  })

  test('remember the newest results only', () => {
    const world = new World('long').run(3000, () => 0.02)
    const { sent, nodes } = world.monitor.figures()
    expect(sent).toBe(3000)
    expect(nodes.filter(({ node }) => node.startsWith('a')).reduce((sum, { loops }) => sum + loops, 0)).toBe(2048)
  })

  test.each([['ahead', 5_000], ['back', -5_000]])('do not call lost what was out when the clock was set %s', (_what, jump) => {
    const monitor = new LossMonitor()
    for (let i = 0; i < 20; i++) monitor.sent(`loop ${i}`, ['a'], 1000, 1e6)
    expect(monitor.pass(1e6 + 500)).toEqual([])
    expect(monitor.pass(1e6 + 500 + jump)).toEqual([])
    expect(monitor.figures()).toMatchObject({ sent: 20, lost: 0, pending: 0, void: 20, alarms: [] })
  })

  test('count a timer that is a little late as what it is', () => {
    const monitor = new LossMonitor()
    monitor.sent('loop', ['a'], 1000, 1e6)
    monitor.pass(1e6 + 1900)
    expect(monitor.figures()).toMatchObject({ lost: 1, void: 0 })
  })
})

describe('the exact tests', () => {
  test('agree with counting', () => {
    const choose = (n: number, k: number): number => k === 0 ? 1 : choose(n - 1, k - 1) * n / k
    fc.assert(fc.property(fc.integer({ min: 1, max: 30 }), fc.double({ min: 0.01, max: 0.99, noNaN: true }), fc.nat(30), (n, p, k) => {
      let sum = 0
      for (let i = k; i <= n; i++) sum += choose(n, i) * p ** i * (1 - p) ** (n - i)
      expect(binomialTail(k, n, p)).toBeCloseTo(sum, 9)
    }))
    fc.assert(fc.property(fc.nat(12), fc.nat(12), fc.nat(12), fc.nat(12), (hits, misses, otherHits, otherMisses) => {
      const [n, m, all] = [hits + misses, otherHits + otherMisses, hits + otherHits]
      let sum = 0
      for (let i = hits; i <= Math.min(n, all); i++) if (all - i <= m) sum += choose(n, i) * choose(m, all - i) / choose(n + m, all)
      expect(fisherTail(hits, n, otherHits, m)).toBeCloseTo(Math.min(1, sum), 9)
    }))
  })

  test('are right where tails are small', () => {
    expect(binomialTail(12, 12, 0.25)).toBeCloseTo(0.25 ** 12, 20)
    expect(fisherTail(10, 10, 0, 10)).toBeCloseTo(1 / 184_756, 12)
    expect(fisherTail(3, 3, 0, 0)).toBe(1)
  })
})
