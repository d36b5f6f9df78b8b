/**
 * A service of the network (bank, merchant): a participant that is reached directly and through the mixnet, by the same
 * handler. What came which way is counted, not who asked.
 */
import { mayReplyTo } from '@mixmint/mixnet/directory/topology'
import type { DirectoryView } from '@mixmint/mixnet/directory/view'
import type { MixnetHandler } from '@mixmint/mixnet/wire/responder'
import { MixnetResponder } from '@mixmint/mixnet/wire/responder'
import type { Secp256k1PrivateKey } from '@libp2p/interface'
import { Mixer } from './mixer.ts'
import { Participant, type ListingBody, type Places, type Surroundings } from './participant.ts'

type Via = 'direct' | 'mixnet'

export interface ServiceOptions extends Surroundings {
  readonly identity: Secp256k1PrivateKey
  /** The node's folder. */
  readonly dir: string
  readonly places: Places
  readonly kind: string
  readonly body: ListingBody
  readonly protocol: string
  /** Answers bytes with bytes; engines refuse in their replies, so this throws only for defects. */
  readonly handle: (content: Uint8Array, via: Via) => Promise<Uint8Array>
  /** Not in the directory: reached by its operator only, while it asks others as any node does. */
  readonly unlisted?: boolean
  /** After everything else has taken it up. */
  readonly onDocument?: (view: DirectoryView) => void
}

/** Requests that are being answered when a service stops are given this long. */
const DRAIN = 10_000

export class Service {
  readonly participant: Participant
  readonly mixer: Mixer
  readonly #responder: () => MixnetResponder | null

  private constructor (participant: Participant, mixer: Mixer, responder: () => MixnetResponder | null) {
    this.participant = participant
    this.mixer = mixer
    this.#responder = responder
  }

  /** Resolves when it is listed and serves. */
  static async start (options: ServiceOptions): Promise<Service> {
    const { suite, ports, counters, protocol } = options
    let responder: MixnetResponder | null = null
    const mixer = new Mixer(options, options.dir, {
      onDeliver: message => { responder?.onDeliver(message) },
      onRefused: async signal => { await responder?.settle(signal) }
    })
    const participant = await Participant.start({
      ...options,
      ...(options.unlisted === true
        ? {}
        : { listing: { role: 'service' as const, kind: options.kind, body: options.body, places: options.places, mixKeys: mixer.keys, onKeys: mixer.onKeys } }),
      onDocument: view => {
        mixer.onDocument(view)
        options.onDocument?.(view)
      }
    })
    const view = await participant.inForce()
    const answer = (via: Via): MixnetHandler => async content => {
      counters.count('service_requests', { via })
      return await options.handle(content, via)
    }
    if (options.unlisted !== true) {
      responder = new MixnetResponder({
        suite, clock: ports.clock, rng: ports.rng, meter: counters, parameters: () => participant.keeper.view()?.parameters ?? null,
        mayReplyTo: firstHop => mayReplyTo(participant.keeper.live(), firstHop),
        sendPacket: (to, packet) => mixer.sendPacket(to, packet)
      })
      responder.handle(protocol, answer('mixnet'))
      const direct = answer('direct')
      await participant.serve(protocol, direct)
      await participant.listed()
      await mixer.start(participant, view)
    }
    return new Service(participant, mixer, () => responder)
  }

  async stop (): Promise<void> {
    await this.mixer.stop(DRAIN)
    this.#responder()?.close()
    await this.participant.stop()
  }
}
