/**
 * Proofs that a node comes across by reading the directory: against authorities (mixnet/directory/evidence.ts) and banks
 * (cash/bank-archive.ts), each given out as a line that `mixmint proof verify` takes.
 */
import type { Log, Meter } from '@mixmint/core/kit/ports'
import { asMixmintError, drive, type BasePorts, type Saga } from '@mixmint/core/kit/saga'
import type { Suite } from '@mixmint/core/crypto/suite'
import { archive, bankConflicts, isArchived } from '@mixmint/core/cash/bank-archive'
import type { BankListing } from '@mixmint/core/cash/formats'
import type { Evidence } from '@mixmint/mixnet/directory/evidence'
import { armor } from './armor.ts'
import type { Operations } from './control.ts'

async function noEffects (effect: never): Promise<never> {
  throw new Error(`an archive has no effects of its own: ${JSON.stringify(effect)}`)
}

async function run<T> (saga: Saga<T>, ports: BasePorts): Promise<T> {
  return await drive<T, never>(saga, ports, noEffects)
}

export function evidenceOperation (evidence: Evidence, ports: BasePorts): Operations[string] {
  return async () => ({
    proofs: [...evidence.proofs.map(proof => armor('equivocation', proof)), ...(await run(bankConflicts(), ports)).map(conflict => armor('bank', conflict))]
  })
}

/** Takes up listings of banks, one after another, in its own time. */
export class BankWatch {
  readonly #suite: Suite
  readonly #network: string
  readonly #ports: BasePorts
  readonly #meter: Meter
  readonly #log: Log
  #last: Promise<void> = Promise.resolve()
  /** There was no room for a bank; said once. */
  #overflowing = false

  constructor (suite: Suite, network: string, ports: BasePorts, meter: Meter, log: Log) {
    this.#suite = suite
    this.#network = network
    this.#ports = ports
    this.#meter = meter
    this.#log = log
  }

  see (listing: BankListing): void {
    this.#last = this.#last.then(async () => {
      const found = await run(archive(this.#suite, this.#network, this.#meter, listing), this.#ports)
      if (found.length > 0) this.#log.error('a bank has signed two things where there may be one: see `mixmint directory evidence`', { conflicts: found.length })
      if (!this.#overflowing && !(await run(isArchived(listing.bank), this.#ports))) {
        this.#overflowing = true
        this.#log.warn('the directory has listed more banks than this node keeps anything of: of some it would not find out that they contradict themselves')
      }
    }).catch((error: unknown) => { this.#log.warn('what a bank signed could not be kept', { code: asMixmintError(error).code }) })
  }

  /** Resolves when all that was seen is on disk. */
  async settled (): Promise<void> {
    await this.#last
  }
}
