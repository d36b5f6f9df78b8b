/** Bytes: comparison, joining, hexadecimal, fixed-width integers. Nothing here copies unless it says so. */
import { MixmintError } from './errors.ts'

const encoder = new TextEncoder()

export function utf8 (text: string): Uint8Array {
  return encoder.encode(text)
}

/** No bytes: how formats say that an optional key or hash is not there. */
export const NONE: Uint8Array = new Uint8Array(0)

/** A fresh array with the parts one after the other. */
export function concat (...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const out = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** Equality of public bytes; leaves early. For secrets use `equalSecret`. */
export function equal (a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** Equality whose time depends only on the lengths. */
export function equalSecret (a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= a[i] ^ b[i]
  return difference === 0
}

/** Bytewise lexicographic order: negative, zero or positive. */
export function compare (a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length)
  for (let i = 0; i < shorter; i++) if (a[i] !== b[i]) return a[i] - b[i]
  return a.length - b.length
}

export function isZero (bytes: Uint8Array): boolean {
  let any = 0
  for (let i = 0; i < bytes.length; i++) any |= bytes[i]
  return any === 0
}

const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'))

export function toHex (bytes: Uint8Array): string {
  let out = ''
  for (let i = 0; i < bytes.length; i++) out += HEX[bytes[i]]
  return out
}

/** @throws bad-hex (caller) on an odd length or a character outside 0-9a-fA-F */
export function fromHex (text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) {
    throw new MixmintError('bad-hex', 'caller', 'not hexadecimal: an even number of the digits 0-9 and a-f is wanted')
  }
  const out = new Uint8Array(text.length / 2)
  for (let i = 0; i < out.length; i++) out[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16)
  return out
}

/** 4 bytes, big-endian. */
export function u32 (value: number): Uint8Array {
  const out = new Uint8Array(4)
  new DataView(out.buffer).setUint32(0, value)
  return out
}

/** 8 bytes, big-endian, of an integer below 2^53. */
export function u64 (value: number): Uint8Array {
  const out = new Uint8Array(8)
  for (let i = 7, rest = value; i >= 0; i--) {
    out[i] = rest % 256
    rest = Math.floor(rest / 256)
  }
  return out
}

/** Overwrite a secret that is no longer needed. */
export function wipe (...secrets: readonly Uint8Array[]): void {
  for (const secret of secrets) secret.fill(0)
}
