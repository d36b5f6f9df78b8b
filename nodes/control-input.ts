/** Reading what came over the control socket. */
import { MixmintError } from '@mixmint/core/kit/errors'
import type { JsonObject } from './control.ts'

/** @throws bad-argument (caller) */
export function word (input: JsonObject, name: string): string {
  const value = input[name]
  if (typeof value !== 'string') throw new MixmintError('bad-argument', 'caller', `${name}: a text is wanted`)
  return value
}

/** @throws bad-argument (caller) */
export function whole (input: JsonObject, name: string): number {
  const value = input[name]
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new MixmintError('bad-argument', 'caller', `${name}: a whole number from 0 on is wanted`)
  return value
}
