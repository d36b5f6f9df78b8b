/**
 * The service at work, once the network is known: the mixer with its links, the asking end and the answering end of
 * requests over them. What a node is not (no relay, no exit) is refused by the parts themselves.
 */
import type { Clock, Log, Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import type { Admit } from '../abuse/admit.ts'
import { RateLimit, walletLimits } from '../abuse/rate-limit.ts'
import { MixEngine } from '../mixing/engine.ts'
import type { MeanDelay } from '../mixing/keyring.ts'
import type { Session } from '../session/engines.ts'
import type { NodeFiles } from '../wire/files.ts'
import { LoopSender } from '../wire/loops.ts'
import type { LoopFigures } from '../wire/loss-figures.ts'
import { MixNode } from '../wire/mix-node.ts'
import type { Neighbourhood } from '../wire/packets.ts'
import { linkIdOf } from '../wire/peers.ts'
import { MixnetRequester } from '../wire/requester.ts'
import { MixnetResponder } from '../wire/responder.ts'
import type { StreamHost } from '../wire/stream-host.ts'
import type { HandlerBridge } from './bridge.ts'
import type { ExitForwarder } from './exit.ts'
import { splitHost } from './hosts.ts'
import type { MixLimits, NetworkParameters } from './init.ts'
import type { MixNetwork, Self } from './network.ts'

export interface WorksOptions {
  readonly suite: Suite
  readonly clock: Clock
  readonly rng: Rng
  readonly log: Log
  readonly meter: Meter
  readonly host: StreamHost
  readonly network: MixNetwork
  readonly parameters: NetworkParameters
  readonly limits: MixLimits
  readonly self: Self
  /** For a node that forwards: what packets may ask for, and whether clients attach to it. Else it is an end of paths only, whose neighbours are these. */
  readonly relay: { readonly meanDelay: MeanDelay, readonly clients: boolean, readonly admit: Admit | null } | { readonly neighbourhood: Neighbourhood }
  readonly session: Session
  readonly bridge: HandlerBridge
  /** For an exit; `replyLimit`: bytes that a reply may have. */
  readonly exit: ((replyLimit: () => number) => ExitForwarder) | null
  /** Null: nothing outlives a restart. */
  readonly files: NodeFiles | null
}

/** An end of paths forwards nothing. */
const NOWHERE = { mayForward: () => false, mayReachWallet: () => false }

export class Works {
  readonly node: MixNode
  readonly requester: MixnetRequester
  readonly #responder: MixnetResponder
  readonly #loops: LoopSender
  readonly #exit: ExitForwarder | null
  readonly #canAsk: boolean

  constructor (options: WorksOptions) {
    const { suite, clock, rng, log, meter, host, network, parameters, limits, self, relay, session, bridge, files } = options
    const replyLimit = (): number => (network.parameters() ?? parameters).requestLimit
    const exit = options.exit?.(replyLimit) ?? null
    this.#exit = exit
    const forwards = 'meanDelay' in relay
    const canAsk = !forwards || self.block !== null
    this.#canAsk = canAsk
    const { first, second } = splitHost(host, peer => network.isNode(linkIdOf(peer)))
    const engine = new MixEngine({
      suite, self: self.peer,
      parameters: forwards ? { ...parameters, meanDelay: relay.meanDelay } : parameters,
      topology: forwards ? network.topology : NOWHERE,
      ...(exit === null ? {} : { exits: exit.reaches })
    })
    this.node = new MixNode({
      node: forwards ? first : host, engine, clock, rng, meter,
      neighbourhood: forwards ? network.neighbourhood : relay.neighbourhood,
      ...(forwards && relay.clients
        ? {
            wallets: {
              host: second,
              accepts: peer => !network.isNode(peer),
              admit: relay.admit ?? new RateLimit(() => walletLimits((network.parameters() ?? parameters).cover)),
              grace: () => parameters.walletGrace,
              cover: () => (network.parameters() ?? parameters).cover,
              ...(files === null ? {} : { handover: files.walletHandover(engine.packetSize) })
            }
          }
        : {}),
      ...(files === null ? {} : { seenLog: files.seenLog, handover: files.handover(engine.packetSize) }),
      padded: !forwards,
      onDeliver: message => { if (!this.#loops.onDeliver(message)) this.#responder.onDeliver(message) },
      onExit: (message, destination) => { this.#responder.onDeliver(message, destination) },
      onRefused: async signal => { await this.#responder.settle(signal) },
      onUnreachable: network.unreachable,
      onReply: (surbId, payload) => { this.requester.onReply(surbId, payload) }
    })
    const common = { suite, clock, rng, meter, session, parameters: network.parameters, sendPacket: this.node.sendPacket.bind(this.node) }
    this.requester = new MixnetRequester({
      ...common, paths: network.paths(self),
      // Who stands in a directory asks nothing; its cover is loops.
      ...(canAsk ? { cover: { paths: network.coverPaths(self), ready: () => this.#canSend(self) } } : {}),
      limits: { calls: limits.exchanges, surbs: limits.surbs, patience: limits.patience }
    })
    this.#loops = new LoopSender({
      suite, clock, rng, meter, log, parameters: network.parameters, path: network.loopPath(self), isNode: network.isNode, sendPacket: common.sendPacket
    })
    this.#responder = new MixnetResponder({
      ...common,
      mayReplyTo: network.mayReplyTo,
      answering: {
        knows: protocol => bridge.knows(protocol),
        answer: async (protocol, content) => await bridge.answer(protocol, content, replyLimit())
      },
      ...(exit === null ? {} : { exit }),
      limits: { memory: limits.memory, requests: limits.requests, running: limits.running }
    })
  }

  async start (): Promise<void> {
    await this.node.start()
    this.#loops.onDocument()
  }

  /** What the network prescribes may have changed. */
  onDocument (): void {
    this.requester.onDocument()
    this.#loops.onDocument()
  }

  async stop (ms: Millis): Promise<void> {
    this.requester.close()
    this.#loops.stop()
    await this.node.stop(ms)
    this.#responder.close()
    this.#exit?.close()
  }

  /** What became of this node's loops. */
  loops (): LoopFigures {
    return this.#loops.figures()
  }

  /** What became of its echoes; null for a node that asks nothing. */
  echoes (): LoopFigures | null {
    return this.#canAsk ? this.requester.echoes() : null
  }

  /** A client sends over one link; who has an address of its own, over all. */
  #canSend ({ block, entry }: Self): boolean {
    const attached = entry()
    return block !== null || (attached !== null && this.node.isFree(attached))
  }
}
