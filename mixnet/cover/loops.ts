/**
 * Loops of a mix, gateway or service (Loopix §4.1.3): packets over a path that returns to whoever sent them, at the times
 * of a Poisson process of mean `cover.loop`. To all other nodes they are packets like any; those that do not come home
 * are what loss.ts counts. An engine: `step(event, now, rng)` → effects.
 */
import { toHex } from '@mixmint/core/kit/bytes'
import type { Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import type { Path } from '../session/engines.ts'
import type { LinkId } from '../mixing/engine.ts'
import { ADDRESS_SIZE, geometryOf, KEY_SIZE } from '../sphinx/layout.ts'
import { wrap } from '../sphinx/wrap.ts'
import { LossMonitor, type LossEffect, type LossFigures } from './loss.ts'
import { NONCE_SIZE, writeCover } from './message.ts'
import { attempt, nodesOf } from './path.ts'
import { earliest, PoissonProcess } from './process.ts'

export interface LoopsConfig {
  readonly suite: Suite
  readonly meter: Meter
  /** What the directory prescribes now: `mean` is `cover.loop`, ms; 0: no loops. */
  readonly parameters: () => { readonly mean: Millis, readonly packetSize: number }
  /** A fresh path whose last hop we are ourselves, or null when there is none now. */
  readonly path: (now: Millis, rng: Rng) => Path | null
  /** A loop over so many hops, the last included, is lost if it is not home after so many ms. */
  readonly homeWithin: (hops: number) => Millis
}

export type LoopsEvent =
  | { readonly is: 'timer' }
  /** A loop's message reached us: the nonce in it, 16 bytes. */
  | { readonly is: 'home', readonly nonce: Uint8Array }
  /** Another document is in force. */
  | { readonly is: 'document', readonly isListed: (node: LinkId) => boolean }

export type LoopsEffect =
  /** `firstHop`: an address block. */
  | { readonly do: 'send', readonly firstHop: Uint8Array, readonly packet: Uint8Array }
  | LossEffect

const DESTINATION_IS_LAST_HOP = new Uint8Array(ADDRESS_SIZE)

export class Loops {
  readonly #config: LoopsConfig
  readonly #process: PoissonProcess
  readonly #loss = new LossMonitor()

  constructor (config: LoopsConfig) {
    this.#config = config
    this.#process = new PoissonProcess(() => config.parameters().mean)
  }

  /** When the next `timer` event is wanted, or null. */
  get due (): Millis | null {
    return earliest(this.#process.due, this.#loss.due)
  }

  step (event: LoopsEvent, now: Millis, rng: Rng): LoopsEffect[] {
    switch (event.is) {
      case 'timer': return [...this.#loss.pass(now), ...this.#tick(now, rng)]
      case 'document': return [...this.#loss.keep(event.isListed), ...this.#tick(now, rng)]
      case 'home': {
        const name = toHex(event.nonce)
        if (!this.#loss.isPending(name)) this.#config.meter.count('cover_dropped', { reason: 'unknown-loop' })
        return this.#loss.home(name, now)
      }
    }
  }

  figures (): LossFigures {
    return this.#loss.figures()
  }

  #tick (now: Millis, rng: Rng): LoopsEffect[] {
    const effects: LoopsEffect[] = []
    for (let ticks = this.#process.ticks(now, rng); ticks > 0; ticks--) effects.push(...this.#loop(now, rng))
    return effects
  }

  #loop (now: Millis, rng: Rng): LoopsEffect[] {
    const { suite, meter, parameters, path: choose, homeWithin } = this.#config
    const nonce = rng.bytes(NONCE_SIZE)
    const made = attempt(meter, () => {
      const path = choose(now, rng)
      if (path === null) return null
      const message = writeCover(geometryOf(parameters().packetSize).messageSize, { is: 'loop', nonce })
      return { hops: path.hops, packet: wrap(suite, rng.bytes(KEY_SIZE), path.hops, DESTINATION_IS_LAST_HOP, message) }
    })
    if (made === null) return []
    const { hops, packet } = made
    this.#loss.sent(toHex(nonce), nodesOf(hops.slice(0, -1)), homeWithin(hops.length), now)
    return [{ do: 'send', firstHop: hops[0].address, packet }]
  }
}
