/**
 * Proofs against authorities that contradicted themselves (statement.ts), kept for good: by authorities, nodes and wallets,
 * each by what it came across, and passed on between authorities. A saga engine.
 *
 *   store   directory/evidence/<authority 32><u64 epoch>    the first proof against it of that epoch
 */
import { concat, equal, toHex, u64, utf8 } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { isMixmintError } from '@mixmint/core/kit/errors'
import type { Meter } from '@mixmint/core/kit/ports'
import { batch, scanAll, type Saga } from '@mixmint/core/kit/saga'
import type { Suite } from '@mixmint/core/crypto/suite'
import type { Trust } from './document.ts'
import { EquivocationProof, verifyEquivocation } from './statement.ts'

const PREFIX = utf8('directory/evidence/')
/** Of each authority; one that goes on lying cannot fill the disk. */
const KEPT = 16

export class Evidence {
  readonly #suite: Suite
  readonly #trust: Trust
  readonly #meter: Meter
  readonly #proofs = new Map<string, EquivocationProof>()

  constructor (suite: Suite, trust: Trust, meter: Meter) {
    this.#suite = suite
    this.#trust = trust
    this.#meter = meter
  }

  /** Load what the store holds. Once, before anything else. */
  * open (): Saga<void> {
    for (const { value } of yield * scanAll(PREFIX)) this.#keep(decode(EquivocationProof, value))
  }

  get proofs (): readonly EquivocationProof[] {
    return [...this.#proofs.values()]
  }

  /** Has this authority contradicted itself in this epoch? */
  convicts (authority: Uint8Array, epoch: number): boolean {
    return this.#proofs.has(nameOf(authority, epoch))
  }

  /** @returns whether it is news; false also for one that proves nothing, or of an authority that is not ours */
  * add (proof: EquivocationProof): Saga<boolean> {
    const { authority, statement: { network, epoch, what } } = proof.first
    if (network !== this.#trust.network || !this.#trust.authorities.some(key => equal(key, authority))) return false
    const known = this.proofs.filter(({ first }) => equal(first.authority, authority))
    if (known.length >= KEPT || this.convicts(authority, epoch) || !this.#holds(proof)) return false
    this.#keep(proof)
    this.#meter.count('directory_equivocation', { what })
    yield * batch([{ op: 'put', key: concat(PREFIX, authority, u64(epoch)), value: encode(EquivocationProof, proof) }])
    return true
  }

  #keep (proof: EquivocationProof): void {
    this.#proofs.set(nameOf(proof.first.authority, proof.first.statement.epoch), proof)
  }

  #holds (proof: EquivocationProof): boolean {
    try {
      verifyEquivocation(this.#suite, proof)
      return true
    } catch (error) {
      if (isMixmintError(error)) return false
      throw error
    }
  }
}

function nameOf (authority: Uint8Array, epoch: number): string {
  return `${toHex(authority)} ${epoch}`
}
