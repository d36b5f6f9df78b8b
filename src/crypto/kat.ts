/**
 * Known answers for blind signatures: files `{ vectors: [{ suite, privateKeyPem, n, e, msg, salt, inv, blindedMsg,
 * blindSig, sig }] }`, all values in hexadecimal, of the deterministic variants of RFC 9474. What such a file says that
 * is not so is reported by name; a malformed file is reported, never thrown.
 */
import { compare, fromHex } from '../kit/bytes.ts'
import { blind, finalize } from './rsabssa.ts'
import { invert, toBytes } from './rsa.ts'
import type { RsaPrivateKey, Suite } from './suite.ts'

const SALT_LENGTHS: Readonly<Record<string, 0 | 48>> = {
  'RSABSSA-SHA384-PSSZERO-Deterministic': 0,
  'RSABSSA-SHA384-PSS-Deterministic': 48
}

interface Vector {
  readonly saltLength: 0 | 48
  readonly key: RsaPrivateKey
  readonly message: Uint8Array
  readonly salt: Uint8Array
  /** r, whose inverse the file gives. */
  readonly factor: Uint8Array
  readonly inverse: Uint8Array
  readonly blinded: Uint8Array
  readonly blindSignature: Uint8Array
  readonly signature: Uint8Array
}

/** @returns the names of what did not hold; empty when everything did */
export function runRsabssaVectors (suite: Suite, file: unknown): string[] {
  const vectors: unknown = isObject(file) ? file.vectors : undefined
  if (!Array.isArray(vectors) || vectors.length === 0) return ['file: a list of vectors wanted']
  return vectors.flatMap((raw: unknown, i) => {
    const name = `vector ${i}${isObject(raw) && typeof raw.suite === 'string' ? ` (${raw.suite.slice(0, 64)})` : ''}`
    try {
      return runVector(suite, parseVector(suite, raw)).map(what => `${name}: ${what}`)
    } catch (error) {
      return [`${name}: ${error instanceof Error ? error.message : String(error)}`]
    }
  })
}

function runVector (suite: Suite, v: Vector): string[] {
  const failures: string[] = []
  const check = (what: string, holds: boolean): void => { if (!holds) failures.push(what) }
  const { publicKey } = v.key
  const made = blind(suite, publicKey, v.message, v.salt, v.factor)
  check('blindedMsg', same(made.blinded, v.blinded))
  check('blindSig', same(suite.rsaBlindSign(v.key, v.blinded), v.blindSignature))
  check('sig', same(attempt(() => finalize(suite, publicKey, v.message, v.inverse, v.blindSignature, v.saltLength)), v.signature))
  const verifies = (message: Uint8Array, signature: Uint8Array, saltLength: number): boolean => suite.rsaVerifyPss(publicKey, message, signature, saltLength)
  check('sig must verify', verifies(v.message, v.signature, v.saltLength))
  check('sig must not verify with another salt length', !verifies(v.message, v.signature, 48 - v.saltLength))
  check('sig must not verify for another message', !verifies(flip(v.message.length === 0 ? new Uint8Array(1) : v.message, 0), v.signature, v.saltLength))
  check('sig must not verify with a byte more', !verifies(v.message, new Uint8Array([...v.signature, 0]), v.saltLength))
  for (const bit of [0, 7, 4 * v.signature.length, 8 * v.signature.length - 1]) {
    check(`sig must not verify with bit ${bit} flipped`, !verifies(v.message, flip(v.signature, bit), v.saltLength))
    check(`blindSig must not finalize with bit ${bit} flipped`,
      attempt(() => finalize(suite, publicKey, v.message, v.inverse, flip(v.blindSignature, bit), v.saltLength)) === null)
  }
  return failures
}

function parseVector (suite: Suite, raw: unknown): Vector {
  const text = (name: string): string => {
    const value: unknown = isObject(raw) ? raw[name] : undefined
    if (typeof value !== 'string') throw new Error(`${name}: text wanted`)
    return value
  }
  const bytes = (name: string): Uint8Array => {
    const value = text(name)
    if (value.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(value)) throw new Error(`${name}: hexadecimal wanted`)
    return fromHex(value)
  }
  const number = (name: string): bigint => {
    const value = text(name)
    if (!/^[0-9a-f]+$/i.test(value)) throw new Error(`${name}: a hexadecimal number wanted`)
    return BigInt(`0x${value}`)
  }
  const saltLength = SALT_LENGTHS[text('suite')]
  if (saltLength === undefined) throw new Error(`suite: one of ${Object.keys(SALT_LENGTHS).join(', ')} wanted`)
  const key = suite.rsaImportPrivate(fromPem(text('privateKeyPem')))
  const n = number('n')
  const length = key.publicKey.n.length
  if (compare(toBytes(n, length), key.publicKey.n) !== 0) throw new Error('n: it is not the modulus of privateKeyPem')
  if (number('e') !== 65537n) throw new Error('e: 10001 wanted')
  const salt = bytes('salt')
  if (salt.length !== saltLength) throw new Error(`salt: ${saltLength} bytes wanted`)
  const inverse = number('inv')
  const factor = inverse < n ? invert(inverse, n) : null
  if (factor === null) throw new Error('inv: a number with an inverse modulo n wanted')
  return {
    saltLength, key, message: bytes('msg'), salt, factor: toBytes(factor, length), inverse: toBytes(inverse, length),
    blinded: bytes('blindedMsg'), blindSignature: bytes('blindSig'), signature: bytes('sig')
  }
}

function fromPem (pem: string): Uint8Array {
  const body = /^\s*-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----\s*$/.exec(pem)
  if (body === null) throw new Error('privateKeyPem: a PKCS #8 key in PEM wanted')
  return Uint8Array.from(atob(body[1].replace(/\s/g, '')), c => c.charCodeAt(0))
}

function flip (bytes: Uint8Array, bit: number): Uint8Array {
  const out = bytes.slice()
  out[bit >> 3] ^= 0x80 >> (bit & 7)
  return out
}

function same (a: Uint8Array | null, b: Uint8Array): boolean {
  return a !== null && compare(a, b) === 0
}

function attempt<T> (call: () => T): T | null {
  try {
    return call()
  } catch {
    return null
  }
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
