/** What a role is given, and what it gives back. */
import type { Secp256k1PrivateKey } from '@libp2p/interface'
import type { Evidence } from '@mixmint/mixnet/directory/evidence'
import type { NodeConfig } from '../config.ts'
import type { JsonObject, Operations } from '../control.ts'
import type { Passphrase } from '../passphrase.ts'
import type { Surroundings } from '../participant.ts'

export interface Daemon extends Surroundings {
  readonly config: NodeConfig
  readonly identity: Secp256k1PrivateKey
  /** Of the key files; null where there is none. */
  readonly passphrase: Passphrase | null
  /** Our peer id, 39 bytes. */
  readonly peer: Uint8Array
}

/** A role that serves. */
export interface Role {
  /** What the control socket offers. */
  readonly operations: Operations
  readonly status: () => Promise<JsonObject>
  /** What it holds against directory authorities. */
  readonly evidence: Evidence
  readonly stop: () => Promise<void>
}
