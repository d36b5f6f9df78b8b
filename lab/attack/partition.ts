/**
 * Partition: whoever can show one client another document than all others, with few nodes or with nodes of his own, sees which
 * packets are that client's (Danezis and Syverson, "Bridging and fingerprinting: epistemic attacks on route selection", PETS 2008).
 * Here c of n authorities are corrupt, cut the network between the honest ones, in every way, and show each half another face, of
 * which one knows as few nodes as make a path. Measured is, by the daemon's engines: how many documents clients accept, and how
 * many nodes are in the smaller one; whether whoever sees both has a proof, and against how many.
 */
import { isMixmintError } from '@mixmint/core/kit/errors'
import type { Suite } from '@mixmint/core/crypto/suite'
import { shuffle } from '@mixmint/core/kit/samplers'
import { DirectoryClient } from '@mixmint/mixnet/directory/client'
import { quorum, tolerated } from '@mixmint/mixnet/directory/document'
import type { SignedDocument } from '@mixmint/mixnet/directory/formats'
import { verifyEquivocation } from '@mixmint/mixnet/directory/statement'
import { drawFrom } from '@mixmint/mixnet/directory/way'
import { seededRng } from '../kernel/rng.ts'
import { Shares } from '../measure/shares.ts'
import { estimate, type Estimate } from '../measure/statistics.ts'
import { Network } from '../network/network.ts'
import { PACKET } from '../network/packets.ts'
import { bad } from '../scenario/fields.ts'
import type { Scenario } from '../scenario/schema.ts'
import { Council, nodesOf, type Node } from './council.ts'

export interface Split {
  readonly authorities: number
  readonly corrupt: number
  /** Of the honest ones so many are in the half of the victim. */
  readonly with_victim: number
  /** Documents that clients accept, each by itself. */
  readonly documents: number
  /** Nodes in the document of all others, and in the victim's; null: there is none. */
  readonly nodes: number | null
  readonly victims_nodes: number | null
  /** Authorities that whoever sees both documents can convict. */
  readonly convicted: number
}

/**
 * From as many corrupt ones as are tolerated to as many as sign a document by themselves, with every cut.
 * @param width nodes of each layer; the victim is to be shown one of each
 */
export async function splits (suite: Suite, authorities: number, width: number, seed: number): Promise<Split[]> {
  const rows: Split[] = []
  for (let corrupt = tolerated(authorities); corrupt <= quorum(authorities); corrupt++) {
    for (let apart = 0; apart <= authorities - corrupt; apart++) rows.push(await split(suite, { authorities, corrupt, with_victim: apart }, width, seed))
  }
  return rows
}

export async function split (suite: Suite, who: Pick<Split, 'authorities' | 'corrupt' | 'with_victim'>, width: number, seed: number): Promise<Split> {
  const all = nodesOf(suite, width, seed)
  const isFirst = ({ layer, signed: { descriptor: { role } } }: Node, i: number): boolean => all.findIndex(other => other.layer === layer && other.signed.descriptor.role === role) === i
  // The corrupt ones speak in both halves.
  const halves = Array.from({ length: who.authorities }, (_, i) => i < who.corrupt ? [0, 1] : i < who.corrupt + who.with_victim ? [1] : [0])
  const council = await Council.of(suite, halves, [all, all.filter(isFirst)], seed)
  await council.agree()
  const shown = [await council.document(0), await council.document(1)].map(signed => signed !== null && isAccepted(suite, council, signed) ? signed : null)
  return { ...who, ...found(suite, council, shown) }
}

function isAccepted (suite: Suite, council: Council, signed: SignedDocument): boolean {
  try {
    return new DirectoryClient(suite, council.trust).accept(signed, council.now)
  } catch (error) {
    if (isMixmintError(error)) return false
    throw error
  }
}

function found (suite: Suite, council: Council, [others, victims]: ReadonlyArray<SignedDocument | null>): Pick<Split, 'documents' | 'nodes' | 'victims_nodes' | 'convicted'> {
  let convicted = 0
  if (others !== null && victims !== null) {
    const client = new DirectoryClient(suite, council.trust)
    client.accept(others, council.now)
    try {
      client.accept(victims, council.now)
    } catch (error) {
      if (!isMixmintError(error, 'document-conflict')) throw error
    }
    for (const proof of client.takeProofs()) {
      verifyEquivocation(suite, proof)
      convicted += 1
    }
  }
  return {
    documents: [others, victims].filter(document => document !== null).length,
    nodes: others?.document.nodes.length ?? null, victims_nodes: victims?.document.nodes.length ?? null, convicted
  }
}

export interface Cost {
  /** Mixes of each layer in the victim's document, at most. */
  readonly of_each_layer: number
  readonly entropy_bits: Estimate
}

/**
 * What a smaller document costs a client whose packets go through its mixes alone, while all others use all mixes: the observer
 * knows both documents, and that a packet which goes to any other mix is not the client's (else as in measure/shares.ts).
 * @throws bad-scenario (caller)
 */
export function partitionCost (scenario: Scenario, keep: number): Cost {
  const { measure: { targets, target_interval_s: interval, followed }, run, topology } = scenario
  if (topology.kind !== 'stratified') throw bad('topology.kind', 'stratified wanted')
  if (targets < 2) throw bad('measure.targets', 'at least 2 wanted')
  const rng = seededRng(run.seed, 'partition')
  const bits: number[] = []
  let [next, ended]: [number, number] = [run.warmup_s * 1000, 0]
  let shares: Shares | null = null
  const network: Network = new Network(scenario, {
    sent: (slot, now) => {
      const { packets } = network
      if (packets.kind[slot] !== PACKET.message || now < next || shares?.follow(slot, now) !== true) return
      next = now + interval * 1000
      kept.forEach((layer, i) => { packets.path[slot * packets.hops + i] = drawFrom(layer, rng) })
    },
    blocks: (slot, mix) => {
      if (isKept[mix] === 0) shares?.ruleOut(slot)
      return false
    }
  }, cells => (shares = new Shares(cells, followed, one => {
    ended += 1
    if (one !== null) bits.push(one.entropy)
  })))
  const kept = network.plan.layers.map(layer => shuffle(rng, layer.slice()).slice(0, keep))
  const isKept = Uint8Array.from({ length: network.mixes }, (_, mix) => kept.some(layer => layer.includes(mix)) ? 1 : 0)
  while (ended < targets && network.advance(TURN, Infinity)) { /* until all have come to their end */ }
  return { of_each_layer: keep, entropy_bits: estimate(bits) }
}

const TURN = 10_000
