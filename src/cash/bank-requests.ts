/** What the asker of a bank signs, by operation (messages.ts, BankRequest); void, reclaim and both refunds are in reclaim.ts. */
import { u64 } from '../kit/bytes.ts'
import { tagged } from '../kit/codec.ts'

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
