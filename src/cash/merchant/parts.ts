/** What the operations of the merchant share: its identity and its effects. */
import type { Meter } from '../../kit/ports.ts'
import type { Ed25519KeyPair, Suite } from '../../crypto/suite.ts'
import type { AskCenter } from '../certify.ts'
import type { BankRequest } from '../messages.ts'
import type { Registry } from '../registry.ts'
import type { SealedKeyring } from '../sealed-keyring.ts'
import type { SteadyClock } from '../steady-clock.ts'
import type { Till } from '../till.ts'

export interface MerchantOptions {
  readonly suite: Suite
  /** The payee that invoices, contracts and tokens name. */
  readonly key: Ed25519KeyPair
  /** Of several tills, those with stores of their own are alone, and take only tokens that name them. A merchant with but one need give it no name. */
  readonly till: Till
  /** The bank's key. */
  readonly bank: Uint8Array
  readonly unit: string
  readonly network: string
  /** Whenever it is asked for: it may change. */
  readonly catalogue: () => ReadonlyArray<{ readonly item: string, readonly price: number }>
  /** How long an invoice can be paid, ms; default as long as the network allows. */
  readonly invoiceLifetime?: number
  /** What may be delivered for coins that find no certificate for the time being; default nothing. */
  readonly trust?: Trust
  /** How many proofs of double spends are kept, the latest; default 4096. */
  readonly mostProofs?: number
  /** What the last directory document said; it is enough for taking tokens without a network. */
  readonly registry: () => Registry
  readonly meter: Meter
}

/** Amounts at risk, in the unit's smallest coin: in one order, in all, and in all of one keyset. */
export interface Trust {
  readonly perOrder: number
  readonly total: number
  readonly perKeyset: number
}

export interface Merchant extends MerchantOptions {
  readonly sealedKeys: SealedKeyring
  readonly clock: SteadyClock
}

/** The effect: ask the bank, directly. Results in its reply (BankReply); throws a MixmintError when there is none. */
export interface AskBank {
  readonly do: 'ask-bank'
  readonly request: BankRequest
}

export type MerchantEffect = AskCenter | AskBank

/** `already`: credited by an earlier deposit whose answer was lost. */
export interface Deposited {
  credited: number
  already: number
  refused: number
  /** In the unit's smallest coin, of those credited now or already. */
  amount: number
}
