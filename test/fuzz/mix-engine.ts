/** A mixer under any bytes, in any order of events, by any clock: nothing throws, no count is lost, nothing is passed on twice. */
import { toHex } from '@mixmint/core/kit/bytes'
import type { Strategy } from '@mixmint/mixnet/directory/formats'
import { MixEngine, type MixEffect, type MixEvent, type MixParameters } from '@mixmint/mixnet/mixing/engine'
import { toySuite } from '../doubles/toy-suite.ts'
import type { Chance } from './chance.ts'
import { documented, must, type Target } from './fuzz.ts'
import { mutated } from './mutate.ts'
import { MEAN, PACKET_SIZE, toyNode, toyPacket } from './toy-packets.ts'

/** With another key in each epoch. */
const selves = [0, 1, 2].map(epoch => toyNode(`self ${epoch}`))
const [self] = selves
const next = toyNode('next')
const wallet = toyNode('wallet', self.peer)
const last = toyNode('last')
const DAY = 86_400_000

function strategy (chance: Chance): Strategy {
  return chance.pick<Strategy>([
    { kind: 'poisson' }, { kind: 'threshold', batch: chance.between(1, 5) }, { kind: 'timed', interval: chance.between(1, 300) },
    { kind: 'pool', interval: chance.between(1, 300), threshold: chance.between(2, 6), pool: chance.between(0, 4) }
  ])
}

function parameters (chance: Chance): MixParameters {
  return {
    strategy: strategy(chance), meanDelay: chance.often(0.8) ? MEAN : { most: chance.between(1, 100) }, packetSize: PACKET_SIZE,
    queueLimit: chance.between(0, 20), replayLimit: chance.between(1, 60)
  }
}

function packets (chance: Chance): Uint8Array[] {
  return selves.flatMap(self => [
    toyPacket([self, next, last], 'forward', chance), toyPacket([self, wallet], 'reply', chance), toyPacket([self], 'forward', chance),
    toyPacket([self], 'reply', chance), toyPacket([self], 'forward', chance, last.hop.address), toyPacket([next, self], 'forward', chance)
  ])
}

export const mixEngine: Target = {
  name: 'mix-engine',
  round: chance => {
    const doors = { mayForward: () => chance.often(0.8), mayReachWallet: () => chance.often(0.8) }
    const first = parameters(chance)
    const engine = new MixEngine({ suite: toySuite, self: self.peer, parameters: first, topology: doors, exits: () => chance.often(0.5) })
    let [now, most, sent] = [chance.pick([0, 1e12]), first.queueLimit, 0]
    let passed = new Set<string>()
    const good = packets(chance)
    const step = (event: MixEvent): MixEffect[] => {
      const before = engine.counts()
      const effects = engine.handle(event, now, chance)
      const { received, forwarded, delivered, queued, dropped } = engine.counts()
      if (event.kind === 'packet') sent += 1
      must(received === sent, 'a packet was not counted')
      must(received === forwarded + delivered + queued + Object.values(dropped).reduce((a, b) => a + b, 0), 'the counts do not add up')
      must(effects.length === forwarded + delivered - before.forwarded - before.delivered, 'what left is not what was counted')
      must(queued <= 2 * most, `${queued} packets wait`)
      must(engine.snapshot().waiting.length === queued, 'a packet that waits is not shown')
      const deadline = engine.nextDeadline()
      must(deadline === undefined || Number.isFinite(deadline), `a deadline of ${deadline}`)
      for (const effect of effects) {
        if (effect.kind !== 'forward' && effect.kind !== 'to-wallet') continue
        const name = toHex(effect.packet.subarray(0, 32))
        must(!passed.has(name), 'a packet was passed on twice')
        passed.add(name)
      }
      return effects
    }
    for (let n = chance.between(5, 80); n > 0; n--) {
      now += chance.often(0.8) ? chance.below(100) : chance.pick([-DAY, -1000, -1, 0, 0.5, 5000, DAY])
      const which = chance.below(20)
      if (which < 11) {
        const bytes = chance.often(0.4) ? chance.pick(good) : mutated(good, chance)
        const sized: Uint8Array = bytes.length === PACKET_SIZE || chance.often(0.2) ? bytes : Uint8Array.from({ length: PACKET_SIZE }, (_, i) => bytes[i] ?? 0)
        step({ kind: 'packet', from: next.link, packet: sized })
      } else if (which < 14) {
        if (chance.often(0.7)) now = engine.nextDeadline() ?? now
        step({ kind: 'timer' })
      } else if (which === 14) {
        const from = now + chance.pick([-DAY, 0, 1000])
        const epoch = chance.below(3)
        const key = chance.often(0.9) ? selves[epoch].key : chance.bytes(chance.below(40))
        documented(/^bad-argument$/, () => step({ kind: 'install', key: { epoch, privateKey: key, from, until: from + chance.pick([-1, 1, DAY, 3 * DAY]) } }))
      } else if (which === 15) {
        step({ kind: 'retire', epoch: chance.below(3) })
        // Who forgets a key forgets what came under it.
        passed = new Set()
      } else if (which === 16) {
        const prescribed = parameters(chance)
        most = Math.max(most, prescribed.queueLimit)
        step({ kind: 'epoch', epoch: chance.below(3), parameters: prescribed })
      } else if (which === 17) {
        step({ kind: 'recorded', tags: chance.below(engine.tagged + 2) })
      } else if (chance.often(0.2)) {
        step({ kind: chance.pick(['drain', 'abandon'] as const) })
      }
    }
    step({ kind: 'recorded', tags: engine.tagged })
    step({ kind: 'drain' })
    for (let turns = 0, due = engine.nextDeadline(); due !== undefined; due = engine.nextDeadline()) {
      must(++turns < 1000, 'deadlines without end')
      now = due
      step({ kind: 'timer' })
    }
    must(engine.queued === 0, `${engine.queued} packets are left after draining`)
  }
}
