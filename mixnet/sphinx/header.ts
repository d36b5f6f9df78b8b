/**
 * Building a header (LIP-99 §8.5.2, after Danezis and Goldberg, "Sphinx", IEEE S&P 2009 §3.2): from the last hop to the
 * first, each layer of beta encloses the next, and gamma covers the layer.
 *
 * What a hop appends when it takes off its block is keystream that the sender can foresee; the sum of it at the last
 * hop is the *filler*, which beta ends with, so that every gamma holds and every beta has the same size. Between the last
 * hop's block and the filler are zeros, by which last hops are known, and which tell it the length of the path: one for the
 * whole network (docs/decisions/0024-what-packets-tell.md).
 */
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Suite } from '@mixmint/core/crypto/suite'
import {
  ADDRESS_SIZE, ALPHA_SIZE, BETA_SIZE, BLOCK_SIZE, DELAY_SIZE, HEADER_SIZE, KEY_SIZE, MAX_HOPS, SURB_ID_SIZE
} from './layout.ts'
import { blinding, cryptBeta, macBeta } from './keys.ts'

export interface Hop {
  /** The hop's X25519 mix key, 32 bytes. */
  readonly publicKey: Uint8Array
  /** Its address block, 94 bytes; that of the first hop is used by SURBs only. */
  readonly address: Uint8Array
  /** The mean delay in ms that the hop is told, 0 to 65535; 0 for the last hop. */
  readonly delay: number
}

const NEXT_ADDRESS = 0
const DELAY = NEXT_ADDRESS + ADDRESS_SIZE
const NEXT_GAMMA = DELAY + DELAY_SIZE

/**
 * @param ephemeral 32 random bytes, used for one header only
 * @param address 94 bytes for the last hop to read
 * @param id 16 bytes for the last hop to read: zero in a forward packet, the SURB's id in a reply
 * @returns the header, 624 bytes, and every hop's shared secret in path order
 * @throws bad-path (caller), bad-hop-key (peer)
 */
export function buildHeader (suite: Suite, ephemeral: Uint8Array, hops: readonly Hop[], address: Uint8Array, id: Uint8Array): { header: Uint8Array, secrets: Uint8Array[] } {
  checkPath(ephemeral, hops, address, id)
  const { alpha, secrets } = agree(suite, ephemeral, hops)
  const streams = secrets.map(secret => cryptBeta(suite, secret, new Uint8Array(BETA_SIZE + BLOCK_SIZE)))
  const last = hops.length - 1
  const filler = foreseeFiller(streams.slice(0, last))

  let beta = new Uint8Array(BETA_SIZE)
  beta.set(address, NEXT_ADDRESS)
  beta.set(id, NEXT_GAMMA)
  xorInto(beta, streams[last])
  beta.set(filler, BETA_SIZE - filler.length)
  let gamma = macBeta(suite, secrets[last], beta)
  for (let i = last - 1; i >= 0; i--) {
    const outer = new Uint8Array(BETA_SIZE)
    outer.set(hops[i + 1].address, NEXT_ADDRESS)
    outer[DELAY] = hops[i].delay >> 8
    outer[DELAY + 1] = hops[i].delay & 0xff
    outer.set(gamma, NEXT_GAMMA)
    outer.set(beta.subarray(0, BETA_SIZE - BLOCK_SIZE), BLOCK_SIZE)
    xorInto(outer, streams[i])
    beta = outer
    gamma = macBeta(suite, secrets[i], beta)
  }

  const header = new Uint8Array(HEADER_SIZE)
  header.set(alpha)
  header.set(beta, ALPHA_SIZE)
  header.set(gamma, ALPHA_SIZE + BETA_SIZE)
  return { header, secrets }
}

function checkPath (ephemeral: Uint8Array, hops: readonly Hop[], address: Uint8Array, id: Uint8Array): void {
  const bad = (message: string): MixmintError => new MixmintError('bad-path', 'caller', message)
  if (ephemeral.length !== KEY_SIZE) throw bad(`the ephemeral key must be ${KEY_SIZE} random bytes`)
  if (hops.length < 1 || hops.length > MAX_HOPS) throw bad(`a path has 1 to ${MAX_HOPS} hops, not ${hops.length}`)
  if (address.length !== ADDRESS_SIZE) throw bad(`the destination must be an address block of ${ADDRESS_SIZE} bytes`)
  if (id.length !== SURB_ID_SIZE) throw bad(`the SURB id must have ${SURB_ID_SIZE} bytes`)
  for (const [i, hop] of hops.entries()) {
    if (hop.publicKey.length !== KEY_SIZE) throw bad(`the mix key of hop ${i} must have ${KEY_SIZE} bytes`)
    if (hop.address.length !== ADDRESS_SIZE) throw bad(`the address block of hop ${i} must have ${ADDRESS_SIZE} bytes`)
    if (!Number.isInteger(hop.delay) || hop.delay < 0 || hop.delay > 0xffff) throw bad(`the delay of hop ${i} must be 0 to 65535 ms`)
  }
  if (hops[hops.length - 1].delay !== 0) throw bad('the delay of the last hop must be 0: a last hop is known by it')
}

/** alpha for the first hop, and each hop's secret: its key times the ephemeral and the blindings of all hops before. */
function agree (suite: Suite, ephemeral: Uint8Array, hops: readonly Hop[]): { alpha: Uint8Array, secrets: Uint8Array[] } {
  const first = suite.x25519Base(ephemeral)
  const scalars = [ephemeral]
  const secrets: Uint8Array[] = []
  let alpha = first
  for (const [i, hop] of hops.entries()) {
    let secret: Uint8Array | null = hop.publicKey
    for (const scalar of scalars) secret = secret === null ? null : suite.x25519(scalar, secret)
    if (secret === null) throw lowOrder(i)
    secrets.push(secret)
    if (i === hops.length - 1) break
    const b = blinding(suite, alpha, secret)
    scalars.push(b)
    const next = suite.x25519(b, alpha)
    if (next === null) throw lowOrder(i)
    alpha = next
  }
  return { alpha: first, secrets }
}

function lowOrder (hop: number): MixmintError {
  return new MixmintError('bad-hop-key', 'peer', `the mix key of hop ${hop} is of low order; choose another path`)
}

/** The bytes behind the last hop's plaintext, given the keystreams of the hops before it. */
function foreseeFiller (streams: readonly Uint8Array[]): Uint8Array {
  let filler = new Uint8Array(0)
  for (const stream of streams) {
    const longer = new Uint8Array(filler.length + BLOCK_SIZE)
    longer.set(filler)
    xorInto(longer, stream.subarray(stream.length - longer.length))
    filler = longer
  }
  return filler
}

function xorInto (target: Uint8Array, stream: Uint8Array): void {
  for (let i = 0; i < target.length; i++) target[i] ^= stream[i]
}
