/** Making a part of a request into a packet, and the SURBs that it brings. */
import { isMixmintError } from '@mixmint/core/kit/errors'
import type { Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { ADDRESS_SIZE, geometryOf, KEY_SIZE, SURB_ID_SIZE, SURB_KEY_SIZE } from '../sphinx/layout.ts'
import { encodeMessage } from '../sphinx/message.ts'
import { createSurb } from '../sphinx/surb.ts'
import { wrap } from '../sphinx/wrap.ts'
import { nodesOf, type Doubts, type Nodes } from './doubts.ts'
import type { Path, Paths, Target } from './engines.ts'
import type { PartPlan } from './flight.ts'
import { fragmentOf, writeRequest } from './fragment.ts'
import type { SurbLedger } from './surbs.ts'

/** What a packet needs to know of its call. */
export interface Packable {
  readonly number: number
  readonly target: Target
  readonly protocol: string
  readonly content: Uint8Array
  readonly id: Uint8Array
  readonly binding: Uint8Array
  readonly chunk: number
  readonly flight: number
  /** The paths of this flight's packets that have left. */
  readonly tried: { readonly there: readonly Path[] }
  /** Bytes of the network's messages when it was cut. */
  readonly messageSize: number
}

export interface PackerConfig {
  readonly suite: Suite
  readonly paths: Paths
  readonly meter: Meter
  readonly parameters: () => { readonly packetSize: number }
}

export interface Packed {
  /** The address block of the gateway. */
  readonly firstHop: Uint8Array
  readonly packet: Uint8Array
  /** How many it brings. */
  readonly surbs: number
  /** The path that it takes, and the one back for the SURB that is used first. */
  readonly there: Path
  readonly back: Path | null
}

const LAST_HOP = new Uint8Array(ADDRESS_SIZE)
const NOTHING = new Uint8Array(0)
const NOWHERE: Nodes = new Set()
/** A number that grew with each packet would show the service, which ones a gateway had dropped. */
const SEQUENCE = 0

export class Packer {
  readonly #config: PackerConfig
  readonly #surbs: SurbLedger
  readonly #doubts: Doubts

  constructor (config: PackerConfig, surbs: SurbLedger, doubts: Doubts) {
    this.#config = config
    this.#surbs = surbs
    this.#doubts = doubts
  }

  /** Null when there is no path for it now; a timeout will repeat it. */
  pack (call: Packable, part: PartPlan, now: Millis, rng: Rng): Packed | null {
    try {
      return this.#pack(call, part, now, rng)
    } catch (error) {
      // A mix published a key of low order: another path will do.
      if (!isMixmintError(error, 'bad-hop-key')) throw error
      this.#config.meter.count('request_bad_path')
      return null
    }
  }

  #pack (call: Packable, part: PartPlan, now: Millis, rng: Rng): Packed | null {
    const { suite, paths, parameters } = this.#config
    const { index, surbs: wanted, wants, again = false } = part
    const { messageSize } = geometryOf(parameters().packetSize)
    if (messageSize !== call.messageSize) return null
    const path = this.#draw(call, again, NOWHERE, () => paths.forward(call.target, now, rng))
    if (path === null) return null
    const there = nodesOf(path)
    const surbs: Uint8Array[] = []
    let back: Path | null = null
    for (let i = 0; i < wanted; i++) {
      const made = this.#surb(call, again, path, there, now, rng)
      if (made === null) continue
      surbs.push(made.surb)
      back = made.back
    }
    if (wanted > 0 && surbs.length === 0) return null
    const data = writeRequest({
      id: call.id, binding: call.binding, total: call.content.length, chunk: call.chunk, index, flight: call.flight,
      wants: wants.slice(0, surbs.length), data: index === null ? NOTHING : fragmentOf(call.content, call.chunk, index)
    })
    const message = encodeMessage(messageSize, { codec: call.protocol, surbs, data, sequence: SEQUENCE })
    const packet = wrap(suite, rng.bytes(KEY_SIZE), path.hops, call.target.destination ?? LAST_HOP, message)
    return { firstHop: path.hops[0].address, packet, surbs: surbs.length, there: path, back }
  }

  /** One that leaves with a packet on the path `there`. */
  #surb (call: Packable, again: boolean, there: Path, nodes: Nodes, now: Millis, rng: Rng): { surb: Uint8Array, back: Path } | null {
    const { number, target } = call
    const back = this.#draw(call, again, nodes, () => this.#config.paths.back(target, now, rng))
    if (back === null || back.expires <= now) return null
    const { surb, secrets } = createSurb(this.#config.suite, rng.bytes(KEY_SIZE), back.hops, rng.bytes(SURB_ID_SIZE), rng.bytes(SURB_KEY_SIZE))
    return this.#surbs.give(number, secrets, now, back.expires, [back, there]) ? { surb, back } : null
  }

  /** What leaves for the first time goes the way that is drawn first. */
  #draw ({ tried }: Packable, again: boolean, alike: Nodes, draw: () => Path | null): Path | null {
    return !again ? draw() : this.#doubts.choose(draw, nodesOf(...tried.there), alike)
  }
}
