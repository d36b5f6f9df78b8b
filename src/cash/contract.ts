/** Contracts, invoices and the bank's word on them (DESIGN §5). */
import { compare, equal, toHex } from '../kit/bytes.ts'
import { encode, tagged } from '../kit/codec.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Ed25519KeyPair, Suite } from '../crypto/suite.ts'
import { Contract, Invoice, Outcome, Output, Withdrawal, type SignedInvoice, type SignedOutcome } from './formats.ts'
import type { Registry } from './registry.ts'
import type { KnownSealedKeys } from './sealed-keys.ts'

/** D: H of the tagged encoding. 32 bytes. */
export function contractId (suite: Suite, contract: Contract): Uint8Array {
  return suite.sha256(tagged('contract', encode(Contract, contract)))
}

export function withdrawalId (suite: Suite, withdrawal: Withdrawal): Uint8Array {
  return suite.sha256(tagged('withdrawal', encode(Withdrawal, withdrawal)))
}

export function outputHash (suite: Suite, output: Output): Uint8Array {
  return suite.sha256(tagged('output', encode(Output, output)))
}

/** Sum of values. @throws bad-amount (peer) when it reaches 2^53 */
export function total (items: ReadonlyArray<{ value: number }>, start = 0): number {
  let sum = start
  for (const { value } of items) {
    sum += value
    if (!Number.isSafeInteger(sum)) throw new MixmintError('bad-amount', 'peer', 'the amounts add up to more than money can be')
  }
  return sum
}

/** What the coins of a contract must sum to: its amount and its outputs. */
export function worth (contract: Contract): number {
  return total(contract.outputs, contract.amount)
}

/** The keys of sealed tokens of this hash, where the bank has them. */
export type SealedKeysOf = (id: Uint8Array) => KnownSealedKeys | undefined

/**
 * The rules of one contract that do not change with time: its kind's fields, its bank and network, its outputs.
 * @param sealedKeys only the bank is asked for sealed tokens, and it alone need know the keys
 * @returns the hash of each output
 * @throws wrong-network, unknown-bank, bad-contract, bad-amount, and those of checkOutputs (peer)
 */
export function checkContract (suite: Suite, registry: Registry, contract: Contract, sealedKeys: SealedKeysOf = () => undefined): Uint8Array[] {
  const bad = (why: string): MixmintError => new MixmintError('bad-contract', 'peer', `contract refused: ${why}`)
  if (contract.network !== registry.network) throw new MixmintError('wrong-network', 'peer', 'the contract belongs to another network')
  if (!registry.hasBank(contract.bank)) throw new MixmintError('unknown-bank', 'peer', 'no such bank stands in the directory document')
  const payee = contract.payee.length === 32
  const invoice = contract.invoice.length === 32
  const token = contract.token
  switch (contract.kind) {
    case 'pay':
      if (!payee || !invoice || token !== null || contract.amount === 0) throw bad('a payment has a payee, an invoice and an amount, and no token')
      break
    case 'token':
      if (!payee || invoice || token === null || contract.amount === 0) throw bad('a token has a payee, terms and an amount, and no invoice')
      if (!(token.notBefore < token.notAfter && token.notAfter <= token.depositUntil && token.depositUntil <= token.refundAfter)) {
        throw bad('the dates of the token are not in order')
      }
      break
    case 'sealed':
      if (payee || invoice || token !== null || contract.amount !== 0 || sealedOutputs(contract, sealedKeys).length === 0) throw bad('it buys sealed tokens, which are among its outputs, and says nothing else')
      break
    case 'exchange':
      if (payee || invoice || token !== null || contract.amount !== 0 || contract.outputs.length === 0) throw bad('an exchange has outputs and nothing else')
  }
  worth(contract)
  return checkOutputs(suite, registry, contract.bank, contract.unit, contract.outputs, contract.kind === 'sealed' ? sealedKeys : undefined)
}

/** The outputs that are sealed tokens to be: in a contract of kind sealed only. */
export function sealedOutputs ({ kind, outputs }: Contract, sealedKeys: SealedKeysOf): Output[] {
  return kind === 'sealed' ? outputs.filter(({ keyset }) => sealedKeys(keyset) !== undefined) : []
}

/** The others, which are coins to be. */
export function coinOutputs (contract: Contract, sealedKeys: SealedKeysOf): Output[] {
  const sealed = sealedOutputs(contract, sealedKeys)
  return contract.outputs.filter(output => !sealed.includes(output))
}

/**
 * @returns the hash of each output
 * @throws unknown-keyset, unknown-denomination, wrong-bank, wrong-unit, bad-output (not below the modulus),
 *   duplicate-output (peer)
 */
export function checkOutputs (
  suite: Suite, registry: Registry, bank: Uint8Array, unit: string, outputs: readonly Output[], sealedKeys: SealedKeysOf = () => undefined
): Uint8Array[] {
  const seen = new Set<string>()
  return outputs.map(output => {
    const sealed = sealedKeys(output.keyset)
    const known = sealed ?? registry.keyset(output.keyset)
    const keyset = sealed?.keys ?? registry.keyset(output.keyset).keyset
    if (!equal(keyset.bank, bank)) throw new MixmintError('wrong-bank', 'peer', 'an output is of another bank')
    if (keyset.unit !== unit) throw new MixmintError('wrong-unit', 'peer', 'an output is in another unit')
    if (compare(output.blinded, known.keyFor(output.value).n) >= 0) {
      throw new MixmintError('bad-output', 'peer', 'a blinded message is not below its key\'s modulus')
    }
    const hash = outputHash(suite, output)
    if (seen.has(toHex(hash))) throw new MixmintError('duplicate-output', 'peer', 'an output is there twice')
    seen.add(toHex(hash))
    return hash
  })
}

/**
 * The dates that must hold before anybody votes, settles or ships for a contract that is new to it (DESIGN §5.8): settleBy
 * not past and not too far ahead; every output's keyset issuing now and spendable long enough after the last void.
 * @throws settle-by-past, settle-by-too-far, keyset-not-yet, keyset-not-issuing, keyset-ends-too-soon (peer)
 */
export function checkContractDates (registry: Registry, contract: Contract, now: number): void {
  if (contract.settleBy + registry.parameters.voidGrace < now) throw new MixmintError('settle-by-past', 'peer', 'the contract should have been settled before now')
  checkLastingDates(registry, contract, now)
  checkOutputDates(registry, contract.outputs, now)
}

/**
 * Those of them that no passing of time can break, and that a certified contract too has to keep.
 * @throws settle-by-too-far, keyset-not-yet, keyset-ends-too-soon (peer)
 */
export function checkLastingDates (registry: Registry, contract: Contract, now: number): void {
  const { clockSkew, settleMaximum, voidGrace, margin } = registry.parameters
  if (contract.settleBy > now + settleMaximum + clockSkew) throw new MixmintError('settle-by-too-far', 'peer', 'the contract may be settled too far in the future')
  for (const output of contract.outputs) {
    const { issueFrom, spendUntil } = registry.keyset(output.keyset).keyset
    if (now + clockSkew < issueFrom) throw notYet()
    if (contract.settleBy + voidGrace + margin >= spendUntil) throw new MixmintError('keyset-ends-too-soon', 'peer', 'an output could end before the contract is decided')
  }
}

/**
 * Do the keysets of these outputs issue now, for somebody whose clock differs from ours by as much as it may?
 * @throws keyset-not-yet (peer, retry): asked again later, the same may be granted; keyset-not-issuing (peer): it is over,
 *   and by a clock that never runs back it is so for every copy of the request, however late
 */
export function checkOutputDates (registry: Registry, outputs: readonly Output[], now: number): void {
  const skew = registry.parameters.clockSkew
  for (const output of outputs) {
    const { issueFrom, issueUntil } = registry.keyset(output.keyset).keyset
    if (now + skew < issueFrom) throw notYet()
    if (now - skew >= issueUntil) throw new MixmintError('keyset-not-issuing', 'peer', 'an output is of a keyset that issues no more')
  }
}

function notYet (): MixmintError {
  return new MixmintError('keyset-not-yet', 'peer', 'an output is of a keyset that does not issue yet: one of the clocks is wrong', { retry: true })
}

/** H(invoice). 32 bytes. */
export function invoiceHash (suite: Suite, invoice: Invoice): Uint8Array {
  return suite.sha256(tagged('invoice', encode(Invoice, invoice)))
}

export function signInvoice (suite: Suite, payee: Ed25519KeyPair, invoice: Invoice): SignedInvoice {
  return { invoice, signature: suite.ed25519Sign(payee, tagged('invoice', encode(Invoice, invoice))) }
}

/** @throws bad-invoice (peer) */
export function verifyInvoice (suite: Suite, { invoice, signature }: SignedInvoice): void {
  if (!suite.ed25519Verify(invoice.payee, tagged('invoice', encode(Invoice, invoice)), signature)) {
    throw new MixmintError('bad-invoice', 'peer', 'the invoice is not signed by its payee')
  }
}

export function signOutcome (suite: Suite, bank: Ed25519KeyPair, outcome: Outcome): SignedOutcome {
  return { outcome, signature: suite.ed25519Sign(bank, tagged('outcome', encode(Outcome, outcome))) }
}

/** @throws bad-outcome (peer) */
export function verifyOutcome (suite: Suite, bank: Uint8Array, { outcome, signature }: SignedOutcome): void {
  if (!suite.ed25519Verify(bank, tagged('outcome', encode(Outcome, outcome)), signature)) {
    throw new MixmintError('bad-outcome', 'peer', 'the outcome is not signed by the bank')
  }
}
