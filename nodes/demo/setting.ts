/** Who plays in the story, and what is otherwise on one machine than on several. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'smol-toml'
import { isFree, nodeNames } from '../layout.ts'
import type { Stage } from './stage.ts'

/** Nodes are named by their folders inside the network's. */
export interface Setting {
  readonly bank: string
  readonly merchant: string
  readonly centers: readonly string[]
  /** Gateways and mixes. */
  readonly mixes: readonly string[]
  /** A till accepts a token in less, ms. */
  readonly acceptsWithin: number
  /** A file that the wallet wrote goes over the counter of this till. @returns what it is handed */
  readonly handOver: (file: string, till: string) => Promise<string>
  /** The folder of a second payee: a till that is not in the directory, and asks keepers like any other. @returns its name */
  readonly openStall: () => Promise<string>
}

/** Below those that a network on one machine takes. */
const STALL_PORT = 19_000

/** As `mixmint up` lays a network out. */
export function onOneMachine (stage: Stage): Setting {
  return {
    bank: 'bank', merchant: 'merchant', centers: stage.centers, mixes: nodeNames(stage.plan).mixnet, acceptsWithin: 100,
    handOver: async file => await Promise.resolve(readFileSync(file, 'utf8').trim()),
    openStall: async () => {
      const { bank } = await stage.control('merchant', 'payee')
      let port = STALL_PORT
      while (!await isFree(port)) port += 1
      mkdirSync(join(stage.dir, 'stall'), { mode: 0o700 })
      writeFileSync(join(stage.dir, 'stall', 'config.toml'), stringify({
        role: 'merchant', listen: `/ip4/127.0.0.1/tcp/${port}`, merchant: { name: 'Stall', unit: stage.plan.unit, bank, unlisted: true }
      }))
      return 'stall'
    }
  }
}
