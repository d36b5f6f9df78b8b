/** Checks of arguments that the caller controls; the same in both suites. */
import { MixmintError } from '../kit/errors.ts'

/** @throws bad-argument (caller) when `value` has another length than `length` bytes */
export function wantLength (what: string, value: Uint8Array, length: number): void {
  if (value.length !== length) throw new MixmintError('bad-argument', 'caller', `${what}: ${length} bytes wanted, these are ${value.length}`)
}

/** @throws bad-argument (caller) when `value` is shorter or longer, in bytes */
export function wantLengthWithin (what: string, value: Uint8Array, min: number, max: number): void {
  if (value.length < min || value.length > max) {
    throw new MixmintError('bad-argument', 'caller', `${what}: ${min} to ${max} bytes wanted, these are ${value.length}`)
  }
}

/** @throws bad-argument (caller) when `length` is not a whole number within the bounds */
export function wantNumber (what: string, length: number, min: number, max: number): void {
  if (!Number.isSafeInteger(length) || length < min || length > max) {
    throw new MixmintError('bad-argument', 'caller', `${what}: ${min} to ${max} bytes wanted, not ${length}`)
  }
}

/** What HKDF-SHA-256 can give at most (RFC 5869 §2.3). */
export const MAX_HKDF = 255 * 32
/** A bound on what is asked of SHAKE128, so that a wrong length does not fill the memory. */
export const MAX_SHAKE = 1 << 20
/** RFC 7693: a BLAKE2b key. */
export const MAX_BLAKE_KEY = 64
/** libsodium takes no shorter key, and nothing here needs one. */
export const MIN_BLAKE_KEY = 16
