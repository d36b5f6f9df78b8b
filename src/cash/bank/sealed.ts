/** Sealed tokens at the bank: which it signs, when they are turned in, and when they go back (DESIGN §6). */
import { equal, NONE } from '../../kit/bytes.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Millis } from '../../kit/ports.ts'
import type { Saga } from '../../kit/saga.ts'
import { sealedOutputs, total } from '../contract.ts'
import type { Contract, SealedPresentation, SealedToken, SealedTurnedIn } from '../formats.ts'
import type { BankReply, BankRequest } from '../messages.ts'
import type { Registry } from '../registry.ts'
import type { KnownSealedKeys } from '../sealed-keys.ts'
import { sealedSerial, signSealedTurnedIn, verifySealed, verifySealedPresentation } from '../sealed.ts'
import { turnIn, wasDeposited, type Good } from './deposit.ts'
import { goneOf } from './issued.ts'
import { mustBeKnown } from './loss.ts'
import type { Bank, BankEffect } from './parts.ts'
import { refundToken } from './refund.ts'

/** The keys of the sealed tokens that a contract buys; of one that buys none, no keys. */
export function sealedKeysOf (bank: Bank, contract: Contract): KnownSealedKeys[] {
  return sealedOutputs(contract, bank.sealedKeys).flatMap(({ keyset }) => bank.sealedKeys(keyset) ?? [])
}

/** What the sealed tokens that a contract buys are worth. */
export function sealedAmount (bank: Bank, contract: Contract): number {
  return total(sealedOutputs(contract, bank.sealedKeys))
}

/**
 * Their keys stand in the directory, their day has begun, and what they sign could still be used. (A wallet begins with the
 * keys of its day; what it began is not refused because the day has ended meanwhile.)
 * @throws unknown-sealed-keys, token-not-yet-valid, token-expired (peer)
 */
export function checkSealedKeys (bank: Bank, registry: Registry, sealed: readonly KnownSealedKeys[], now: Millis): void {
  for (const { id, keys } of sealed) {
    if (!equal(registry.sealedDay(bank.bank.publicKey, bank.unit, keys.day).keys, id)) throw unknownKeys()
    if (now + registry.parameters.clockSkew < keys.notBefore) throw new MixmintError('token-not-yet-valid', 'peer', 'the day of these sealed tokens has not begun')
    if (now >= keys.notAfter) throw new MixmintError('token-expired', 'peer', 'the tokens would no longer be valid')
  }
}

function unknownKeys (): MixmintError {
  return new MixmintError('unknown-sealed-keys', 'peer', 'the bank has no such keys for sealed tokens')
}

/**
 * As deposit, for sealed tokens. Refused with unknown-sealed-keys, wrong-unit, unknown-denomination, bad-token,
 * bad-presentation, token-refunded, closed-after-loss.
 */
export function * sealedDeposit (bank: Bank, { presentations }: BankRequest & { op: 'sealed-deposit' }): Saga<BankReply> {
  return yield * turnIn(bank, presentations.map(presentation => {
    const serial = sealedSerial(bank.suite, presentation.token)
    return { serial, examine: examine(bank, serial, presentation) }
  }))
}

function * examine (bank: Bank, serial: Uint8Array, presentation: SealedPresentation): Saga<Good | null> {
  const { token } = presentation
  const { keys: { day } } = check(bank, token)
  if (yield * wasDeposited(serial, serial)) return null
  yield * mustBeKnown(bank, { day })
  verifySealedPresentation(bank.suite, serial, presentation)
  return { serial, payee: token.payee, amount: token.value, hash: serial, shownFor: presentation.order }
}

/** Has the bank signed it? @throws unknown-sealed-keys, wrong-unit, unknown-denomination, bad-token (peer) */
function check (bank: Bank, token: SealedToken): KnownSealedKeys {
  const known = bank.sealedKeys(token.keys)
  if (known === undefined) throw unknownKeys()
  if (known.keys.unit !== bank.unit) throw new MixmintError('wrong-unit', 'peer', 'this is in another unit')
  verifySealed(bank.suite, known, token)
  return known
}

/**
 * What became of a sealed token: see turned-in.ts.
 * @throws bad-presentation, and of one that nobody has had the money of unknown-sealed-keys, wrong-unit, unknown-denomination, bad-token, closed-after-loss (peer)
 */
export function * sealedTurnedIn (bank: Bank, { presentation }: BankRequest & { op: 'sealed-turned-in' }): Saga<BankReply> {
  const { suite, network, unit } = bank
  const { token } = presentation
  const serial = sealedSerial(suite, token)
  verifySealedPresentation(suite, serial, presentation)
  const word = (state: SealedTurnedIn['state'], time: Millis, order: Uint8Array = NONE): BankReply =>
    ({ is: 'sealed-turned-in', ...signSealedTurnedIn(suite, bank.bank, { network, unit, token: serial, payee: token.payee, value: token.value, state, order, time }) })
  // All that the word says of it is in its serial, and the bank's signature was looked at then.
  const gone = yield * goneOf(serial, serial)
  if (gone !== null) return word(gone.is, gone.time, gone.shownFor)
  const { keys: { day } } = check(bank, token)
  yield * mustBeKnown(bank, { day })
  return word('open', yield * bank.clock.now())
}

/** See refundToken, by the token's serial. @throws also unknown-sealed-keys, wrong-unit, unknown-denomination, bad-token, closed-after-loss (peer) */
export function * sealedRefund (bank: Bank, { token, outputs, signature }: BankRequest & { op: 'sealed-refund' }): Saga<BankReply, BankEffect> {
  const serial = sealedSerial(bank.suite, token)
  return yield * refundToken(bank, {
    serial, hash: serial, ownerKey: token.ownerKey, amount: token.value,
    * examine () {
      const { keys } = check(bank, token)
      yield * mustBeKnown(bank, { of: outputs, day: keys.day })
      return keys
    }
  }, outputs, signature)
}

/** Public: whoever asks may have them. */
export function * sealedKeys (bank: Bank, { hashes }: BankRequest & { op: 'sealed-keys' }): Saga<BankReply> {
  return { is: 'sealed-keys', keys: hashes.flatMap(hash => bank.sealedKeys(hash)?.signed ?? []) }
}
