/** What a role is given, and what it gives back. */
import type { Secp256k1PrivateKey } from '@libp2p/interface'
import type { MixmintError } from '@mixmint/core/kit/errors'
import type { Evidence } from '@mixmint/mixnet/directory/evidence'
import type { NodeConfig } from '../config.ts'
import type { JsonObject, Operations } from '../control.ts'
import type { Reached } from '../dial-back.ts'
import type { Passphrase } from '../passphrase.ts'
import type { Store } from '@mixmint/core/kit/ports'
import type { Told } from '../metrics/readings.ts'
import type { Surroundings } from '../participant.ts'

export interface Daemon extends Surroundings {
  readonly config: NodeConfig
  readonly identity: Secp256k1PrivateKey
  /** Of the key files; null where there is none. */
  readonly passphrase: Passphrase | null
  /** Our peer id, 39 bytes. */
  readonly peer: Uint8Array
  /** Ends the process, with this error: what it would do from now on might be wrong. */
  readonly fail: (error: MixmintError) => void
}

/** A role that serves. */
export interface Role {
  /** What the control socket offers. */
  readonly operations: Operations
  readonly status: () => Promise<JsonObject>
  /** What metrics tell besides the counters. */
  readonly told: () => Promise<Told>
  /** Codes of what is missing for its work; empty: nothing. */
  readonly missing: () => readonly string[]
  /** Where its money is, if it has any. */
  readonly money?: Store
  /** What it holds against directory authorities. */
  readonly evidence: Evidence
  /** Asks an authority which of these addresses it reaches. */
  readonly reach: (addresses: readonly string[]) => Promise<Reached>
  /** Take up what can change while it runs: settings that say `reload`. @throws bad-config and the like (operator): then all is as before */
  readonly reload?: (config: NodeConfig) => void
  readonly stop: () => Promise<void>
}
