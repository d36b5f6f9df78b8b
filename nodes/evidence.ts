/** What a daemon gives out of the proofs that it holds against authorities, each as a line that `mixmint proof verify` takes. */
import type { Evidence } from '@mixmint/mixnet/directory/evidence'
import { armor } from './armor.ts'
import type { Operations } from './control.ts'

export function evidenceOperation (evidence: Evidence): Operations[string] {
  return async () => ({ proofs: evidence.proofs.map(proof => armor('equivocation', proof)) })
}
