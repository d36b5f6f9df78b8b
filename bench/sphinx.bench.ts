/**
 * Packets: what peeling costs beside the primitives that it cannot do without, measured in the same run; and absolute
 * figures for orientation.
 */
import { randomBytes } from 'node:crypto'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import type { Suite } from '@mixmint/core/crypto/suite'
import { peel } from '@mixmint/mixnet/sphinx/peel'
import { SeenTags } from '@mixmint/mixnet/sphinx/replay'
import { createSurb, openReply, useSurb } from '@mixmint/mixnet/sphinx/surb'
import { wrap, type Hop } from '@mixmint/mixnet/sphinx/wrap'
import { compareWith, figure, goal, measure, time, type Row } from './harness.ts'

const PEEL_GOAL = 1.3
const TAGS = 100_000

function random (length: number): Uint8Array {
  return new Uint8Array(randomBytes(length))
}

function pathOf (suite: Suite, length: number): { hops: Hop[], keys: Uint8Array[] } {
  const keys = Array.from({ length }, () => random(32))
  const hops = keys.map((key, i) => ({ publicKey: suite.x25519Base(key), address: random(94), delay: i === length - 1 ? 0 : 50 }))
  return { hops, keys }
}

/** How often peeling a packet that is forwarded needs each primitive, and each on input of the size it has there. */
function primitivesOfPeel (suite: Suite): Array<{ name: string, times: number, call: () => unknown }> {
  const [key16, key32, nonce, labelled, right, beta, padded] = [16, 32, 12, 40, 3952, 576, 688].map(random)
  const point = suite.x25519Base(random(32))
  return [
    { name: 'X25519', times: 2, call: () => suite.x25519(key32, point) },
    { name: 'ChaCha20, 3952 bytes', times: 2, call: () => suite.chacha20(key32, nonce, right) },
    { name: 'keyed BLAKE2b, 3952 bytes', times: 2, call: () => suite.blake2b256(key32, right) },
    { name: 'SHAKE128, 128 bytes', times: 1, call: () => suite.shake128(key32, 128) },
    { name: 'AES-128-CTR, 688 bytes', times: 1, call: () => suite.aes128ctr(key16, key16, padded) },
    { name: 'HMAC-SHA-256, 576 bytes', times: 1, call: () => suite.hmacSha256(key16, beta) },
    // The tag, the blinding, and the keys of header (3) and payload (2).
    { name: 'SHA-256, one block', times: 7, call: () => suite.sha256(labelled) }
  ]
}

export async function sphinxRows (): Promise<Row[]> {
  const suite = await defaultSuite()
  const { hops, keys } = pathOf(suite, 5)
  const [ephemeral, destination, message, id, surbKey, reply] = [32, 94, 3968, 16, 16, 3984].map(random)
  const packet = wrap(suite, ephemeral, hops, destination, message)
  const { surb, secrets } = createSurb(suite, ephemeral, hops, id, surbKey)
  const primitives = primitivesOfPeel(suite)
  const all = (): void => { for (const { times, call } of primitives) for (let i = 0; i < times; i++) call() }
  const peeling = compareWith(() => peel(suite, keys[0], packet), all)
  const tags = new SeenTags(TAGS, random(16))
  const stream = random(32 * TAGS)
  let next = 0
  const seeing = time(TAGS, () => tags.see(stream.subarray(next, next += 32)))

  return [
    goal(`peel and forward, to the sum of its primitives (${suite.name})`, peeling.ratio, peeling.call, 'µs', PEEL_GOAL),
    figure('the sum of the primitives of peel', peeling.base, 'µs'),
    ...primitives.map(({ name, times, call }) => figure(`${times} × ${name}`, times * measure(call), 'µs')),
    figure('wrap, 5 hops', measure(() => wrap(suite, ephemeral, hops, destination, message)), 'µs'),
    figure('SURB: create, 5 hops', measure(() => createSurb(suite, ephemeral, hops, id, surbKey)), 'µs'),
    figure('SURB: use', measure(() => useSurb(suite, surb, message)), 'µs'),
    figure('SURB: open, 5 hops', measure(() => openReply(suite, secrets, reply)), 'µs'),
    figure(`seen tags: check and insert, ${TAGS} tags`, seeing, 'µs'),
    figure(`seen tags: memory, ${TAGS} tags`, tags.memory / tags.size, 'bytes/tag')
  ]
}
