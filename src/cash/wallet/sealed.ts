/**
 * Sealed tokens in the wallet (DESIGN §6): bought as values of one day, made out to one payee, in a form that the bank does not
 * see. The bank may still match what is bought with what is turned in by sums and times (THREATS.md).
 */
import { NONE } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Millis, Op } from '../../kit/ports.ts'
import { now, scanAll, type Saga } from '../../kit/saga.ts'
import { MAX_SEALED } from '../formats.ts'
import { dayOf } from '../keyset.ts'
import type { KnownSealedKeys } from '../sealed-keys.ts'
import { stored } from '../stored.ts'
import { begin, latestSettleBy } from './contracts.ts'
import { SEALED_TOKENS, sealedTokenAt } from './keys.ts'
import { askBank, badReply, type Wallet, type WalletEffect } from './parts.ts'
import { HeldSealed } from './records.ts'
import { kept } from './sealed-outputs.ts'
import { fewest } from './selection.ts'
import { settleWithBank } from './settle.ts'

/** A sealed token of ours, and the bytes of its record. */
export interface KeptSealed extends HeldSealed {
  readonly serial: Uint8Array
  readonly value: number
  readonly bytes: Uint8Array
}

/**
 * Buy sealed tokens that add up to an amount, made out to a payee, over the mixnet, with change.
 * @param till the till that alone may take them, or empty for any of the payee's
 * @returns what was bought, by value
 * @throws bad-argument, insufficient-funds, too-many-tokens, unpayable-amount (caller), unknown-sealed-keys (peer), and those
 *   of settleWithBank: then `recover` completes it
 */
export function * buySealed (wallet: Wallet, payee: Uint8Array, amount: number, till: Uint8Array = NONE): Saga<KeptSealed[], WalletEffect> {
  if (!Number.isSafeInteger(amount) || amount < 1) throw new MixmintError('bad-argument', 'caller', 'a whole amount above zero wanted, in the smallest coin')
  if (payee.length !== 32 || (till.length !== 0 && till.length !== 32)) throw new MixmintError('bad-argument', 'caller', 'payees and tills are named by 32 bytes')
  const time = yield * now()
  const known = yield * keysOf(wallet, time)
  const values = fewest(amount, known.keys.denominations.map(({ value }) => value)).reverse()
  if (values.length > MAX_SEALED) throw new MixmintError('too-many-tokens', 'caller', `this would take ${values.length} tokens, more than ${MAX_SEALED} for one order: choose a smaller amount`)
  const { sequence, record } = yield * settleWithBank(wallet, yield * begin(wallet, {
    kind: 'sealed', payee: NONE, amount: 0, settleBy: latestSettleBy(wallet, time), values: [], invoice: null, terms: null, sealed: { known, values, payee, till }
  }))
  if (record.state !== 'settled') throw new MixmintError('payment-void', 'peer', 'the bank has voided this purchase: `recover` brings the coins back')
  return (yield * sealedTokens()).filter(({ operation }) => operation === sequence).sort((a, b) => a.value - b.value)
}

/** The keys of today's sealed tokens: those that the directory lists, from the bank where they were never fetched. */
function * keysOf (wallet: Wallet, time: Millis): Saga<KnownSealedKeys, WalletEffect> {
  const { keys } = wallet.registry().sealedDay(wallet.bank, wallet.unit, dayOf(time))
  const before = yield * wallet.sealedKeys.find(keys)
  if (before !== null) return before
  const reply = yield * askBank('mixnet', { op: 'sealed-keys', hashes: [keys] })
  if (reply.is !== 'sealed-keys') throw badReply('bank')
  yield * wallet.sealedKeys.keep(wallet.registry(), reply.keys)
  return yield * kept(wallet, keys)
}

/** Every sealed token that was bought, in no order. */
export function * sealedTokens (): Saga<KeptSealed[]> {
  return (yield * scanAll(SEALED_TOKENS)).map(({ key, value: bytes }) => {
    const held = stored(HeldSealed, bytes)
    return { ...held, serial: key.slice(SEALED_TOKENS.length), value: held.token.value, bytes }
  })
}

/** The step that changes a token; it fails when it was changed meanwhile. */
export function changeSealed ({ serial, bytes: was }: KeptSealed, next: HeldSealed): Op {
  return { op: 'swap', key: sealedTokenAt(serial), was, value: encode(HeldSealed, next) }
}
