/** What the operations of the merchant share: its identity and its effects. */
import type { Meter, Millis } from '../../kit/ports.ts'
import type { Ed25519KeyPair, Suite } from '../../crypto/suite.ts'
import type { AskCenter } from '../certify.ts'
import type { BankRequest } from '../messages.ts'
import type { Registry } from '../registry.ts'
import type { SealedKeyring } from '../sealed-keys.ts'
import type { SteadyClock } from '../steady-clock.ts'

export interface MerchantOptions {
  readonly suite: Suite
  /** The payee that invoices, contracts and tokens name. */
  readonly key: Ed25519KeyPair
  /** 32 bytes that name this till, or empty. Of several tills, those with stores of their own take only tokens that name them. */
  readonly till: Uint8Array
  /** The bank's key. */
  readonly bank: Uint8Array
  readonly unit: string
  readonly network: string
  readonly catalogue: ReadonlyArray<{ readonly item: string, readonly price: number }>
  /** How long an invoice can be paid, ms; default as long as the network allows. */
  readonly invoiceLifetime?: number
  /** The store may have forgotten what was accepted before this time, ms: tokens that could be among it are refused. Default: nothing. */
  readonly restoredAt?: Millis
  /** What may be delivered for coins that find no certificate for the time being; default nothing. */
  readonly trust?: Trust
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
