/**
 * The parameters of a network as the operators of its authorities configure them: a profile, and under
 * [authority.parameters] whatever shall differ from it. They must be alike at all authorities.
 */
import type { Codec } from '@mixmint/core/kit/codec'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import { checkParameters } from '@mixmint/mixnet/directory/document'
import { Parameters } from '@mixmint/mixnet/directory/formats'
import { profile, type ProfileName } from '@mixmint/mixnet/directory/profiles'
import { moneyParameters } from './money-profiles.ts'

/** What can be set; what is said of money comes with the profile. */
export const PARAMETER_NAMES = Object.keys(Parameters.fields).filter(name => name !== 'services')

/**
 * @param own as it stands in TOML; of [authority.parameters.cover] what is not named stays as in the profile
 * @throws bad-parameters (operator), naming the one that is wrong
 */
export function networkParameters (name: ProfileName, own: Readonly<Record<string, unknown>> = {}): Parameters {
  const parameters = profile(name, moneyParameters(name))
  const set = (key: string, value: unknown): unknown => {
    const codec = Parameters.fields[key as keyof Parameters] as unknown as Codec<unknown>
    return codec.parse(toCbor(key === 'cover' && isTable(value) ? { ...parameters.cover, ...value } : value), key)
  }
  try {
    const changed = { ...parameters, ...Object.fromEntries(Object.entries(own).map(([key, value]) => [key, set(key, value)])) }
    checkParameters(changed)
    return changed
  } catch (error) {
    if (isMixmintError(error)) throw new MixmintError('bad-parameters', 'operator', error.message, { cause: error })
    throw error
  }
}

/** Tables as the codecs take them. */
function toCbor (value: unknown): unknown {
  return isTable(value) ? new Map(Object.entries(value).map(([key, item]) => [key, toCbor(item)])) : value
}

function isTable (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
