/** The values of the bank's store (keys.ts says where each stands). */
import { bytes, list, maybeBytes, oneOf, record, text, uint, type Of } from '../../kit/codec.ts'
import { MAX_INPUTS, MAX_KEEPERS, MAX_OUTPUTS, Vote } from '../formats.ts'

const hash = bytes(32)
const amount = uint()

/** `movements`: how many there were, so that the books can tell which of them this balance has seen. */
export const Account = record({ balance: amount, movements: uint() })
export type Account = Of<typeof Account>
export const AllCredits = record({ amount })

/** What the operator says of an account; without one it is open. `note` is for people: why, on whose word. */
export const Standing = record({ state: oneOf('open', 'frozen', 'closed'), note: text(256), time: uint() })
export type Standing = Of<typeof Standing>

export const Credited = record({ account: hash, amount })
export const PaidOut = record({ account: hash, amount })

/** The blind signatures of an answer, in the order of the outputs. */
export const Signatures = record({ signatures: list(bytes(256), MAX_OUTPUTS) })

/** `movement`: the id of the withdrawal, contract, coin or token that it belongs to. */
export const SignedOutput = record({ movement: hash, signature: bytes(256) })

/** `contract` is what the coin paid for, or what it was reclaimed or refunded from (empty: from none). */
export const Spent = record({ by: oneOf('settle', 'reclaim', 'refund'), contract: maybeBytes(32) })

/** `request` is H(what the owner signed): the one reclaim or refund that this answer belongs to. */
export const GivenBack = record({ request: hash, signatures: list(bytes(256), MAX_OUTPUTS) })

/** `d` and `signature` of the spend, and the votes for it as they were counted. */
export const Certificate = record({ d: hash, signature: bytes(64), votes: list(Vote, MAX_KEEPERS) })

/** `token` is H(token): another token under the same serial was not issued. */
export const IssuedToken = record({ token: hash, contract: hash })
/**
 * `token` is H(token); of a sealed token its serial, which is one already. `invoice`: what the owner signed it over to: H(invoice), of a sealed token the `order` of its
 * presentation; empty where it was refunded, and where that was not written down yet.
 */
export const Deposited = record({ token: hash, time: uint(), invoice: maybeBytes(32) })

export const Alive = record({ time: uint() })
/** When it was last heard of before. */
export const Outage = record({ from: uint() })

/** An amount in coins of one keyset. */
export const Part = record({ keyset: hash, amount })
export type Part = Of<typeof Part>

/** One side of a movement: see ledger.ts. `of`: an account's key, a keyset's id, or nothing; `nth`: an account's movement. */
export const Posting = record({ ledger: oneOf('paid-in', 'paid-out', 'account', 'coins', 'tokens'), of: maybeBytes(32), debit: amount, credit: amount, nth: uint() })
export type Posting = Of<typeof Posting>

/** One movement, in double entry: its debits and its credits have the same sum. */
export const JournalEntry = record({
  kind: oneOf('credit', 'pay-out', 'withdraw', 'pay', 'token', 'sealed', 'exchange', 'reclaim', 'deposit', 'refund'),
  postings: list(Posting, MAX_INPUTS + MAX_OUTPUTS + 2)
})
export type JournalEntry = Of<typeof JournalEntry>
