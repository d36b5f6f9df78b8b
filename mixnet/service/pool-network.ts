/** A network without a directory: its nodes are those of a pool, and what they have agreed on stands in the init of each. */
import { equal, toHex } from '@mixmint/core/kit/bytes'
import type { Clock, Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import { below } from '@mixmint/core/kit/samplers'
import type { LinkId, Topology } from '../mixing/engine.ts'
import type { CoverPaths } from '../cover/sender.ts'
import type { Path, Paths, Target } from '../session/engines.ts'
import type { NodePool } from '../pool/pool.ts'
import { PoolPaths, type Home } from '../pool/paths.ts'
import { mayReplyInto, poolNeighbourhood, poolTopology } from '../pool/topology.ts'
import { nodeOf, type PacketAddress } from '../sphinx/address.ts'
import type { Neighbourhood } from '../wire/packets.ts'
import type { Target as Dialled } from '../wire/peers.ts'
import type { NetworkParameters } from './init.ts'
import type { MixPool } from './mix-pool.ts'
import type { MixNetwork, Self } from './network.ts'

export interface PoolNetworkOptions {
  readonly pool: NodePool
  readonly known: MixPool
  readonly parameters: NetworkParameters
  /** Do clients attach to this node? */
  readonly clients: boolean
  /** Our own peer id, 39 bytes. */
  readonly self: Uint8Array
  readonly clock: Clock
  readonly rng: Rng
  readonly meter: Meter
}

export class PoolNetwork implements MixNetwork {
  readonly topology: Topology
  readonly neighbourhood: Neighbourhood
  readonly #options: PoolNetworkOptions

  constructor (options: PoolNetworkOptions) {
    this.#options = options
    this.topology = poolTopology(options.pool, options.clients)
    this.neighbourhood = poolNeighbourhood(options.pool, false)
  }

  parameters = (): NetworkParameters => this.#options.parameters

  ready = async (): Promise<NetworkParameters> => this.#options.parameters

  isNode = (peer: LinkId): boolean => this.#options.pool.get(peer) !== undefined

  mayReplyTo = (firstHop: PacketAddress): boolean => mayReplyInto(this.#options.pool, firstHop)

  entries = (): readonly Dialled[] => this.#options.known.select(({ clients }) => clients)

  answers = (peer: Uint8Array): boolean => this.isNode(toHex(peer))

  exit = (protocol: string, destination: PacketAddress, entry: Uint8Array | null): Uint8Array | null => {
    const { known, self, rng } = this.#options
    const not = [self, nodeOf(destination), ...(entry === null ? [] : [entry])].map(toHex)
    const exits = known.select(({ exits }) => exits.includes(protocol)).filter(({ name }) => !not.includes(name))
    return exits.length === 0 ? null : exits[below(rng, exits.length)].peer
  }

  unreachable = (peer: LinkId): void => { this.#options.pool.unreachable(peer, this.#options.clock.now()) }

  paths = (self: Self): Paths => this.#paths(self)

  coverPaths = (self: Self): CoverPaths => {
    const paths = this.#paths(self)
    // Any node of a pool answers; it is drawn here and not by the path, which has to know its end.
    const someone = (now: Millis, rng: Rng): { service: LinkId, destination: null } | null => {
      const drawn = this.#options.pool.choose(1, ({ peer }) => !equal(peer, self.peer) && !equal(peer, self.entry() ?? self.peer), now, rng)
      return drawn === null ? null : { service: drawn[0].name, destination: null }
    }
    const towards = (find: (target: Target) => Path | null, now: Millis, rng: Rng): Path | null => {
      const target = someone(now, rng)
      return target === null ? null : find(target)
    }
    return {
      forward: (now, rng) => towards(target => paths.forward(target, now, rng), now, rng),
      back: (now, rng) => towards(target => paths.back(target, now, rng), now, rng)
    }
  }

  loopPath = (self: Self) => (now: Millis, rng: Rng): Path | null => this.#paths(self).loop(now, rng)

  #paths ({ peer, mixKey, block, entry }: Self): PoolPaths {
    const { pool, parameters, meter } = this.#options
    // No pool has a node without a name: while there is no entry, there is no path.
    const home: Home = { peer, mixKey, get at () { return block === null ? { entry: entry() ?? new Uint8Array(0) } : { block } } }
    return new PoolPaths({ pool, meter, parameters: () => parameters, home })
  }
}
