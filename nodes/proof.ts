/**
 * Checking a proof with nothing but itself: two spends of a coin with the keyset that the bank signed, votes that convict a
 * center with its ring, two descriptors of a bank's keys, or two statements of a directory authority.
 */
import { verifyBankConflict } from '@mixmint/core/cash/bank-archive'
import { verifyCenterProof } from '@mixmint/core/cash/center-proof'
import { coinId } from '@mixmint/core/cash/coin'
import type { DoubleSpendProofFile } from '@mixmint/core/cash/formats'
import { verifyKeyset } from '@mixmint/core/cash/keyset'
import { coinKeys } from '@mixmint/core/cash/known-keyset'
import { verifyDoubleSpend } from '@mixmint/core/cash/spend'
import { MixmintError } from '@mixmint/core/kit/errors'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import type { Suite } from '@mixmint/core/crypto/suite'
import { verifyEquivocation } from '@mixmint/mixnet/directory/statement'
import { unarmor } from './armor.ts'

interface ProvenDoubleSpend {
  readonly kind: 'double-spend'
  readonly coin: Uint8Array
  readonly value: number
  readonly unit: string
  readonly bank: Uint8Array
}

/** A directory authority said two things where an honest one says one. */
interface ProvenEquivocation {
  readonly kind: 'equivocation'
  readonly authority: Uint8Array
  readonly network: string
  readonly epoch: number
  /** vote, proposal, prevote, precommit, document */
  readonly what: string
}

/** A center signed what an honest one does not. */
interface ProvenCenterFault {
  readonly kind: 'center-fault'
  /** twice: it voted for two spends of one coin; foreign: for a coin that others keep. */
  readonly fault: 'twice' | 'foreign'
  readonly center: Uint8Array
  readonly voteKey: Uint8Array
  readonly ring: Uint8Array
  readonly bank: Uint8Array
}

/** A bank signed two keysets that issue at one time, two token keys for one day, or two sets of keys for sealed tokens of one day. */
interface ProvenBankConflict {
  readonly kind: 'bank-conflict'
  readonly conflict: 'keysets' | 'dayKeys' | 'sealedKeys'
  readonly bank: Uint8Array
  readonly network: string
}

export type Proven = ProvenDoubleSpend | ProvenEquivocation | ProvenCenterFault | ProvenBankConflict

/**
 * @throws bad-text, wrong-kind (caller), bad-encoding; bad-keyset when the keyset is not signed by the bank it names; those
 *   of verifyDoubleSpend, verifyEquivocation, verifyCenterProof, verifyBankConflict (peer). Whether that bank or authority is yours, the caller decides.
 */
export async function verifyProofText (text: string): Promise<Proven> {
  const suite = await defaultSuite()
  const armored = unarmor(text)
  if (armored.kind === 'proof') return doubleSpend(suite, armored.value)
  if (armored.kind === 'center') {
    const { fault, keyset } = armored.value
    const { id, voteKey } = verifyCenterProof(suite, armored.value)
    return { kind: 'center-fault', fault: fault.is, center: id, voteKey, ring: fault.ring, bank: keyset.keyset.bank }
  }
  if (armored.kind === 'bank') {
    const { value } = armored
    return { kind: 'bank-conflict', conflict: value.is, ...verifyBankConflict(suite, value) }
  }
  if (armored.kind !== 'equivocation') throw new MixmintError('wrong-kind', 'caller', `this is a mixmint ${armored.kind}, but a proof is wanted`)
  verifyEquivocation(suite, armored.value)
  const { authority, statement: { network, epoch, what } } = armored.value.first
  return { kind: 'equivocation', authority, network, epoch, what }
}

function doubleSpend (suite: Suite, { proof, keyset: signed }: DoubleSpendProofFile): ProvenDoubleSpend {
  const { keyset } = signed
  const id = verifyKeyset(suite, keyset.network, keyset.bank, signed)
  verifyDoubleSpend(suite, coinKeys(id, keyset), proof)
  return { kind: 'double-spend', coin: coinId(suite, proof.first.coin), value: proof.first.coin.value, unit: keyset.unit, bank: keyset.bank }
}
