/**
 * At a gateway, as a wallet is: a libp2p host under an identity that only the gateway knows, and a mixer of one key whose only
 * paths end here. What is sent and asked over it is its user's matter.
 */
import type { Secp256k1PrivateKey } from '@libp2p/interface'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Clock, Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import type { Attachment } from '@mixmint/mixnet/directory/route'
import type { DirectoryNode, DirectoryView } from '@mixmint/mixnet/directory/view'
import { MixEngine } from '@mixmint/mixnet/mixing/engine'
import { MixNode } from '@mixmint/mixnet/wire/mix-node'
import { dialable, entryOf, linkIdOf, peerIdFromBytes } from '@mixmint/mixnet/wire/peers'
import { createHost, type Host } from './host.ts'

const DIAL_PATIENCE = 4_000
/** Packets of ours that are still queued for the gateway when the session ends. */
const DRAIN: Millis = 500

export interface AttachOptions {
  readonly suite: Suite
  readonly clock: Clock
  readonly rng: Rng
  readonly meter: Meter
  /** The document of now. */
  readonly view: DirectoryView
  /** The newest document, or null. */
  readonly known: () => DirectoryView | null
  /** The first of these that answers. */
  readonly gateways: readonly DirectoryNode[]
  /** The name under which the gateway, and nobody else, knows us. */
  readonly alias: Secp256k1PrivateKey
  readonly onReply: (surbId: Uint8Array, payload: Uint8Array) => void
}

export interface Attached {
  readonly node: MixNode
  readonly at: Attachment
  readonly stop: () => Promise<void>
}

/** @throws no-gateway (operator, retry) */
export async function attach ({ suite, clock, rng, meter, view, known, gateways, alias, onReply }: AttachOptions): Promise<Attached> {
  const privateKey = rng.bytes(32)
  const mixKey = suite.x25519Base(privateKey)
  const host = await createHost({ privateKey: alias, role: 'wallet', listen: [], meter })
  let gateway: DirectoryNode
  try {
    gateway = await reach(host, gateways)
  } catch (error) {
    await host.stop()
    throw error
  }
  const engine = new MixEngine({
    suite, self: host.peer, parameters: view.parameters, topology: { mayForward: () => false, mayReachWallet: () => false }
  })
  const link = linkIdOf(peerIdFromBytes(gateway.peer))
  const node = new MixNode({
    node: host.node, engine, clock, rng, meter, padded: true,
    neighbourhood: {
      addresses: peer => peer === link ? known()?.byPeer(gateway.peer)?.entry ?? gateway.entry : [],
      accepts: peer => peer === link
    },
    onReply
  })
  // The session's key outlives epochs: it is known to nobody but this session's own SURBs.
  node.install({ epoch: 0, privateKey, from: 0, until: Infinity })
  node.setEpoch(0, view.parameters)
  await node.start()
  node.keep(gateway.peer)
  return {
    node,
    at: { gateway: gateway.peer, peer: host.peer, mixKey },
    stop: async () => {
      await node.stop(DRAIN)
      await host.stop()
    }
  }
}

/** The first of these that answers, with a connection to it. @throws no-gateway (operator, retry) */
async function reach (host: Host, gateways: readonly DirectoryNode[]): Promise<DirectoryNode> {
  for (const gateway of gateways) {
    try {
      await host.node.dial(dialable(entryOf(gateway)), { signal: AbortSignal.timeout(DIAL_PATIENCE) })
      return gateway
    } catch {
      // Down, or not reached from here: the next.
    }
  }
  throw new MixmintError('no-gateway', 'operator', 'no gateway of the network answers: is this machine connected, and are they running?', { retry: true })
}
