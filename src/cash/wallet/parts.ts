/** What the operations of the wallet share: its identity, its effects, and how it asks. */
import { MixmintError } from '../../kit/errors.ts'
import type { Meter } from '../../kit/ports.ts'
import type { Saga } from '../../kit/saga.ts'
import type { Suite } from '../../crypto/suite.ts'
import type { BankReply, BankRequest, MerchantReply, MerchantRequest } from '../messages.ts'
import { errorOf } from '../refusal.ts'
import type { Registry } from '../registry.ts'
import type { SealedKeyring } from '../sealed-keyring.ts'

export interface WalletOptions {
  readonly suite: Suite
  /** The 64-byte BIP-39 seed. */
  readonly seed: Uint8Array
  readonly network: string
  /** The bank's key. */
  readonly bank: Uint8Array
  readonly unit: string
  /** What the directory says now. */
  readonly registry: () => Registry
  readonly meter: Meter
}

export interface Wallet extends WalletOptions {
  readonly sealedKeys: SealedKeyring
}

/** The effect: ask the bank. Results in its reply (BankReply); throws a MixmintError when there is none. */
export interface AskBank {
  readonly do: 'ask-bank'
  /** `direct` says who asks: for the account only. Everything about coins goes over the mixnet; `apart`: in a session that asks nothing else. */
  readonly via: 'direct' | 'mixnet' | 'apart'
  readonly request: BankRequest
}

/** The effect: ask this merchant, over the mixnet. Results in its reply (MerchantReply); throws likewise. */
export interface AskMerchant {
  readonly do: 'ask-merchant'
  readonly payee: Uint8Array
  readonly request: MerchantRequest
}

export type WalletEffect = AskBank | AskMerchant

/** @throws the bank's refusal, or that it did not answer */
export function * askBank (via: AskBank['via'], request: BankRequest): Saga<Exclude<BankReply, { is: 'refused' }>, WalletEffect> {
  let reply: BankReply
  try {
    reply = yield { do: 'ask-bank', via, request }
  } catch (error) {
    throw unanswered(error, 'bank')
  }
  if (reply.is === 'refused') throw errorOf(reply)
  return reply
}

/** @throws the merchant's refusal, or that it did not answer */
export function * askMerchant (payee: Uint8Array, request: MerchantRequest): Saga<Exclude<MerchantReply, { is: 'refused' }>, WalletEffect> {
  let reply: MerchantReply
  try {
    reply = yield { do: 'ask-merchant', payee, request }
  } catch (error) {
    throw unanswered(error, 'merchant')
  }
  if (reply.is === 'refused') throw errorOf(reply)
  return reply
}

/** The same error, and what it means for the money. Not ours (a crash of the driver) passes as it is. */
function unanswered (error: unknown, who: string): unknown {
  if (!(error instanceof MixmintError)) return error
  return new Unanswered(error.code, error.fault, `no answer from the ${who}: ${error.message}; whatever was begun is kept: \`recover\` completes it`, { retry: error.retry, cause: error })
}

/** An ask that brought no reply: what was asked may have happened, or not. */
export class Unanswered extends MixmintError {}

export function badReply (who: string): MixmintError {
  return new MixmintError('bad-reply', 'peer', `the ${who} answered something else than was asked; what was begun is kept: \`recover\` asks again`)
}
