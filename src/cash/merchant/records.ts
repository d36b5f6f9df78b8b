/** The values of the merchant's store (keys.ts says where each stands). */
import { bytes, list, nullable, oneOf, record, text, uint, type Of } from '../../kit/codec.ts'
import { Contract, DoubleSpendProof, Input, MAX_INPUTS, MAX_OUTPUTS, MAX_SEALED, Presentation, SealedPresentation, SignedPaid, Withdrawal } from '../formats.ts'
import { Settlement } from '../messages.ts'

const hash = bytes(32)
const amount = uint()
const millis = uint()

/** All that taking a payment needs to know of our own invoice: short, because it is read for each. */
export const OpenOrder = record({ amount, settleBy: millis })
export type OpenOrder = Of<typeof OpenOrder>

/**
 * `by` is the serial of the token, the name of a set of sealed ones (sealed.ts), or D of the contract; `payer` the owner key of the
 * token, or of the first of the sealed ones, or the key of one of the coins.
 */
export const PaidOrder = record({ signed: SignedPaid, by: hash, payer: hash })
export type PaidOrder = Of<typeof PaidOrder>

/** `state` as the bank said it: `already` when an earlier deposit had arrived and its answer had not. */
export const Credited = record({ amount, state: oneOf('credited', 'already'), time: millis })
export const Rejected = record({ presentation: Presentation, code: text(64), time: millis })

/** The serials of all that paid one order. */
export const SealedPaid = record({ serials: list(hash, MAX_SEALED, 1) })
export const SealedDue = record({ presentation: SealedPresentation, depositUntil: millis })
export type SealedDue = Of<typeof SealedDue>
export const SealedRejected = record({ due: SealedDue, code: text(64), time: millis })

export const Unsettled = record({ invoice: hash, contract: Contract, inputs: list(Input, MAX_INPUTS, 1) })
export type Unsettled = Of<typeof Unsettled>
export const Settled = record({ amount, settlement: Settlement })

/** What a contract on trust puts at risk, under each keyset of the coins that had no certificate. */
export const Risk = record({ amount, keysets: list(hash, MAX_INPUTS, 1) })
export type Risk = Of<typeof Risk>
export const Exposure = record({ total: amount, keysets: list(record({ keyset: hash, amount }), 64) })
export type Exposure = Of<typeof Exposure>

/** `code`: double-spend, or coin-spent by the bank's word. */
export const Lost = record({ invoice: hash, amount, code: text(64), time: millis })
export type Lost = Of<typeof Lost>

/** `coin`: coinId. */
export const Proof = record({ coin: hash, proof: DoubleSpendProof })

/** Promised by the operator; then the withdrawal that the payer's outputs make, then the bank's answer to it. */
export const Repay = record({ amount, withdrawal: nullable(Withdrawal), signatures: list(bytes(256), MAX_OUTPUTS) })
export type Repay = Of<typeof Repay>
