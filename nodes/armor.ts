/**
 * Money as text: an invoice, a payment or a proof that people hand over as a file, in a message or as a QR code.
 * `mixmint-<kind>-1:` and the deterministic encoding in base64url.
 */
import { decode, encode, record, list, type Codec, type Of } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import { EquivocationProof } from '@mixmint/mixnet/directory/statement'
import { Contract, DoubleSpendProofFile, Input, MAX_INPUTS, Presentation, SealedPayment, SignedInvoice } from '@mixmint/core/cash/formats'

/** Coins signed over to a payee, who takes them to their keepers. */
const Offer = record({ contract: Contract, inputs: list(Input, MAX_INPUTS, 1) })
export type Offer = Of<typeof Offer>

const KINDS = { invoice: SignedInvoice, token: Presentation, sealed: SealedPayment, coins: Offer, proof: DoubleSpendProofFile, equivocation: EquivocationProof } as const
export type Kind = keyof typeof KINDS
export type Armored = { [K in Kind]: { readonly kind: K, readonly value: Of<(typeof KINDS)[K]> } }[Kind]

export function armor<K extends Kind> (kind: K, value: Of<(typeof KINDS)[K]>): string {
  return `mixmint-${kind}-1:${Buffer.from(encode(KINDS[kind] as unknown as Codec<unknown>, value)).toString('base64url')}`
}

/** @throws bad-text (caller) when it is not such a text; bad-encoding (peer) when its content is not what it says */
export function unarmor (text: string): Armored {
  const match = /^mixmint-(invoice|token|sealed|coins|proof|equivocation)-1:([A-Za-z0-9_-]+)$/.exec(text.trim())
  if (match === null) throw new MixmintError('bad-text', 'caller', 'this is no mixmint invoice, payment or proof: such a text begins with mixmint-invoice-1: or the like')
  const kind = match[1] as Kind
  const bytes = Buffer.from(match[2], 'base64url')
  // The last character has bits that are in no byte: of one thing there is one text only.
  if (bytes.toString('base64url') !== match[2]) throw new MixmintError('bad-text', 'caller', 'the end of this text was changed, or cut off')
  return { kind, value: decode(KINDS[kind] as unknown as Codec<unknown>, new Uint8Array(bytes)) } as Armored
}

/** As `unarmor`, of one kind. @throws wrong-kind (caller) too */
export function unarmorAs<K extends Kind> (kind: K, text: string): Of<(typeof KINDS)[K]> {
  const armored = unarmor(text)
  if (armored.kind !== kind) throw new MixmintError('wrong-kind', 'caller', `this is a mixmint ${armored.kind}, but a ${kind} is wanted`)
  return armored.value as Of<(typeof KINDS)[K]>
}
