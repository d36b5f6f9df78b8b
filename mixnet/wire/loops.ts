/**
 * The loops of a mix, gateway or service: the Loops engine with a real clock, over the node's own MixNode, which sends
 * them and where they end. `onDeliver` is to be asked first about whatever that node delivers. Alarms name nodes of the
 * network, which all the world knows; loops know nothing of wallets.
 */
import type { Clock, Log, Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { Loops, type LoopsEffect, type LoopsEvent } from '../cover/loops.ts'
import { ALL, type LossCount, type Subject } from '../cover/loss.ts'
import { isCover, readCover } from '../cover/message.ts'
import type { LinkId } from '../mixing/engine.ts'
import { delayQuantile, type MixingParameters } from '../session/delay-law.ts'
import type { Path } from '../session/engines.ts'
import { decodeMessage } from '../sphinx/message.ts'
import { Alarm } from './alarm.ts'
import { nameOf, namedFigures, type LoopFigures } from './loss-figures.ts'
import type { SendResult } from './packets.ts'

export interface LoopSenderOptions {
  readonly suite: Suite
  readonly clock: Clock
  readonly rng: Rng
  readonly meter: Meter
  readonly log: Log
  /** What the network prescribes now, or null while that is not known: then nothing is sent. */
  readonly parameters: () => LoopParameters | null
  /** From us back to us; null when there is no path now. A fresh one at each call. */
  readonly path: (now: Millis, rng: Rng) => Path | null
  /** Its nodes, as known now: of others nothing is remembered. */
  readonly isNode: (peer: LinkId) => boolean
  /** `MixNode.sendPacket`. */
  readonly sendPacket: (to: Uint8Array, packet: Uint8Array) => SendResult
}

/** As in the directory's `Parameters`. */
export interface LoopParameters extends MixingParameters { readonly packetSize: number }

/** Of the loops that are not lost so many come home in time. */
const CERTAINTY = 0.999
/** What links and queues take beside the mixing. */
const SLACK: Millis = 2000

export class LoopSender {
  readonly #options: LoopSenderOptions
  readonly #engine: Loops
  readonly #alarm: Alarm

  constructor (options: LoopSenderOptions) {
    const { suite, meter, parameters, path } = options
    this.#options = options
    this.#alarm = new Alarm(options.clock, () => { this.#step({ is: 'timer' }) })
    this.#engine = new Loops({
      suite,
      meter,
      parameters: () => ({ mean: parameters()?.cover.loop ?? 0, packetSize: parameters()?.packetSize ?? 0 }),
      path,
      homeWithin: hops => {
        const known = parameters()
        return known === null ? Infinity : delayQuantile(known, hops - 1, CERTAINTY) + SLACK
      }
    })
  }

  /** Begin, or take up what has changed: another document, other nodes. */
  onDocument (): void {
    this.#step({ is: 'document', isListed: this.#options.isNode })
  }

  /** True: the message was of a loop, and nothing else is to be done with it. */
  onDeliver (message: Uint8Array): boolean {
    const decoded = decodeMessage(message)
    const cover = decoded !== null && isCover(decoded) ? readCover(decoded) : null
    if (cover?.is !== 'loop') return false
    this.#step({ is: 'home', nonce: cover.nonce })
    return true
  }

  figures (): LoopFigures {
    return namedFigures(this.#engine.figures())
  }

  /** Send no more. */
  stop (): void {
    this.#alarm.clear()
  }

  #step (event: LoopsEvent): void {
    for (const effect of this.#engine.step(event, this.#options.clock.now(), this.#options.rng)) this.#perform(effect)
    this.#alarm.set(this.#engine.due)
  }

  #perform (effect: LoopsEffect): void {
    const { sendPacket, meter, log } = this.#options
    switch (effect.do) {
      case 'send': {
        const result = sendPacket(effect.firstHop, effect.packet)
        if (result !== 'queued') meter.count('cover_unsent', { reason: result })
        break
      }
      case 'alarm':
        meter.count('loop_alarms', { about: effect.about === ALL ? 'all' : 'node' })
        log.warn(effect.about === ALL ? CUT_OFF : LOSSY, { ...subjectOf(effect.about), ...figuresOf(effect.count) })
        break
      case 'clear': log.info('loops come home again', subjectOf(effect.about)); break
    }
  }
}

const CUT_OFF = 'most loops of this node are lost: it is cut off, or somebody drops all packets but those that he is after; look at its connection, and warn the other operators'
const LOSSY = 'loops through this node are lost: it is overloaded, or drops packets; ask its operator'

function subjectOf (about: Subject): Record<string, string> {
  return about === ALL ? {} : { node: nameOf(about) }
}

function figuresOf ({ loops, lost, othersLoops, othersLost }: LossCount): Record<string, number> {
  return othersLoops === 0 ? { loops, lost } : { loops, lost, othersLoops, othersLost }
}
