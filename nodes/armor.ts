/**
 * Money as text: an invoice, a payment, coins, a receipt, a bank's statement or a proof that people hand over as a file, in a message or as a QR
 * code. `mixmint-<kind>-1:` and, in base64url, the deterministic encoding with four bytes of checksum behind it, which tell
 * damage on the way from anything else. As a URI, for links and QR codes: the same with a colon after `mixmint`.
 */
import { createHash } from 'node:crypto'
import { decode, encode, record, list, type Codec, type Of } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import { EquivocationProof } from '@mixmint/mixnet/directory/statement'
import { BankConflict, CenterProofFile, CoinBundle, Contract, DoubleSpendProofFile, Input, MAX_INPUTS, Presentation, Retirement, SealedPayment, SignedInvoice, SignedStatement } from '@mixmint/core/cash/formats'
import { Receipt } from '@mixmint/core/cash/receipt'

/** Coins signed over to a payee, who takes them to their keepers. */
const Offer = record({ contract: Contract, inputs: list(Input, MAX_INPUTS, 1) })
export type Offer = Of<typeof Offer>

const KINDS = {
  invoice: SignedInvoice, token: Presentation, sealed: SealedPayment, coins: Offer, bundle: CoinBundle, receipt: Receipt, proof: DoubleSpendProofFile, equivocation: EquivocationProof,
  statement: SignedStatement, center: CenterProofFile, retirement: Retirement, bank: BankConflict
} as const
export type Kind = keyof typeof KINDS
export type Armored = { [K in Kind]: { readonly kind: K, readonly value: Of<(typeof KINDS)[K]> } }[Kind]

const CHECKSUM = 4
const TEXT = new RegExp(`^mixmint[-:](${Object.keys(KINDS).join('|')})-1:([A-Za-z0-9_-]+)$`)

function checksum (kind: string, content: Uint8Array): Buffer {
  return createHash('sha256').update(`mixmint-${kind}-1:`).update(content).digest().subarray(0, CHECKSUM)
}

export function armor<K extends Kind> (kind: K, value: Of<(typeof KINDS)[K]>): string {
  const content = encode(KINDS[kind] as unknown as Codec<unknown>, value)
  return `mixmint-${kind}-1:${Buffer.concat([content, checksum(kind, content)]).toString('base64url')}`
}

/** A text of `armor` as a URI. */
export function uriOf (text: string): string {
  return text.replace('mixmint-', 'mixmint:')
}

/** @throws bad-text (caller) when it is not such a text, or damaged; bad-encoding (peer) when its content is not what it says */
export function unarmor (text: string): Armored {
  const match = TEXT.exec(text.trim())
  if (match === null) throw new MixmintError('bad-text', 'caller', 'this is no mixmint invoice, payment, receipt, statement or proof: such a text begins with mixmint-invoice-1: or the like')
  const kind = match[1] as Kind
  const bytes = Buffer.from(match[2], 'base64url')
  const content = bytes.subarray(0, -CHECKSUM)
  // The last character has bits that are in no byte: of one thing there is one text only.
  if (bytes.toString('base64url') !== match[2] || !checksum(kind, content).equals(bytes.subarray(-CHECKSUM))) {
    throw new MixmintError('bad-text', 'caller', 'this text was changed on its way, or is cut off: get it again')
  }
  return { kind, value: decode(KINDS[kind] as unknown as Codec<unknown>, new Uint8Array(content)) } as Armored
}

/** As `unarmor`, of one kind. @throws wrong-kind (caller) too */
export function unarmorAs<K extends Kind> (kind: K, text: string): Of<(typeof KINDS)[K]> {
  const armored = unarmor(text)
  if (armored.kind !== kind) throw new MixmintError('wrong-kind', 'caller', `this is a mixmint ${armored.kind}, but a ${kind} is wanted`)
  return armored.value as Of<(typeof KINDS)[K]>
}
