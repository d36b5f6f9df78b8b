/**
 * The formats of money: every object that is signed, hashed, stored or sent, as one codec each (kit/codec.ts).
 * DESIGN: coins §4, contracts §5, tokens §6. Amounts are in the unit's smallest coin, times in Unix milliseconds.
 *
 * Names: "hash" is SHA-256 of a tagged encoding (see the functions of the same name in coin.ts, keyset.ts, ring.ts,
 * contract.ts, token.ts); "key" is an Ed25519 public key, 32 bytes; "signature" is Ed25519, 64 bytes, unless it says RSA.
 */
import { bytes, list, maybeBytes, nullable, oneOf, record, text, uint, variants, type Of } from '../kit/codec.ts'

export const MAX_INPUTS = 256
export const MAX_OUTPUTS = 256
export const MAX_KEEPERS = 16
/** The most sealed tokens in one payment. */
export const MAX_SEALED = 64
/** Coins in one bundle: few enough that it goes on paper. */
export const MAX_HANDED = 64

const hash = bytes(32)
const key = bytes(32)
const signature = bytes(64)
const rsa = bytes(256)
/** Network id and unit: short names such as `mixmint-demo` and `EUR-cent`. */
const name = text(64)
const millis = uint()
const amount = uint()

/** A center of a ring. `id` is stable over vote keys; addresses come from the directory. */
export const RingCenter = record({ id: hash, voteKey: key, weight: uint(1 << 16) })

/** Who judges coins. n `replicas`, f `faults`, q `quorum`; q ≤ n − f, and 2q − n > f (liars). */
export const Ring = record({
  centers: list(RingCenter, 4096, 1),
  virtualNodesPerWeight: uint(1 << 16),
  replicas: uint(MAX_KEEPERS),
  faults: uint(MAX_KEEPERS),
  quorum: uint(MAX_KEEPERS)
})
export type Ring = Of<typeof Ring>

/** One RSA-2048 key per value (a power of two). */
export const Denomination = record({ value: amount, key: rsa })

/** The five dates: issueFrom < issueUntil < spendUntil < redeemUntil < refundUntil. */
export const Keyset = record({
  network: name, bank: key, unit: name,
  denominations: list(Denomination, 53, 1),
  issueFrom: millis, issueUntil: millis, spendUntil: millis, redeemUntil: millis, refundUntil: millis,
  ringId: hash
})
export type Keyset = Of<typeof Keyset>
export const SignedKeyset = record({ keyset: Keyset, signature })
export type SignedKeyset = Of<typeof SignedKeyset>

/** The bank's token key of one day: `day` counts UTC days since 1970-01-01. */
export const DayKey = record({ network: name, bank: key, day: uint(), key, validFrom: millis, validUntil: millis })
export type DayKey = Of<typeof DayKey>
export const SignedDayKey = record({ dayKey: DayKey, signature })
export type SignedDayKey = Of<typeof SignedDayKey>

/**
 * The keys of the sealed tokens of one UTC day: one RSA-2048 key per value. All that the bank says about such a token stands
 * here, for it does not see the token: amount, unit and dates, notBefore < notAfter < depositUntil < refundAfter.
 */
export const SealedKeys = record({
  network: name, bank: key, unit: name, day: uint(), denominations: list(Denomination, 53, 1),
  notBefore: millis, notAfter: millis, depositUntil: millis, refundAfter: millis
})
export type SealedKeys = Of<typeof SealedKeys>
export const SignedSealedKeys = record({ keys: SealedKeys, signature })
export type SignedSealedKeys = Of<typeof SignedSealedKeys>
/** What the directory says of them: `keys` is their hash; they themselves are fetched from the bank. `notAfter` as in them. */
export const SealedDay = record({ unit: name, day: uint(), keys: hash, notAfter: millis })
export type SealedDay = Of<typeof SealedDay>

/** A coin: `signature` is RSABSSA-SHA384-PSSZERO-Deterministic over tag ‖ keysetId ‖ value ‖ publicKey. */
export const Coin = record({ keyset: hash, value: amount, publicKey: key, signature: rsa })
export type Coin = Of<typeof Coin>

/** A coin handed from person to person: whoever has `secret`, its Ed25519 seed, owns it. */
export const HandedCoin = record({ keyset: hash, value: amount, secret: bytes(32), signature: rsa })
export type HandedCoin = Of<typeof HandedCoin>
/**
 * Coins handed over, as text or QR codes: they belong to whoever exchanges them first. Its giver promises not to take them
 * back from somebody who begins to receive them before `until`. `memo` is for people, and nobody vouches for it.
 */
export const CoinBundle = record({
  network: name, bank: key, unit: name, amount, until: millis, memo: text(128), coins: list(HandedCoin, MAX_HANDED, 1)
})
export type CoinBundle = Of<typeof CoinBundle>

/**
 * A coin to be: the bank signs `blinded` under the keyset's key for `value`. In a contract of kind sealed also a sealed token to
 * be, whose `keyset` is the hash of its SealedKeys.
 */
export const Output = record({ keyset: hash, value: amount, blinded: rsa })
export type Output = Of<typeof Output>

/** What a payee asks for, signed by it; H(invoice) names it. `till`: tokens for it have to name this till; empty: they need name none. */
export const Invoice = record({
  network: name, bank: key, payee: key, till: maybeBytes(32), order: text(128), amount, unit: name, settleBy: millis, nonce: hash
})
export type Invoice = Of<typeof Invoice>
export const SignedInvoice = record({ invoice: Invoice, signature })
export type SignedInvoice = Of<typeof SignedInvoice>

/** The fields of an open token that its buyer chooses; the bank adds serial, payee, amount and unit. */
export const TokenTerms = record({
  till: maybeBytes(32), ownerKey: key, notBefore: millis, notAfter: millis, depositUntil: millis, refundAfter: millis,
  memoHash: maybeBytes(32)
})
export type TokenTerms = Of<typeof TokenTerms>

/**
 * What the coins pay for. Worth amount + sum of outputs, whichever coins certify for it. `payee` is empty for exchange and
 * sealed; `invoice` is H(invoice) for pay, else empty; `token` is null but for token; sealed tokens are among the outputs.
 */
export const Contract = record({
  network: name, bank: key, kind: oneOf('pay', 'token', 'sealed', 'exchange'), payee: maybeBytes(32), amount, unit: name,
  invoice: maybeBytes(32), nonce: hash, settleBy: millis, token: nullable(TokenTerms), outputs: list(Output, MAX_OUTPUTS)
})
export type Contract = Of<typeof Contract>

/** A withdrawal: a contract between an account and its bank. Signed by the account key; debits the sum of the outputs. */
export const Withdrawal = record({
  network: name, bank: key, account: key, unit: name, nonce: hash, outputs: list(Output, MAX_OUTPUTS, 1)
})
export type Withdrawal = Of<typeof Withdrawal>

/** "This coin goes to whatever d commits to": d = H(tag ‖ D ‖ opening); signature by the coin key over tag ‖ coinId ‖ d. */
export const Spend = record({ coin: Coin, d: hash, signature })
export type Spend = Of<typeof Spend>

/** A keeper's word that this spend is the coin's only one: signature by its vote key over tag ‖ ringId ‖ coinId ‖ d. */
export const Vote = record({ center: hash, signature })
export type Vote = Of<typeof Vote>

/** A spend, the opening of its d, and the votes so far; with q votes of distinct keepers, a certified input. */
export const Input = record({ spend: Spend, opening: hash, votes: list(Vote, MAX_KEEPERS) })
export type Input = Of<typeof Input>

/** Two spends of one coin with different d. Anyone can check it with the keyset. */
export const DoubleSpendProof = record({ first: Spend, second: Spend })
export type DoubleSpendProof = Of<typeof DoubleSpendProof>
/** The proof as a file: with the keyset that verifies the coin, and the ring id inside it. */
export const DoubleSpendProofFile = record({ proof: DoubleSpendProof, keyset: SignedKeyset })
export type DoubleSpendProofFile = Of<typeof DoubleSpendProofFile>

/** What a vote says for itself: the d, and the signature as in Vote. */
export const Ballot = record({ d: hash, signature })
export type Ballot = Of<typeof Ballot>
/** What a center cannot do and be honest, with the ring whose vote key signed it. `coin` is a coinId where it needs no more. */
export const CenterFault = variants('is', {
  /** It voted for two spends of one coin: it lies, or was restored from an old disk. */
  twice: record({ ring: hash, center: hash, coin: hash, first: Ballot, second: Ballot }),
  /** It voted for a coin that others keep. */
  foreign: record({ ring: hash, center: hash, coin: Coin, vote: Ballot })
})
export type CenterFault = Of<typeof CenterFault>
/** The proof as a file: with the ring, and a keyset by which its bank made that ring the judge (of `foreign`: the coin's). */
export const CenterProofFile = record({ fault: CenterFault, ring: Ring, keyset: SignedKeyset })
export type CenterProofFile = Of<typeof CenterProofFile>

/** "Nothing that this vote key signs is mine any more": signature by itself over tag ‖ network ‖ key. */
export const Retirement = record({ network: name, voteKey: key, signature })
export type Retirement = Of<typeof Retirement>
/** A vote key that does not count for payees any more from a time on, and why nobody need take the bank's word for it. */
export const Revocation = record({
  voteKey: key, from: millis, why: variants('is', { fault: record({ fault: CenterFault }), retired: record({ retirement: Retirement }) })
})
export type Revocation = Of<typeof Revocation>

/** The bank's word on a contract, signed over its encoding. */
export const Outcome = record({ contract: hash, state: oneOf('open', 'settled', 'void'), time: millis })
export type Outcome = Of<typeof Outcome>
export const SignedOutcome = record({ outcome: Outcome, signature })
export type SignedOutcome = Of<typeof SignedOutcome>

/** What the bank says of its coins in one unit: by keyset, in the order of their ids, all it ever issued and redeemed. */
export const Statement = record({
  network: name, bank: key, unit: name, time: millis, keysets: list(record({ keyset: hash, issued: amount, redeemed: amount }), 4096)
})
export type Statement = Of<typeof Statement>
export const SignedStatement = record({ statement: Statement, signature })
export type SignedStatement = Of<typeof SignedStatement>

/** A digital cashier's check, made out to one payee. Signed by the bank's day key of `day`. */
export const Token = record({
  network: name, bank: key, day: uint(), payee: key, till: maybeBytes(32), amount, unit: name, serial: hash, ownerKey: key,
  notBefore: millis, notAfter: millis, depositUntil: millis, refundAfter: millis, memoHash: maybeBytes(32)
})
export type Token = Of<typeof Token>
export const SignedToken = record({ token: Token, signature })
export type SignedToken = Of<typeof SignedToken>

/** A token handed over for one order: the owner signs tag ‖ H(token) ‖ H(invoice). */
export const Presentation = record({ token: SignedToken, invoice: hash, ownerSignature: signature })
export type Presentation = Of<typeof Presentation>

/**
 * The bank's word on an open token, over its encoding: not turned in; credited to its payee, who showed it for `invoice` = H(invoice); or
 * refunded to its owner. `token` is H(token); `invoice` is empty where it was not credited; `time` is when it was, or of the answer.
 */
export const TurnedIn = record({ token: hash, state: oneOf('open', 'credited', 'refunded'), invoice: maybeBytes(32), time: millis })
export type TurnedIn = Of<typeof TurnedIn>
export const SignedTurnedIn = record({ word: TurnedIn, signature })
export type SignedTurnedIn = Of<typeof SignedTurnedIn>

/**
 * A token that the bank has signed without seeing it: RSABSSA-SHA384-PSSZERO-Deterministic over tag ‖ keys ‖ value ‖ payee ‖
 * till ‖ ownerKey ‖ nonce (sealed.ts). `keys` is the hash of the SealedKeys; it and `value` say which key verifies.
 */
export const SealedToken = record({ keys: hash, value: amount, payee: key, till: maybeBytes(32), ownerKey: key, nonce: hash, signature: rsa })
export type SealedToken = Of<typeof SealedToken>
/**
 * Handed over for one order: the owner signs tag ‖ serial ‖ order. `order` = H(tag ‖ H(invoice) ‖ serial) hides from the bank,
 * where this is turned in, which tokens have paid one order.
 */
export const SealedPresentation = record({ token: SealedToken, order: hash, ownerSignature: signature })
export type SealedPresentation = Of<typeof SealedPresentation>
/**
 * The bank's word on a sealed token, over its encoding. As TurnedIn, and with all that there is to check, for nobody but its day's keys tells unit and bank of
 * such a token. `token` is its serial; `order` is that of the presentation by which it was turned in.
 */
export const SealedTurnedIn = record({
  network: name, unit: name, token: hash, payee: key, value: amount, state: oneOf('open', 'credited', 'refunded'), order: maybeBytes(32), time: millis
})
export type SealedTurnedIn = Of<typeof SealedTurnedIn>
export const SignedSealedTurnedIn = record({ word: SealedTurnedIn, signature })
export type SignedSealedTurnedIn = Of<typeof SignedSealedTurnedIn>
/** Tokens whose values add up to the amount of one order. */
export const SealedPayment = record({ invoice: hash, presentations: list(SealedPresentation, MAX_SEALED, 1) })
export type SealedPayment = Of<typeof SealedPayment>

/** The payee's word that an order is paid, over its encoding. */
export const Paid = record({ invoice: hash, how: oneOf('token', 'sealed', 'coins'), time: millis })
export type Paid = Of<typeof Paid>
export const SignedPaid = record({ paid: Paid, signature })
export type SignedPaid = Of<typeof SignedPaid>

/**
 * What a bank publishes in the directory: its keysets until their refundUntil, their rings, its day keys a week ahead, open and
 * sealed, and the vote keys of these rings that are revoked.
 */
export const BankListing = record({
  bank: key, keysets: list(SignedKeyset, 64), rings: list(Ring, 64), dayKeys: list(SignedDayKey, 64), sealedDays: list(SealedDay, 64),
  revocations: list(Revocation, 256)
})
export type BankListing = Of<typeof BankListing>
/** Two descriptors that a bank signed, of which an honest one signs one: for one time of issue, or for one day. */
export const BankConflict = variants('is', {
  keysets: record({ first: SignedKeyset, second: SignedKeyset }),
  dayKeys: record({ first: SignedDayKey, second: SignedDayKey }),
  /** Of one unit. */
  sealedKeys: record({ first: SignedSealedKeys, second: SignedSealedKeys })
})
export type BankConflict = Of<typeof BankConflict>

/** What a center publishes: its id on the rings. */
export const CenterListing = record({ center: hash })
export type CenterListing = Of<typeof CenterListing>
/**
 * What a merchant publishes: the key that tokens and contracts name as payee, a name for people, `till` as in its invoices, the name of the
 * store that it works on, one for all tills that are listed of a payee; signed by the payee key (listing-entry.ts).
 */
export const MerchantListing = record({ payee: key, name: text(128), till: maybeBytes(32), store: bytes(16), signature })
export type MerchantListing = Of<typeof MerchantListing>

/** The network's parameters of money; carried by the directory document. Durations in ms. */
export const MoneyParameters = record({
  /** How far two honest clocks may differ. */
  clockSkew: millis,
  /** settleBy may lie at most this far ahead. */
  settleMaximum: millis,
  /** A contract may be voided this long after settleBy. */
  voidGrace: millis,
  /** Wallets stop this long before spendUntil, payees this long before settleBy. */
  margin: millis,
  /** How long a token is valid, may be deposited, and when its refund opens, counted from notBefore. */
  tokenValid: millis, tokenDeposit: millis, tokenRefund: millis,
  /** How long a payee or bank waits for a keeper's vote. */
  keeperTimeout: millis
})
export type MoneyParameters = Of<typeof MoneyParameters>
