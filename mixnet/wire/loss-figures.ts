/** Figures of losses, of loops and of echoes, as operators and applications see them: nodes under their libp2p peer ids. */
import { ALL, type LossFigures, type Subject } from '../cover/loss.ts'
import { peerIdOfLink } from './peers.ts'

export interface LoopFigures extends Omit<LossFigures, 'nodes' | 'paths' | 'alarms'> {
  readonly nodes: ReadonlyArray<{ readonly node: string, readonly loops: number, readonly lost: number }>
  readonly paths: ReadonlyArray<{ readonly nodes: readonly string[], readonly loops: number, readonly lost: number }>
  /** Peer ids of nodes that lose too much, and `all` if all loops together do. */
  readonly alarms: readonly string[]
}

export function namedFigures (figures: LossFigures): LoopFigures {
  return {
    ...figures,
    nodes: figures.nodes.map(count => ({ ...count, node: nameOf(count.node) })),
    paths: figures.paths.map(count => ({ ...count, nodes: count.nodes.map(nameOf) })),
    alarms: figures.alarms.map(nameOf)
  }
}

export function nameOf (subject: Subject): string {
  return subject === ALL ? ALL : peerIdOfLink(subject).toString()
}
