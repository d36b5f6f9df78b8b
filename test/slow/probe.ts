/**
 * Somebody at the edge of a network of processes who makes packets by hand: reads the directory's documents, chooses under
 * which epoch's keys a packet goes, and hands it to the gateway as a wallet does.
 */
import { join } from 'node:path'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { equal, toHex } from '@mixmint/core/kit/bytes'
import { epochAt, type Schedule } from '@mixmint/mixnet/directory/epoch'
import { DirectoryView, type DirectoryNode } from '@mixmint/mixnet/directory/view'
import { MixEngine } from '@mixmint/mixnet/mixing/engine'
import { addressBlock } from '@mixmint/mixnet/sphinx/address'
import { wrap } from '@mixmint/mixnet/sphinx/wrap'
import { askDirectory, askOver, fetchDocument, type Ask } from '@mixmint/mixnet/wire/directory'
import { MixNode } from '@mixmint/mixnet/wire/mix-node'
import { parseTarget, peerBytes } from '@mixmint/mixnet/wire/peers'
import { RpcClient } from '@mixmint/mixnet/wire/rpc-client'
import { systemClock, systemRng } from '../../nodes/clock.ts'
import { readNetwork } from '../../nodes/config.ts'
import type { Stage } from '../../nodes/demo/stage.ts'
import { createHost, type Host } from '../../nodes/host.ts'
import { freshIdentity, loadOrCreateIdentity } from '../../nodes/identity.ts'
import { nodeNames } from '../../nodes/layout.ts'
import { Counters } from '../../nodes/observe.ts'
import { HERE, suite } from '../mixnet/mix-material.ts'

/** What a node says of packets that ended at it: taken, or dropped, by reason. */
export interface Fate { readonly delivered: number, readonly dropped: Readonly<Record<string, number>> }

export class Probe {
  /** Of all epochs that were asked for. */
  readonly documents = new Map<number, DirectoryView>()
  readonly authorityKeys: readonly Uint8Array[]
  readonly #stage: Stage
  readonly #schedule: Schedule
  readonly #host: Host
  readonly #rpc: RpcClient
  readonly #authorities: readonly Ask[]
  #sender: MixNode | null = null

  private constructor (stage: Stage, schedule: Schedule, host: Host) {
    this.#stage = stage
    this.#schedule = schedule
    this.#host = host
    this.#rpc = new RpcClient({ node: host.node, meter: new Counters() })
    const { authorities } = readNetwork(join(stage.dir, 'network.toml'))
    this.#authorities = authorities.map(({ address }) => askOver(this.#rpc, parseTarget(address)))
    this.authorityKeys = authorities.map(({ key }) => key)
  }

  static async start (stage: Stage, schedule: Schedule): Promise<Probe> {
    return new Probe(stage, schedule, await createHost({ privateKey: await freshIdentity(), role: 'wallet', listen: [], meter: new Counters() }))
  }

  async stop (): Promise<void> {
    await this.#sender?.stop(100)
    this.#rpc.close()
    await this.#host.stop()
  }

  get epoch (): number {
    return epochAt(this.#schedule, Date.now())
  }

  /** The document as this authority gives it. @throws what it refuses with while there is none */
  async document (epoch: number, authority = 0): Promise<DirectoryView> {
    const known = this.documents.get(epoch)
    if (known !== undefined) return known
    const view = new DirectoryView((await fetchDocument(this.#authorities[authority], epoch, systemClock, AbortSignal.timeout(5_000))).signed)
    this.documents.set(epoch, view)
    return view
  }

  /** What this authority shows of its own on an epoch, by place: votes, proposals, and whatever else it signs. Empty when it does not answer. */
  async saidBy (authority: number, epoch: number): Promise<Array<{ readonly place: string, readonly value: string }>> {
    const reply = await askDirectory(this.#authorities[authority], { op: 'agreement', epoch }, AbortSignal.timeout(5_000)).catch(() => null)
    if (reply?.is !== 'agreement') return []
    const key = this.authorityKeys[authority]
    const signed = [...reply.statements, ...reply.proposals.map(proposal => proposal.signed)]
    const documents = (reply.document?.signatures ?? []).map(signature => ({ authority: signature.authority, statement: { what: 'document', round: 0, value: reply.document?.hash as Uint8Array } }))
    return [...signed, ...documents].filter(each => equal(each.authority, key))
      .map(({ statement: { what, round, value } }) => ({ place: `${epoch} ${what} ${round}`, value: toHex(value) }))
  }

  /** The node's key of this epoch, as the document of the epoch has it, or another. Undefined where that has none. */
  async keyOf (name: string, epoch: number, document = epoch): Promise<Uint8Array | undefined> {
    return this.#listed(await this.document(document), name).mixKeys.find(key => key.epoch === epoch)?.key
  }

  /** A packet over the gateway to this node of the mixnet, at which it ends: under its key of `epoch`, and the others' of now. */
  async packet (to: string, epoch: number): Promise<Uint8Array> {
    const { mixnet } = nodeNames(this.#stage.plan)
    const now = this.epoch
    const hops = await Promise.all(mixnet.slice(0, mixnet.indexOf(to) + 1).map(async name => {
      const of = name === to ? epoch : now
      const view = await this.document(of)
      const { addresses: [address], peer } = this.#listed(view, name)
      return { publicKey: await this.keyOf(name, of) as Uint8Array, address: addressBlock(address, peer), delay: name === to ? 0 : view.parameters.meanDelay }
    }))
    return wrap(suite, systemRng.bytes(32), hops, HERE, systemRng.bytes(3968))
  }

  /** Hand it to the only gateway. */
  async send (packet: Uint8Array): Promise<void> {
    const view = await this.document(this.epoch)
    const [gateway] = view.gateways
    this.#sender ??= new MixNode({
      node: this.#host.node,
      engine: new MixEngine({ suite, self: this.#host.peer, parameters: view.parameters, topology: { mayForward: () => false, mayReachWallet: () => false } }),
      neighbourhood: { addresses: () => gateway.entry, accepts: () => true },
      clock: systemClock, rng: systemRng, meter: new Counters(), padded: true
    })
    if (this.#sender.sendPacket(gateway.peer, packet) !== 'queued') throw new Error('no room on the link to the gateway')
  }

  async fate (name: string): Promise<Fate> {
    const { delivered, dropped } = await this.#stage.status(name)
    return { delivered: Number(delivered), dropped: dropped as Record<string, number> }
  }

  #listed (view: DirectoryView, name: string): DirectoryNode {
    const peer = peerBytes(peerIdFromPrivateKey(loadOrCreateIdentity(join(this.#stage.dir, name, 'identity.key'))))
    const found = view.byPeer(peer)
    if (found === undefined) throw new Error(`${name} is not listed in epoch ${view.epoch}`)
    return found
  }
}

/** Resolves when the condition holds; the test's own timeout is the limit. */
export async function until (condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!await condition()) await new Promise(resolve => setTimeout(resolve, 20))
}
