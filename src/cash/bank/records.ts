/** The values of the bank's store (keys.ts says where each stands). */
import { bytes, list, oneOf, record, uint, type Of } from '../../kit/codec.ts'
import { MAX_INPUTS, MAX_OUTPUTS } from '../formats.ts'

const hash = bytes(32)
const amount = uint()

export const Account = record({ balance: amount })
export type Account = Of<typeof Account>

export const Credited = record({ account: hash, amount })

/** The blind signatures of an answer, in the order of the outputs. */
export const Signatures = record({ signatures: list(bytes(256), MAX_OUTPUTS) })

/** `contract` is what the coin paid for, or what it was reclaimed from. */
export const Spent = record({ by: oneOf('settle', 'reclaim'), contract: hash })

/** `request` is H(reclaimMessage): the one reclaim that this answer belongs to. */
export const Reclaimed = record({ request: hash, signatures: list(bytes(256), MAX_OUTPUTS) })

/** `token` is H(token): another token under the same serial was not issued. */
export const IssuedToken = record({ token: hash, contract: hash })
/** `token` is H(token); of a sealed token its serial, which is one already. */
export const Deposited = record({ token: hash, time: uint() })

/** `request` is H(refundMessage): the one refund that this answer belongs to. */
export const Refunded = record({ request: hash, signatures: list(bytes(256), MAX_OUTPUTS) })

/** An amount in coins of one keyset. */
export const Part = record({ keyset: hash, amount })
export type Part = Of<typeof Part>

/**
 * One movement, in double entry. `amount` goes: credit: operator → account; withdraw: account → coins; pay: coins →
 * account; token and sealed: coins → token; deposit: token → account; refund: token → coins; exchange and reclaim: 0, coins → coins.
 */
export const JournalEntry = record({
  kind: oneOf('credit', 'withdraw', 'pay', 'token', 'sealed', 'exchange', 'reclaim', 'deposit', 'refund'),
  amount,
  issued: list(Part, MAX_OUTPUTS),
  redeemed: list(Part, MAX_INPUTS)
})
export type JournalEntry = Of<typeof JournalEntry>
