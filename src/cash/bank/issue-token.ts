/** Making tokens (DESIGN §6): which dates a buyer may choose, and the bank's signature on them. */
import { equal } from '../../kit/bytes.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Contract, MoneyParameters, SignedToken, TokenTerms } from '../formats.ts'
import { dayOf } from '../keyset.ts'
import type { Registry } from '../registry.ts'
import { serialFor, signToken } from '../token.ts'
import type { Bank } from './parts.ts'

/**
 * The token that this contract buys, or null for a contract of another kind.
 * @param id D
 * @throws token-not-yet-valid, token-expired, token-too-long, token-too-short, unknown-day-key, day-key-not-valid (peer);
 *   no-day-key (operator)
 */
export function tokenFor (bank: Bank, registry: Registry, contract: Contract, id: Uint8Array, now: number): SignedToken | null {
  const { token: terms } = contract
  if (terms === null) return null
  checkTerms(registry.parameters, terms, now)
  const day = dayOf(terms.notBefore)
  const listed = registry.dayKey(bank.bank.publicKey, day)
  if (terms.notBefore < listed.validFrom || terms.notBefore >= listed.validUntil) {
    throw new MixmintError('day-key-not-valid', 'peer', 'the bank\'s token key of that day is not for this time')
  }
  const dayKey = bank.dayKey(day)
  if (dayKey === undefined || !equal(dayKey.publicKey, listed.key)) {
    throw new MixmintError('no-day-key', 'operator', 'the bank does not hold the token key that the directory lists for this day', { retry: true })
  }
  return signToken(bank.suite, dayKey, {
    network: bank.network, bank: bank.bank.publicKey, day, payee: contract.payee, till: terms.till, amount: contract.amount,
    unit: contract.unit, serial: serialFor(bank.suite, id), ownerKey: terms.ownerKey, notBefore: terms.notBefore,
    notAfter: terms.notAfter, depositUntil: terms.depositUntil, refundAfter: terms.refundAfter, memoHash: terms.memoHash
  })
}

/** The order of the dates is the contract's to keep (checkContract); their lengths are bounded here. */
function checkTerms (parameters: MoneyParameters, terms: TokenTerms, now: number): void {
  const { notBefore, notAfter, depositUntil, refundAfter } = terms
  const { clockSkew, tokenValid, tokenDeposit, tokenRefund } = parameters
  if (now + clockSkew < notBefore) throw new MixmintError('token-not-yet-valid', 'peer', 'a token begins when it is made, not later')
  if (now >= notAfter) throw new MixmintError('token-expired', 'peer', 'the token would no longer be valid')
  if (notAfter - notBefore > tokenValid || depositUntil - notBefore > tokenDeposit || refundAfter - notBefore > tokenRefund) {
    throw new MixmintError('token-too-long', 'peer', 'the token\'s dates lie further ahead than the network allows')
  }
  // Else its buyer could have it back before its payee, who took it in good time, has turned it in.
  if (depositUntil - notBefore < tokenDeposit || refundAfter - notBefore < tokenRefund) {
    throw new MixmintError('token-too-short', 'peer', 'the token would leave its payee less time to turn it in than the network grants')
  }
}
