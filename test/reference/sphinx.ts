/**
 * A slow, readable twin of mixnet/sphinx: LIBP2P-MIX (LIP-99) packets with the LIONESS payload, written from the text of
 * the specification on noble, sharing no code with what it checks. It trusts its input and validates nothing that the
 * specification does not ask of a hop.
 */
import { ctr } from '@noble/ciphers/aes.js'
import { chacha20 } from '@noble/ciphers/chacha.js'
import { x25519 } from '@noble/curves/ed25519.js'
import { blake2b } from '@noble/hashes/blake2.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { shake128 } from '@noble/hashes/sha3.js'
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'

export interface TwinHop { publicKey: Uint8Array, address: Uint8Array, delay: number }

export type TwinPeeled =
  | { kind: 'forward', tag: Uint8Array, next: Uint8Array, delay: number, packet: Uint8Array }
  | { kind: 'exit', tag: Uint8Array, destination: Uint8Array, message: Uint8Array }
  | { kind: 'reply', tag: Uint8Array, surbId: Uint8Array, payload: Uint8Array }
  | { kind: 'drop', reason: string }

const zeros = (n: number): Uint8Array => new Uint8Array(n)
const allZero = (bytes: Uint8Array): boolean => bytes.every(byte => byte === 0)
const xor = (a: Uint8Array, b: Uint8Array): Uint8Array => a.map((byte, i) => byte ^ b[i])
const H = (...parts: Uint8Array[]): Uint8Array => sha256(concatBytes(...parts))
const KDF = (label: string, s: Uint8Array): Uint8Array => H(utf8ToBytes(label), s).slice(0, 16)
const headerCipher = (s: Uint8Array, data: Uint8Array): Uint8Array => ctr(KDF('aes_key', s), KDF('iv', s)).encrypt(data)
const mac = (s: Uint8Array, beta: Uint8Array): Uint8Array => hmac(sha256, KDF('mac_key', s), beta).slice(0, 16)

/** LIONESS round keys K1 to K4 and the stream's nonce. */
function payloadKeys (secret: Uint8Array): { K: Uint8Array[], iv: Uint8Array } {
  const stream = shake128(H(utf8ToBytes('delta_key'), secret), { dkLen: 128 })
  return { K: [0, 32, 64, 96].map(at => stream.slice(at, at + 32)), iv: H(utf8ToBytes('delta_iv'), secret).slice(0, 12) }
}

/** The four rounds: the stream rounds change R, the hash rounds L. Decryption is the same rounds backwards. */
function rounds (secret: Uint8Array, block: Uint8Array, order: number[]): Uint8Array {
  const { K, iv } = payloadKeys(secret)
  let L: Uint8Array = block.slice(0, 32)
  let R: Uint8Array = block.slice(32)
  for (const i of order) {
    if (i % 2 === 0) R = chacha20(xor(L, K[i]), iv, R)
    else L = xor(L, blake2b(R, { key: K[i], dkLen: 32 }))
  }
  return concatBytes(L, R)
}
export const twinEncrypt = (secret: Uint8Array, block: Uint8Array): Uint8Array => rounds(secret, block, [0, 1, 2, 3])
export const twinDecrypt = (secret: Uint8Array, block: Uint8Array): Uint8Array => rounds(secret, block, [3, 2, 1, 0])

/** One layer for each hop, the last hop's first. */
function underLayers (s: Uint8Array[], payload: Uint8Array): Uint8Array {
  return s.reduceRight((delta, secret) => twinEncrypt(secret, delta), payload)
}

/** α_i, s_i and b_i along the path. */
function sharedSecrets (ephemeral: Uint8Array, hops: TwinHop[]): { alpha: Uint8Array, s: Uint8Array[] } {
  const s: Uint8Array[] = []
  const b: Uint8Array[] = []
  let alpha = x25519.scalarMultBase(ephemeral)
  const alpha0 = alpha
  for (const hop of hops) {
    s.push([ephemeral, ...b].reduce<Uint8Array>((point, scalar) => x25519.scalarMult(scalar, point), hop.publicKey))
    b.push(H(alpha, s[s.length - 1]))
    alpha = x25519.scalarMult(b[b.length - 1], alpha)
  }
  return { alpha: alpha0, s }
}

/** One hop's view of β: 688 bytes, its block of 112 and the next β. */
export const twinOpenBeta = (s: Uint8Array, beta: Uint8Array): Uint8Array => headerCipher(s, concatBytes(beta, zeros(112)))

/** What L − 1 hops append: send zeros through them and look at the end. */
function filler (s: Uint8Array[]): Uint8Array {
  let beta: Uint8Array = zeros(576)
  for (const secret of s.slice(0, -1)) beta = twinOpenBeta(secret, beta).slice(112)
  return beta.slice(576 - 112 * (s.length - 1))
}

/** @param last the last hop's plaintext, 576 − 112 (L − 1) bytes: address, delay, id, zeros */
export function twinHeader (ephemeral: Uint8Array, hops: TwinHop[], last: Uint8Array): { header: Uint8Array, s: Uint8Array[] } {
  const { alpha, s } = sharedSecrets(ephemeral, hops)
  let beta: Uint8Array = concatBytes(headerCipher(s[s.length - 1], last), filler(s))
  let gamma = mac(s[s.length - 1], beta)
  for (let i = hops.length - 2; i >= 0; i--) {
    const delay = new Uint8Array([Math.floor(hops[i].delay / 256), hops[i].delay % 256])
    beta = headerCipher(s[i], concatBytes(hops[i + 1].address, delay, gamma, beta.slice(0, 464)))
    gamma = mac(s[i], beta)
  }
  return { header: concatBytes(alpha, beta, gamma), s }
}

/** The last hop's plaintext as the specification has it. */
export function twinLast (hops: TwinHop[], address: Uint8Array, id: Uint8Array): Uint8Array {
  return concatBytes(address, zeros(2), id, zeros(576 - 112 * (hops.length - 1) - 112))
}

export function twinWrap (ephemeral: Uint8Array, hops: TwinHop[], destination: Uint8Array, message: Uint8Array, last = twinLast(hops, destination, zeros(16))): Uint8Array {
  const { header, s } = twinHeader(ephemeral, hops, last)
  return concatBytes(header, underLayers(s, concatBytes(zeros(16), message)))
}

export function twinPeel (privateKey: Uint8Array, packet: Uint8Array): TwinPeeled {
  const alpha = packet.slice(0, 32)
  const beta = packet.slice(32, 608)
  const gamma = packet.slice(608, 624)
  const s = x25519.scalarMult(privateKey, alpha)
  if (!allZero(xor(mac(s, beta), gamma))) return { kind: 'drop', reason: 'mac' }
  const tag = H(s)
  const B = twinOpenBeta(s, beta)
  const delta = twinDecrypt(s, packet.slice(624))
  const delay = B[94] * 256 + B[95]
  if (delay === 0 && allZero(B.slice(112, 128))) {
    if (allZero(B.slice(96, 112))) {
      if (!allZero(delta.slice(0, 16))) return { kind: 'drop', reason: 'payload' }
      return { kind: 'exit', tag, destination: B.slice(0, 94), message: delta.slice(16) }
    }
    if (allZero(B.slice(0, 94))) return { kind: 'reply', tag, surbId: B.slice(96, 112), payload: delta }
    return { kind: 'drop', reason: 'block' }
  }
  const nextAlpha = x25519.scalarMult(H(alpha, s), alpha)
  return { kind: 'forward', tag, next: B.slice(0, 94), delay, packet: concatBytes(nextAlpha, B.slice(112), B.slice(96, 112), delta) }
}

export function twinSurb (ephemeral: Uint8Array, hops: TwinHop[], id: Uint8Array, key: Uint8Array): { surb: Uint8Array, s: Uint8Array[] } {
  const { header, s } = twinHeader(ephemeral, hops, twinLast(hops, zeros(94), id))
  return { surb: concatBytes(hops[0].address, header, key), s }
}

export function twinReply (surb: Uint8Array, message: Uint8Array): Uint8Array {
  return concatBytes(surb.slice(94, 718), twinEncrypt(surb.slice(718), concatBytes(zeros(16), message)))
}

export function twinOpenReply (key: Uint8Array, s: Uint8Array[], payload: Uint8Array): Uint8Array | null {
  const plain = twinDecrypt(key, underLayers(s, payload))
  return allZero(plain.slice(0, 16)) ? plain.slice(16) : null
}
