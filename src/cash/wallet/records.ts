/** The values of the wallet's store (keys.ts says where each stands). */
import { bool, bytes, list, maybeBytes, nullable, oneOf, record, text, uint, variants, type Of } from '../../kit/codec.ts'
import { Coin, CoinBundle, Contract, Input, MAX_INPUTS, MAX_OUTPUTS, MAX_SEALED, Output, Presentation, SealedToken, SignedInvoice, SignedOutcome, SignedPaid, SignedToken, Withdrawal } from '../formats.ts'

const hash = bytes(32)
const millis = uint()
const sequence = uint()

/** With an output's keyset and value, what its secrets derive from (cash/derive.ts). */
export const Place = record({ generation: uint(2 ** 32 - 1), counter: uint() })
export type Place = Of<typeof Place>

const places = list(Place, MAX_OUTPUTS)

/**
 * `available`; `given` away in a bundle, and not known to be received; `promised` to the contract of an open operation, which
 * may take it at any time; `left` over by one that is decided; `reclaiming`; `refunding`; `spent`. `operation` is the one that gave,
 * promised, left, reclaims, refunds or spent it, else 0. `place` is null for a coin that came in a bundle: it has a key of its own.
 */
export const OwnedCoin = record({
  coin: Coin, place: nullable(Place), state: oneOf('available', 'given', 'promised', 'left', 'reclaiming', 'refunding', 'spent'), operation: sequence
})
export type OwnedCoin = Of<typeof OwnedCoin>

/** A coin signed over to a contract. `active`: in the set that is shown now; the others were replaced (substitution). */
export const Promised = record({ input: Input, place: nullable(Place), active: bool })
export type Promised = Of<typeof Promised>

/** How often the coins of one contract can be replaced, at the most. */
export const ROUNDS = 4

/**
 * `held`; `presented` at a till, outside this wallet's view; `sent` to the payee over the mixnet; `spent`, with the
 * payee's receipt, or by the bank's word; `refunding`; `refunded`. `nonce` of the contract that bought it: the owner key derives from it.
 */
export const HeldToken = record({
  token: SignedToken, nonce: hash, state: oneOf('held', 'presented', 'sent', 'spent', 'refunding', 'refunded'), invoice: nullable(SignedInvoice),
  presentation: nullable(Presentation), paid: nullable(SignedPaid)
})
export type HeldToken = Of<typeof HeldToken>

/** As HeldToken. `place`: where owner key, nonce and blinding derive from. `operation` bought it. `invoice`: H of what it pays, or empty. */
export const HeldSealed = record({
  token: SealedToken, place: Place, operation: sequence, state: oneOf('held', 'presented', 'sent', 'spent', 'refunding', 'refunded'), invoice: maybeBytes(32)
})
export type HeldSealed = Of<typeof HeldSealed>

/** An order that sealed tokens pay: presented at a till, or sent. */
export const SealedPaying = record({
  invoice: SignedInvoice, serials: list(hash, MAX_SEALED, 1), how: oneOf('presented', 'sent'), paid: nullable(SignedPaid)
})
export type SealedPaying = Of<typeof SealedPaying>

/**
 * What was signed over to an order and refused by its payee, who could turn it in all the same: a token as it was presented, or the serials
 * of sealed ones. They may have been signed over to another order since.
 */
export const RefusedOrder = record({ invoice: SignedInvoice, presentation: nullable(Presentation), serials: list(hash, MAX_SEALED) })
export type RefusedOrder = Of<typeof RefusedOrder>

/** What a contract of kind sealed does not tell the bank: the hash of the keys, payee and till of all its sealed tokens. */
export const SealedFor = record({ keys: hash, payee: hash, till: maybeBytes(32) })
export type SealedFor = Of<typeof SealedFor>

/** What was begun, with all that it takes to say the very same again after a crash. */
export const Operation = variants('kind', {
  withdraw: record({
    started: millis, state: oneOf('open', 'done', 'refused'), code: text(64), withdrawal: Withdrawal, places
  }),
  /**
   * `claim`: of an exchange of one coin out of a bundle, the bundle's id (cash/bundle.ts); else empty. `lost` when somebody else
   * has had that coin.
   */
  contract: record({
    started: millis, state: oneOf('open', 'settled', 'void', 'lost'), contract: Contract, places, coins: list(Promised, ROUNDS * MAX_INPUTS),
    invoice: nullable(SignedInvoice), paid: nullable(SignedPaid), outcome: nullable(SignedOutcome), claim: maybeBytes(32),
    sealed: nullable(SealedFor),
    /** So many of the coins, from the first, are covered by copies that the bank keeps; `waived`: they may leave without. */
    filed: uint(ROUNDS * MAX_INPUTS), waived: bool
  }),
  /** One coin that the contract of operation `from` left over. */
  reclaim: record({
    started: millis, state: oneOf('open', 'done', 'spent', 'refused'), contract: Contract, from: sequence, input: Input, place: nullable(Place),
    outputs: list(Output, MAX_OUTPUTS, 1), places
  }),
  /** One coin that cannot be certified any more, promised to the contract D of operation `from`, or to none (empty, 0). */
  'refund-coin': record({
    started: millis, state: oneOf('open', 'done', 'spent', 'refused'), coin: Coin, place: nullable(Place), promisedTo: maybeBytes(32), from: sequence,
    outputs: list(Output, MAX_OUTPUTS, 1), places
  }),
  /** A token that nobody turned in, as it `was`. */
  refund: record({
    started: millis, state: oneOf('open', 'done', 'spent', 'refused'), was: HeldToken, outputs: list(Output, MAX_OUTPUTS, 1), places
  }),
  'sealed-refund': record({
    started: millis, state: oneOf('open', 'done', 'spent', 'refused'), was: HeldSealed, outputs: list(Output, MAX_OUTPUTS, 1), places
  }),
  /** What a payee gives back of an order that we paid, as coins. `signature` by a key that paid it. */
  repay: record({
    started: millis, state: oneOf('open', 'done', 'refused'), invoice: SignedInvoice, outputs: list(Output, MAX_OUTPUTS, 1), places, signature: bytes(64)
  }),
  /** Coins given away; over when of each it is known whether it was received or came back. */
  give: record({ started: millis, state: oneOf('open', 'done'), bundle: CoinBundle })
})
export type Operation = Of<typeof Operation>
export type WithdrawOperation = Operation & { kind: 'withdraw' }
export type ContractOperation = Operation & { kind: 'contract' }
export type ReclaimOperation = Operation & { kind: 'reclaim' }
export type CoinRefundOperation = Operation & { kind: 'refund-coin' }
export type RefundOperation = Operation & { kind: 'refund' }
export type SealedRefundOperation = Operation & { kind: 'sealed-refund' }
export type RepayOperation = Operation & { kind: 'repay' }
export type GiveOperation = Operation & { kind: 'give' }

/** Paid by the contract of an operation (`serial` empty), or by a token, of sealed ones the first (`operation` 0). */
export const InvoiceUse = record({ operation: sequence, serial: maybeBytes(32) })
export type InvoiceUse = Of<typeof InvoiceUse>
