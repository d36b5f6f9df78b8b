/**
 * The n − 1 attack (Serjantov, Dingledine, Syverson, IH 2002) on one mix of the network, by somebody who can hold back packets
 * but owns no mix: for a time he lets nothing in, until what was inside has left; then the next message alone, his target,
 * and nothing else until it has come out. Against him stand loops: every mix has the production's `LossMonitor`
 * (mixnet/cover/loss.ts) look at its own, with the deadlines of mixnet/wire/loops.ts. Measured is whether the target was
 * alone, and after which time from the beginning of the attack the first alarm came, at whom and about whom.
 */
import type { Millis } from '@mixmint/core/kit/ports'
import { ALL, LossMonitor, type LossEffect } from '@mixmint/mixnet/cover/loss'
import { delayQuantile } from '@mixmint/mixnet/session/delay-law'
import { Network } from '../network/network.ts'
import { PACKET } from '../network/packets.ts'
import { bad } from '../scenario/fields.ts'
import { perMix, strategyOf } from '../scenario/read.ts'
import type { Scenario } from '../scenario/schema.ts'

export interface Flushing {
  /** How long nothing was let in, s. */
  readonly block_s: number
  /** Packets that were with the target in the mix, when it came; null: no target came. */
  readonly beside: number | null
  readonly held_back: number
  /** From the beginning of the attack, s; null: none within two minutes. */
  readonly alarm_s: number | null
  /** Does the mix that is attacked, or another one, raise it? */
  readonly raised_by: 'itself' | 'another' | null
  readonly about: 'it' | 'all' | 'another' | null
}

/** Before the attack, so that monitors know what is ordinary. */
const QUIET: Millis = 60_000
const WATCHED: Millis = 120_000
const LOOK: Millis = 100
/** As in mixnet/wire/loops.ts. */
const CERTAINTY = 0.999
const SLACK: Millis = 2000
const TURN = 10_000
const ATTACKED = 0

/** @throws bad-scenario (caller) */
export function flush (scenario: Scenario, block: number): Flushing {
  const { cover, topology: { layers } } = scenario
  if (cover.loop_s === 0) throw bad('cover.loop_s', 'loops are wanted, as they are what the attack is seen by')
  const within = delayQuantile({
    strategy: strategyOf(scenario), meanDelay: perMix(scenario), pathLength: layers + 1, cover: { send: 0, echoes: 0, pace: 0, loop: cover.loop_s * 1000 }
  }, layers - 1, CERTAINTY) + SLACK
  const release = QUIET + block * 1000
  let [target, beside, ended]: [number | null, number | null, boolean] = [null, null, false]
  let heldBack = 0
  let alarm: Pick<Flushing, 'alarm_s' | 'raised_by' | 'about'> = { alarm_s: null, raised_by: null, about: null }
  const hear = (mix: number, effects: readonly LossEffect[], now: Millis): void => {
    const raised = effects.find(effect => effect.do === 'alarm')
    if (raised === undefined || now < QUIET || alarm.alarm_s !== null) return
    alarm = { alarm_s: (now - QUIET) / 1000, raised_by: mix === ATTACKED ? 'itself' : 'another', about: raised.about === ALL ? 'all' : raised.about === String(ATTACKED) ? 'it' : 'another' }
  }
  const names = new Map<number, string>()
  let loops = 0
  const isLoop = (slot: number): boolean => network.packets.kind[slot] === PACKET.loop
  const network: Network = new Network(scenario, {
    sent: (slot, now) => {
      if (!isLoop(slot)) return
      const { packets } = network
      const name = String(loops++)
      names.set(slot, name)
      monitors[packets.sender[slot]].sent(name, [...packets.path.subarray(slot * packets.hops, slot * packets.hops + packets.length[slot])].map(String), within, now)
    },
    received: (slot, now) => {
      if (!isLoop(slot)) return
      const mix = network.packets.sender[slot]
      // The last link of a loop of the attacked mix goes into it, too.
      if (mix === ATTACKED && now >= QUIET && !ended) return
      hear(mix, monitors[mix].home(names.get(slot) as string, now), now)
    },
    blocks: (slot, mix, now) => {
      if (mix !== ATTACKED || now < QUIET || ended) return false
      if (now >= release && target === null && network.packets.kind[slot] === PACKET.message) {
        target = slot
        beside = network.waitingAt(ATTACKED)
        return false
      }
      heldBack += 1
      return true
    },
    left: (slot, mix) => { if (mix === ATTACKED && slot === target) ended = true }
  }, null)
  const monitors = Array.from({ length: network.mixes }, () => new LossMonitor())
  let due = LOOK
  network.attend({
    get due () { return due },
    tick: now => {
      due += LOOK
      monitors.forEach((monitor, mix) => { hear(mix, monitor.pass(now), now) })
    }
  })
  while (alarm.alarm_s === null && network.advance(TURN, QUIET + WATCHED)) { /* until somebody sees it */ }
  while (!ended && network.advance(TURN, QUIET + WATCHED)) { /* and until the target is out */ }
  return { block_s: block, beside, held_back: heldBack, ...alarm }
}
