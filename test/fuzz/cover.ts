/** Engines of cover and limits of rates, under any events and clocks: what goes in comes out, waits or is counted. */
import { toHex } from '@mixmint/core/kit/bytes'
import type { Millis } from '@mixmint/core/kit/ports'
import { RateLimit } from '@mixmint/mixnet/abuse/rate-limit'
import { Loops } from '@mixmint/mixnet/cover/loops'
import { writeCover } from '@mixmint/mixnet/cover/message'
import { Pacer } from '@mixmint/mixnet/cover/pacer'
import { CoverSender, type CoverSenderEvent } from '@mixmint/mixnet/cover/sender'
import { ServiceCover } from '@mixmint/mixnet/cover/service'
import type { Path } from '@mixmint/mixnet/session/engines'
import { decodeMessage, encodeMessage } from '@mixmint/mixnet/sphinx/message'
import { peel } from '@mixmint/mixnet/sphinx/peel'
import { useSurb } from '@mixmint/mixnet/sphinx/surb'
import { CountingMeter } from '../doubles/meter.ts'
import { toySuite } from '../doubles/toy-suite.ts'
import type { Chance } from './chance.ts'
import { must, type Target } from './fuzz.ts'
import { mutated } from './mutate.ts'
import { MESSAGE_SIZE, PACKET_SIZE, pathOver, toyNode } from './toy-packets.ts'

const gateway = toyNode('gateway')
const service = toyNode('service')
const wallet = toyNode('wallet', gateway.peer)
const DAY = 86_400_000

/** How a clock may behave, and when its owner comes. */
function later (now: Millis, due: Millis | null, chance: Chance): Millis {
  if (due !== null && Number.isFinite(due) && chance.often(0.5)) return Math.max(now, due + chance.pick([0, 0, 0.3, 20]))
  return now + (chance.often(0.9) ? chance.below(300) : chance.pick([-DAY, -1000, -1, 0, 5000, DAY]))
}

function path (nodes: readonly ReturnType<typeof toyNode>[], now: Millis, chance: Chance): Path | null {
  return chance.often(0.05) ? null : { hops: pathOver(nodes), expires: now + chance.pick([0, 100, DAY]) }
}

const sender: Target = {
  name: 'cover-sender',
  round: chance => {
    const meter = new CountingMeter()
    let [now, send, ready] = [1_000_000, chance.pick([0, 20, 100]), true]
    const engine = new CoverSender({
      suite: toySuite, meter, parameters: () => ({ send, echoes: chance.pick([0, 500, 1000]), packetSize: PACKET_SIZE }), ready: () => ready, queueLimit: 5, homeWithin: () => 2000,
      paths: { forward: at => path([gateway, service], at, chance), back: at => path([gateway, wallet], at, chance) }
    })
    const replies: Array<{ surbId: Uint8Array, payload: Uint8Array }> = []
    let [given, left, unsent] = [0, 0, 0]
    const step = (event: CoverSenderEvent): void => {
      const effects = engine.step(event, now, chance)
      for (const effect of effects) {
        if (effect.do === 'unsent') unsent += 1
        if (effect.do !== 'send') continue
        must(effect.packet.length === PACKET_SIZE, 'a packet of another size')
        if (effect.owner !== null) left += 1
        else answer(effect.packet)
      }
      must(engine.waiting <= 5 && given === left + unsent + engine.waiting, 'a packet was lost')
      const { sent, returned, lost, pending, void: unknown } = engine.figures()
      must(sent === returned + lost + pending + unknown, 'an echo was lost without being lost')
      must(engine.due === null || Number.isFinite(engine.due), `due at ${engine.due}`)
    }
    const answer = (packet: Uint8Array): void => {
      const there = peel(toySuite, gateway.key, packet)
      const end = there.kind === 'forward' ? peel(toySuite, service.key, there.packet) : there
      const surb = end.kind === 'exit' ? decodeMessage(end.message)?.surbs[0] : undefined
      const used = surb === undefined ? null : useSurb(toySuite, surb, writeCover(MESSAGE_SIZE, { is: 'answer' }))
      const back = used === null ? null : peel(toySuite, gateway.key, used.packet)
      const home = back?.kind === 'forward' ? peel(toySuite, wallet.key, back.packet) : null
      if (home?.kind === 'reply') replies.push(home)
    }
    for (let n = chance.between(10, 120); n > 0; n--) {
      now = later(now, engine.due, chance)
      switch (chance.below(10)) {
        case 0: case 1: given += 1; step({ is: 'packet', owner: chance.below(3), firstHop: gateway.hop.address, packet: chance.bytes(PACKET_SIZE) }); break
        case 2: case 3: {
          const reply = replies.length === 0 ? { surbId: chance.bytes(16), payload: chance.bytes(PACKET_SIZE - 624) } : replies[chance.below(replies.length)]
          step({ is: 'reply', surbId: reply.surbId, payload: chance.often(0.3) ? mutated([reply.payload], chance) : reply.payload })
          break
        }
        case 4: ready = !ready; break
        case 5: if (chance.often(0.2)) send = chance.pick([0, 20, 100]); break
        default: step({ is: 'timer' })
      }
    }
  }
}

const pacer: Target = {
  name: 'cover-pacer',
  round: chance => {
    const meter = new CountingMeter()
    let [now, pace, given, left] = [1_000_000, chance.pick([0, 20, 200]), 0, 0]
    const send = chance.pick([0, 1, 20])
    const engine = new Pacer({ meter, cover: () => ({ send, pace }), ready: () => chance.often(0.8), queueLimit: 4, totalLimit: 8 })
    for (let n = chance.between(10, 150); n > 0; n--) {
      now = later(now, engine.due, chance)
      const who = chance.pick(['a', 'b', 'c', 'd'])
      const is = chance.often(0.005) ? 'drain' : chance.pick(['attach', 'detach', 'gone', 'packet', 'packet', 'packet', 'timer', 'timer'] as const)
      if (is === 'packet') given += 1
      if (chance.often(0.02)) pace = chance.pick([0, 20, 200])
      for (const { packet } of engine.step(is === 'timer' || is === 'drain' ? { is } : is === 'packet' ? { is, wallet: who, packet: chance.bytes(1) } : { is, wallet: who }, now, chance)) if (packet !== null) left += 1
      const { queued, dropped } = engine.counts()
      must(given === left + Object.values(dropped).reduce((sum, count) => sum + count, 0) + queued, 'a packet was lost')
      for (const [reason, count] of Object.entries(dropped)) must(meter.of('cover_wallet_dropped', { reason }) === count, 'two counts of one thing')
      must(queued <= 8, `${queued} packets wait`)
      must(engine.due === null || Number.isFinite(engine.due), `due at ${engine.due}`)
    }
  }
}

const serviceCover: Target = {
  name: 'cover-service',
  round: chance => {
    const meter = new CountingMeter()
    let [now, given, left] = [1_000_000, 0, 0]
    const engine = new ServiceCover({ suite: toySuite, meter, parameters: () => ({ pace: chance.pick([0, 100]), packetSize: PACKET_SIZE }), echoLimit: 3, queueLimit: 10 })
    const covers = [
      writeCover(MESSAGE_SIZE, { is: 'drop' }), writeCover(MESSAGE_SIZE, { is: 'echo', surb: chance.bytes(734) }), writeCover(MESSAGE_SIZE, { is: 'loop', nonce: chance.bytes(16) }),
      encodeMessage(MESSAGE_SIZE, { codec: '/mixmint/cover/1', surbs: [chance.bytes(734)], data: Uint8Array.of(1, 2), sequence: 7 })
    ]
    for (let n = chance.between(10, 80); n > 0; n--) {
      now = later(now, engine.due, chance)
      const message = decodeMessage(mutated(covers, chance))
      const packets = Array.from({ length: chance.below(4) }, () => ({ firstHop: gateway.hop.address, packet: chance.bytes(1) }))
      const echoed = meter.of('cover_received', { kind: 'echo' })
      const which = chance.below(6)
      if (which === 0) given += packets.length
      const event = which === 0 ? { is: 'answer' as const, packets, asked: now - chance.pick([0, 50, 1e9, -1e9]) } : which < 3 && message !== null ? { is: 'cover' as const, message } : { is: which === 5 && chance.often(0.1) ? 'drain' as const : 'timer' as const }
      left += engine.step(event, now, chance).length
      given += meter.of('cover_received', { kind: 'echo' }) - echoed
      const waiting = given - left - meter.of('cover_dropped', { reason: 'queue-full' })
      must(waiting >= 0 && waiting <= 10 && (waiting === 0) === (engine.due === null), `${waiting} packets wait`)
    }
    left += engine.step({ is: 'drain' }, now, chance).length
    must(given === left + meter.of('cover_dropped', { reason: 'queue-full' }), 'a packet was lost')
  }
}

const loops: Target = {
  name: 'cover-loops',
  round: chance => {
    let [now, mean] = [1_000_000, chance.pick([0, 50, 500])]
    const engine = new Loops({
      suite: toySuite, meter: new CountingMeter(), parameters: () => ({ mean, packetSize: PACKET_SIZE }), path: at => path([gateway, service], at, chance), homeWithin: hops => 500 * hops
    })
    const nonces: Uint8Array[] = [chance.bytes(16)]
    const raised = new Set<string>()
    for (let n = chance.between(10, 150); n > 0; n--) {
      now = later(now, engine.due, chance)
      if (chance.often(0.02)) mean = chance.pick([0, 50, 500])
      const which = chance.below(10)
      const effects = engine.step(which < 3 ? { is: 'home', nonce: chance.pick(nonces) } : which === 3 ? { is: 'document', isListed: () => chance.often(0.9) } : { is: 'timer' }, now, chance)
      for (const effect of effects) {
        if (effect.do === 'send') {
          const there = peel(toySuite, gateway.key, effect.packet)
          const end = there.kind === 'forward' ? peel(toySuite, service.key, there.packet) : there
          const message = end.kind === 'exit' ? decodeMessage(end.message) : null
          if (message !== null && chance.often(0.7)) nonces.push(message.data.slice(1))
        } else if (effect.do === 'alarm') {
          must(!raised.has(effect.about), 'an alarm was raised twice')
          raised.add(effect.about)
        } else {
          must(raised.delete(effect.about), 'an alarm ended that was not raised')
        }
      }
      const { sent, returned, lost, pending, void: unknown, alarms } = engine.figures()
      must(sent === returned + lost + pending + unknown, 'a loop was lost without being lost')
      must(alarms.length === raised.size, 'the figures know of other alarms')
      must(engine.due === null || Number.isFinite(engine.due), `due at ${engine.due}`)
    }
  }
}

const rates: Target = {
  name: 'rate-limit',
  round: chance => {
    const each = { perSecond: chance.between(1, 100), burst: chance.between(1, 20) }
    const all = { perSecond: chance.between(1, 200), burst: chance.between(1, 40) }
    const limit = new RateLimit(() => ({ each, all, patience: 5000 }))
    const names = Array.from({ length: 4 }, () => toHex(chance.bytes(2)))
    let [now, taken] = [0, 0]
    const start = now
    for (let n = chance.between(10, 300); n > 0; n--) {
      now += chance.pick([0, 0, 1, 10, 200, 3000])
      const who = chance.pick(names)
      if (chance.often(0.02)) {
        limit.forget(who)
        continue
      }
      const wait = limit.admit(who, now)
      must(wait === 'refuse' || (Number.isFinite(wait) && wait >= 0), `a wait of ${wait}`)
      if (wait === 0) taken += 1
      must(taken <= all.burst + (now - start) / 1000 * all.perSecond + 1, 'more were let in at once than the limit of all')
      must(limit.size <= names.length, 'links are remembered that are over')
    }
  }
}

export const cover: readonly Target[] = [sender, pacer, serviceCover, loops, rates]
