/** What the asker of a bank signs, by operation (messages.ts, BankRequest); void, reclaim and both refunds are in reclaim.ts. */
import { u64 } from '../kit/bytes.ts'
import { tagged } from '../kit/codec.ts'
import type { Suite } from '../crypto/suite.ts'

/** By the account key, over its own name and the time of asking. */
export function balanceMessage (account: Uint8Array, time: number): Uint8Array {
  return tagged('balance', account, u64(time))
}

/** By the account key. @param withdrawal the withdrawal's id */
export function withdrawMessage (withdrawal: Uint8Array): Uint8Array {
  return tagged('withdraw', withdrawal)
}

/** By the payee of a contract of kind pay. @param contract its id, D */
export function settleMessage (contract: Uint8Array): Uint8Array {
  return tagged('settle', contract)
}

/** By a coin: "tell me how I stand". Read by the bank and by the coin's keepers; it moves nothing. */
export function lookMessage (coin: Uint8Array): Uint8Array {
  return tagged('look', coin)
}

/** By a coin: "keep this under my name": coinId ‖ H(box). */
export function fileMessage (suite: Suite, coin: Uint8Array, box: Uint8Array): Uint8Array {
  return tagged('file', coin, suite.sha256(box))
}

/** By a coin or an account: "I vouch that this is worth its place": handle ‖ H(box). */
export function announceMessage (suite: Suite, handle: Uint8Array, box: Uint8Array): Uint8Array {
  return tagged('announce', handle, suite.sha256(box))
}
