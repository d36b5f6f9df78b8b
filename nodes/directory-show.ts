/** The directory document as a list for people and programs, fetched and verified as any client does. */
import { join } from 'node:path'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import type { Suite } from '@mixmint/core/crypto/suite'
import { noStore } from '@mixmint/core/kit/no-store'
import { signers, trustAt, trustOf } from '@mixmint/mixnet/directory/document'
import type { DirectoryView } from '@mixmint/mixnet/directory/view'
import { formatTarget } from '@mixmint/mixnet/wire/peers'
import { sleep, systemClock, systemRng } from './clock.ts'
import { readNetwork, type NetworkConfig } from './config.ts'
import { freshIdentity } from './identity.ts'
import { Counters, createLog } from './observe.ts'
import { Participant } from './participant.ts'

const PATIENCE = 10_000

export interface ShownDirectory {
  readonly network: string
  readonly epoch: number
  readonly validUntil: string
  readonly signatures: number
  readonly authorities: number
  readonly nodes: ReadonlyArray<{ readonly layer: number, readonly role: string, readonly peer: string, readonly address: string, readonly entry: readonly string[] }>
}

type Use<T> = (seen: { suite: Suite, network: NetworkConfig, participant: Participant, view: DirectoryView }) => Promise<T> | T

/** The network as a client sees it now, for as long as `use` takes. @throws directory-unavailable, and those of readNetwork */
export async function withDirectory<T> (net: string, use: Use<T>): Promise<T> {
  return await withNetwork(await defaultSuite(), readNetwork(join(net, 'network.toml')), use)
}

/** As withDirectory. */
export async function withNetwork<T> (suite: Suite, network: NetworkConfig, use: Use<T>): Promise<T> {
  const participant = await Participant.start({
    suite, network, log: createLog('client', 'silent'), counters: new Counters(), identity: await freshIdentity(),
    ports: { clock: systemClock, rng: systemRng, store: noStore, wait: sleep }
  })
  try {
    return await use({ suite, network, participant, view: await participant.ready(PATIENCE) })
  } finally {
    await participant.stop()
  }
}

export async function showDirectory (net: string): Promise<ShownDirectory> {
  return await withDirectory(net, ({ suite, network, view }) => {
    const { authorities } = trustAt(trustOf(network.network, network.authorities), view.epoch)
    return {
      network: view.network,
      epoch: view.epoch,
      validUntil: new Date(view.signed.document.validUntil).toISOString(),
      signatures: signers(suite, view.signed, authorities).length,
      authorities: authorities.length,
      nodes: view.nodes.map(node => ({
        layer: node.layer, role: node.kind === '' ? node.role : node.kind, peer: formatTarget(node).split('/p2p/')[1], address: node.addresses[0], entry: node.entry
      }))
    }
  })
}
