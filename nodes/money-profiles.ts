/**
 * The parameters of money of a network, by profile. The authority puts them into the directory document; everyone else
 * reads them there.
 */
import { decode, encode } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import { MoneyParameters } from '@mixmint/core/cash/formats'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const DEFAULT: MoneyParameters = {
  clockSkew: 2 * MINUTE,
  settleMaximum: 2 * DAY,
  voidGrace: 6 * HOUR,
  margin: 5 * MINUTE,
  tokenValid: DAY,
  tokenDeposit: 7 * DAY,
  tokenRefund: 8 * DAY,
  keeperTimeout: 5 * SECOND
}

/** As the default, with the waits of a show: nothing here changes who may do what. */
const DEMO: MoneyParameters = { ...DEFAULT, settleMaximum: HOUR, voidGrace: MINUTE, margin: 5 * SECOND, keeperTimeout: 1.5 * SECOND }

export function moneyParameters (profile: string): Uint8Array {
  return encode(MoneyParameters, profile === 'demo' ? DEMO : DEFAULT)
}

/** @throws bad-parameters (peer) */
export function readMoneyParameters (services: Uint8Array): MoneyParameters {
  try {
    return decode(MoneyParameters, services)
  } catch (error) {
    throw new MixmintError('bad-parameters', 'peer', 'the directory document carries no parameters of money that this version understands', { cause: error })
  }
}
