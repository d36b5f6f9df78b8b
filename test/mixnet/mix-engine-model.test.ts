/** Histories of a mixer with clocks that jump, keys and documents that come and go, and disks that lag. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import type { MixEffect, MixEvent } from '@mixmint/mixnet/mixing/engine'
import type { Strategy } from '@mixmint/mixnet/directory/formats'
import { engineWith, KEY, NEXT, packet, rng, total, turn } from './engine-material.ts'
import { blockOf, chance, exitFor, keyOf, packetFor, replyFor } from './mix-material.ts'

const STRATEGIES: Strategy[] = [{ kind: 'poisson' }, { kind: 'threshold', batch: 3 }, { kind: 'timed', interval: 120 }, { kind: 'pool', interval: 120, threshold: 4, pool: 2 }]
const QUEUE = 6
const LIMITS = { queueLimit: QUEUE, replayLimit: 10 }

const known = [
  ...Array.from({ length: 12 }, () => packetFor(KEY, NEXT)), ...Array.from({ length: 3 }, () => packetFor(keyOf(2), NEXT)),
  exitFor(KEY, new Uint8Array(3968)), replyFor(KEY, chance.bytes(16), new Uint8Array(3968)), packetFor(KEY, NEXT, { delay: 1 }),
  packetFor(KEY, blockOf('mix', 'wallet')), packetFor(KEY, new Uint8Array(94)), new Uint8Array(0), chance.bytes(4608)
]
const bytes = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...known) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...known), fc.nat(4607), fc.integer({ min: 1, max: 255 })).map(([base, at, flip]) => base.map((b, i) => i === at ? b ^ flip : b)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 5000 }) })
/** `record`: of the tags that are not recorded, so many in a thousand are now; none ever before the first. */
type Step = MixEvent | { readonly kind: 'record', readonly share: number }

function steps (strategies: readonly Strategy[], ends: readonly Step[]): fc.Arbitrary<Array<[Step, number]>> {
  const turns = strategies.flatMap(strategy => [1, 2].map(epoch => turn(epoch, { ...LIMITS, strategy })))
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 8, arbitrary: bytes.map(b => packet(b)) },
    { weight: 4, arbitrary: fc.constant<Step>({ kind: 'timer' }) },
    { weight: 2, arbitrary: fc.nat(1000).map((share): Step => ({ kind: 'record', share })) },
    { weight: 1, arbitrary: fc.constantFrom<Step>(
      { kind: 'install', key: KEY }, { kind: 'install', key: keyOf(2, 50, 200) }, { kind: 'retire', epoch: 1 }, { kind: 'retire', epoch: 2 }, ...turns) },
    { weight: 1, arbitrary: fc.constantFrom<Step>({ kind: 'timer' }, ...ends) })
  return fc.array(fc.tuple(step, fc.oneof(fc.integer({ min: -300, max: 300 }), fc.constantFrom(0, 86_400_000, -86_400_000))), { maxLength: 60 })
}

function isForwarded ({ kind }: MixEffect): boolean {
  return kind === 'forward' || kind === 'to-wallet'
}

const suits: Array<[string, readonly Strategy[]]> = [...STRATEGIES.map(strategy => [strategy.kind, [strategy]] as [string, Strategy[]]), ['one after the other', STRATEGIES]]

test.each(suits)('%s: whatever happens, every packet is accounted for, and none leaves early or twice', (_, strategies) => {
  fc.assert(fc.property(steps(strategies, [{ kind: 'drain' }, { kind: 'abandon' }]), history => {
    const [strategy] = strategies
    const engine = engineWith({ ...LIMITS, strategy })
    engine.handle({ kind: 'install', key: KEY }, 0, rng)
    let [now, packets, forwarded, delivered, recorded] = [0, 0, 0, 0, Infinity]
    const left = new Set<string>()
    const handle = (event: MixEvent): number => {
      const effects = engine.handle(event, now, rng)
      const out = effects.filter(isForwarded)
      forwarded += out.length
      delivered += effects.length - out.length
      for (const effect of out) if ('packet' in effect) left.add(toHex(effect.packet.subarray(0, 32)))
      expect(left.size).toBe(forwarded)
      const counts = engine.counts()
      expect(counts).toMatchObject({ received: packets, forwarded, delivered })
      expect(total(counts)).toBe(packets)
      expect(counts.queued).toBeLessThanOrEqual(2 * QUEUE)
      expect(engine.snapshot().waiting).toHaveLength(counts.queued)
      // Each that went on brought a tag of its own.
      expect(forwarded + delivered).toBeLessThanOrEqual(recorded)
      return out.length
    }
    for (const [step, ms] of history) {
      now += ms
      if (step.kind === 'packet') packets += 1
      if (step.kind === 'record') recorded = Math.floor((recorded === Infinity ? 0 : recorded) + (engine.tagged - (recorded === Infinity ? 0 : recorded)) * step.share / 1000)
      if (step.kind === 'record' && forwarded + delivered > recorded) recorded = engine.tagged // the first: what had left had left
      const deadline = engine.nextDeadline() ?? Infinity
      const out = handle(step.kind === 'record' ? { kind: 'recorded', tags: recorded } : step)
      if (strategies.length > 1 || recorded !== Infinity || step.kind === 'drain') continue
      if (strategy.kind === 'threshold') expect(out % strategy.batch).toBe(0)
      if ((strategy.kind === 'poisson' || strategy.kind === 'timed') && now < deadline - 0.01) expect(out).toBe(0)
    }
    // A planned stop: all that is inside gets out, at the times that were named.
    recorded = engine.tagged
    handle({ kind: 'recorded', tags: recorded })
    handle({ kind: 'drain' })
    for (let at = engine.nextDeadline(); at !== undefined; at = engine.nextDeadline()) {
      now = at
      expect(handle({ kind: 'timer' })).toBeGreaterThan(0)
    }
    expect(engine.queued).toBe(0)
  }), { numRuns: 60, seed: 7 })
})

test.each(suits)('%s: without a stop, what is inside leaves at the times that were named', (_, strategies) => {
  fc.assert(fc.property(steps(strategies, []), history => {
    const engine = engineWith({ ...LIMITS, strategy: strategies[0] })
    engine.handle({ kind: 'install', key: KEY }, 0, rng)
    let now = 0
    for (const [step, ms] of history) {
      now += ms
      if (step.kind !== 'record') engine.handle(step, now, rng)
    }
    for (let at = engine.nextDeadline(); at !== undefined; at = engine.nextDeadline()) {
      now = at
      expect(engine.handle({ kind: 'timer' }, now, rng).length).toBeGreaterThan(0)
    }
    expect(engine.queued).toBeLessThan(3) // an unfinished batch
  }), { numRuns: 60, seed: 8 })
})
