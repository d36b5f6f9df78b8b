/**
 * The conversations of money: requests and replies of centers, banks and merchants, one codec each. They travel in the
 * frames of mixnet/wire/rpc.ts (direct) or of mixnet/session (anonymous); the engines answer them.
 */
import { bytes, list, maybeBytes, nullable, oneOf, record, text, uint, variants, bool, type Of } from '../kit/codec.ts'
import {
  CenterFault, Coin, Contract, Input, MAX_INPUTS, MAX_KEEPERS, MAX_OUTPUTS, Output, Presentation, SealedPayment, SealedPresentation, SealedToken, SignedInvoice,
  SignedOutcome, SignedPaid, SignedSealedKeys, SignedSealedTurnedIn, SignedToken, SignedTurnedIn, Spend, Vote, Withdrawal
} from './formats.ts'

/** Outputs in one question about what was signed. */
export const MAX_RESTORED = 128
/** Tokens that are turned in with one request. */
export const MAX_PRESENTATIONS = 1024
/** Copies of contracts have one of these lengths, so that they tell little of what is in them. Bytes. */
export const COPY_SIZES = [2048, 8192, 65536]
const MAX_COPY = 65536
const MAX_ANNOUNCEMENT = 64

const hash = bytes(32)
const signature = bytes(64)
/** The most keys of sealed tokens in one answer: about 300 bytes a value. */
export const MAX_SEALED_KEYS = 8

const blindSignatures = list(bytes(256), MAX_OUTPUTS)

/** A typed refusal: `code`, `fault` and `retry` as in kit/errors.ts, `message` for people. */
const refused = record({ code: text(64), fault: oneOf('caller', 'peer', 'operator', 'us'), retry: bool, message: text(512) })

export const CENTER_PROTOCOL = '/mixmint/center/1.0.0'
export const BANK_PROTOCOL = '/mixmint/bank/1.0.0'
export const MERCHANT_PROTOCOL = '/mixmint/merchant/1.0.0'

export const CenterRequest = variants('op', {
  spend: record({ spend: Spend }),
  /** Which spend of this coin is recorded, to its owner: signed by the coin, see lookMessage. */
  look: record({ coin: Coin, signature })
})
export type CenterRequest = Of<typeof CenterRequest>
export const CenterReply = variants('is', {
  vote: record({ vote: Vote }),
  /** The spend of this coin that came first, under another d. */
  conflict: record({ first: Spend }),
  recorded: record({ spend: nullable(Spend) }),
  refused
})
export type CenterReply = Of<typeof CenterReply>

/**
 * How one input stands after its keepers were asked. `code` is set for refused, else ''. `first` is another spend of the coin:
 * for conflict, the one that came first; for refused under coin-spent, the one that it was redeemed for, if it is another.
 */
export const InputState = record({
  coin: hash, state: oneOf('certified', 'unavailable', 'conflict', 'refused'), first: nullable(Spend), code: text(64)
})
export type InputState = Of<typeof InputState>

/** What a settled contract yields: the bank's word, its blind signatures in the order of the outputs, the token if any. */
export const Settlement = record({ outcome: SignedOutcome, signatures: blindSignatures, token: nullable(SignedToken) })
export type Settlement = Of<typeof Settlement>

export const BankRequest = variants('op', {
  /** Signed by the account over tag `balance` ‖ account ‖ u64 time; refused when time is off by more than the skew. */
  balance: record({ account: hash, time: uint(), signature }),
  /** Signed by the account over tag `withdraw` ‖ H(withdrawal). */
  withdraw: record({ withdrawal: Withdrawal, signature }),
  /** payeeSignature (kind pay): by the payee over tag `settle` ‖ D; else empty. The bank asks keepers for missing votes. */
  settle: record({ contract: Contract, inputs: list(Input, MAX_INPUTS, 1), payeeSignature: bytes({ max: 64 }) }),
  /** The state of a contract, to whoever shows it. */
  outcome: record({ contract: Contract }),
  /** After settleBy + grace, by the owner of a coin that is certified for D: over tag `void` ‖ coinId ‖ D. */
  void: record({ contract: Contract, input: Input, signature }),
  /** A coin certified for a contract that is void or settled without it, for fresh outputs: see reclaimMessage. */
  reclaim: record({ contract: Contract, input: Input, outputs: list(Output, MAX_OUTPUTS, 1), signature }),
  deposit: record({ presentations: list(Presentation, MAX_PRESENTATIONS, 1) }),
  /** What became of a token, to whoever has its owner's signature for an order: the owner, or its payee. */
  'turned-in': record({ presentation: Presentation }),
  /** A token that nobody turned in, after its refundAfter, for fresh outputs, signed by its owner key: see refundMessage. */
  refund: record({ token: SignedToken, outputs: list(Output, MAX_OUTPUTS, 1), signature }),
  /** The keys of sealed tokens that have these hashes. */
  'sealed-keys': record({ hashes: list(hash, MAX_SEALED_KEYS, 1) }),
  'sealed-deposit': record({ presentations: list(SealedPresentation, MAX_PRESENTATIONS, 1) }),
  /** As turned-in. Of each token by itself: which of them have paid one order, the bank does not know. */
  'sealed-turned-in': record({ presentation: SealedPresentation }),
  /** As refund: see refundMessage, over the serial. */
  'sealed-refund': record({ token: SealedToken, outputs: list(Output, MAX_OUTPUTS, 1), signature }),
  /** The signatures that were given for these outputs, to whoever shows them: they are of use to their owner only. */
  restore: record({ outputs: list(Output, MAX_RESTORED, 1) }),
  /** Keep this encrypted copy of a contract under this coin, which signs it: see fileMessage. Written once. */
  file: record({ coin: Coin, box: bytes({ max: MAX_COPY }), signature }),
  /** How this coin stands, and the copy that was filed under it, to its owner: signed by the coin, see lookMessage. */
  look: record({ coin: Coin, signature }),
  /** Keep this encrypted generation of a wallet under this handle, vouched for by a coin or an account: see announceMessage. Written once. */
  announce: record({ handle: hash, box: bytes({ min: 1, max: MAX_ANNOUNCEMENT }), by: nullable(Coin), account: maybeBytes(32), signature }),
  announced: record({ handle: hash }),
  /** A coin without a certificate, after its redeemUntil, for fresh outputs: see refundCoinMessage. `promisedTo`: D of the contract that it was signed over to, or empty. */
  'refund-coin': record({ coin: Coin, promisedTo: maybeBytes(32), outputs: list(Output, MAX_OUTPUTS, 1), signature }),
  /** A center convicted itself: whoever holds the proof hands it in, and the directory will carry it. */
  accuse: record({ fault: CenterFault }),
  /** Votes for a spend of a coin that was spent otherwise before: the bank compares them with those for which it redeemed it. */
  contest: record({ input: Input })
})
export type BankRequest = Of<typeof BankRequest>

export const DepositResult = record({ serial: hash, state: oneOf('credited', 'already', 'refused'), code: text(64) })
export type DepositResult = Of<typeof DepositResult>

export const BankReply = variants('is', {
  balance: record({ unit: text(64), balance: uint() }),
  signatures: record({ signatures: blindSignatures }),
  settlement: Settlement,
  /** Not settled: not every input is certified. Nothing was taken; the same contract may be tried with other coins. */
  short: record({ inputs: list(InputState, MAX_INPUTS) }),
  outcome: Settlement,
  deposited: record({ results: list(DepositResult, MAX_PRESENTATIONS) }),
  'turned-in': SignedTurnedIn,
  'sealed-turned-in': SignedSealedTurnedIn,
  /** Those that the bank has, in any order. */
  'sealed-keys': record({ keys: list(SignedSealedKeys, MAX_SEALED_KEYS) }),
  /** One for each output, in their order; empty: it was not signed. */
  restored: record({ signatures: list(maybeBytes(256), MAX_RESTORED) }),
  /** It is on the bank's disk. */
  filed: record({}),
  /** `spent`: redeemed at the bank. `copy` is empty if there is none. Else `heard` keepers were asked: `recorded` is what one of them showed. */
  looked: record({ spent: bool, copy: bytes({ max: MAX_COPY }), recorded: nullable(Spend), heard: uint(MAX_KEEPERS) }),
  /** Empty: nothing was announced under this handle. */
  announced: record({ box: bytes({ max: MAX_ANNOUNCEMENT }) }),
  accused: record({}),
  refused
})
export type BankReply = Of<typeof BankReply>

export const MerchantRequest = variants('op', {
  catalogue: record({}),
  /** Ask for an invoice for one item of the catalogue. */
  order: record({ item: text(64) }),
  pay: record({ contract: Contract, inputs: list(Input, MAX_INPUTS, 1) }),
  present: record({ presentation: Presentation }),
  'sealed-present': record({ payment: SealedPayment }),
  status: record({ invoice: hash }),
  /** Whether there is something to be had back of an order that was paid. */
  repayable: record({ invoice: hash }),
  /** Have it back as coins: signed by the key that `repayable` names, see repayMessage. */
  repay: record({ invoice: hash, outputs: list(Output, MAX_OUTPUTS, 1), signature })
})
export type MerchantRequest = Of<typeof MerchantRequest>

export const MerchantReply = variants('is', {
  catalogue: record({ items: list(record({ item: text(64), price: uint(), unit: text(64) }), 1024) }),
  invoice: record({ signed: SignedInvoice }),
  /** Paid. For coins, the settlement is there if the bank has already settled. */
  paid: record({ signed: SignedPaid, settlement: nullable(Settlement) }),
  /** Not paid yet: these coins have no certificate; the payer may sign others to the same contract. */
  short: record({ inputs: list(InputState, MAX_INPUTS) }),
  unpaid: record({}),
  /** `payer`: the owner key of the token that paid, or the key of one of the coins. */
  repayable: record({ amount: uint(), payer: hash }),
  /** The bank's blind signatures, in the order of the outputs. */
  repaid: record({ signatures: blindSignatures }),
  refused
})
export type MerchantReply = Of<typeof MerchantReply>
export type Refused = Of<typeof refused>
