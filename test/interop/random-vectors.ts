/** Packets and SURBs over random paths, as our code makes and peels them, in the shape of test/vectors/lip99-sphinx.json. */
import type { Suite } from '@mixmint/core/crypto/suite'
import { toHex } from '@mixmint/core/kit/bytes'
import type { Rng } from '@mixmint/core/kit/ports'
import { below } from '@mixmint/core/kit/samplers'
import { peel } from '@mixmint/mixnet/sphinx/peel'
import { createSurb, useSurb } from '@mixmint/mixnet/sphinx/surb'
import { wrap, type Hop } from '@mixmint/mixnet/sphinx/wrap'

interface Node extends Hop { readonly privateKey: Uint8Array }

/** @returns `{ vectors }`, to be written as JSON; paths of 1 to 5 hops, mean delays of the whole range */
export function randomVectors (suite: Suite, rng: Rng, count: number): object {
  return { vectors: Array.from({ length: count }, (_, i) => randomVector(suite, rng, 1 + i % 5)) }
}

function randomVector (suite: Suite, rng: Rng, pathLength: number): object {
  const hops = Array.from({ length: pathLength }, (_, i): Node => {
    const privateKey = rng.bytes(32)
    return { privateKey, publicKey: suite.x25519Base(privateKey), address: rng.bytes(94), delay: i < pathLength - 1 ? below(rng, 1 << 16) : 0 }
  })
  const [ephemeral, destination, message] = [rng.bytes(32), below(rng, 2) === 0 ? new Uint8Array(94) : rng.bytes(94), rng.bytes(3968)]
  const packet = wrap(suite, ephemeral, hops, destination, message)
  const back = { ephemeral: rng.bytes(32), id: rng.bytes(16), key: rng.bytes(16), reply: rng.bytes(3968) }
  const { surb } = createSurb(suite, back.ephemeral, hops, back.id, back.key)
  const used = useSurb(suite, surb, back.reply)
  if (used === null) throw new Error('a SURB of ours is none')
  return inHex({
    pathLength, ephemeral, hops, destination, message, packet, steps: steps(suite, hops, packet),
    surb: { ...back, header: surb.slice(94, 94 + 624), steps: steps(suite, hops, used.packet) }
  }) as object
}

function steps (suite: Suite, hops: readonly Node[], first: Uint8Array): object[] {
  let packet = first
  return hops.map(({ privateKey }) => {
    const peeled = peel(suite, privateKey, packet)
    switch (peeled.kind) {
      case 'forward': {
        packet = peeled.packet
        const { tag, next, delay } = peeled
        return { role: 'forward', tag, next, delay, packet }
      }
      case 'exit': return { role: 'exit', tag: peeled.tag, destination: peeled.destination, message: peeled.message }
      case 'reply': return { role: 'reply', tag: peeled.tag, id: peeled.surbId, delta: peeled.payload }
      case 'drop': throw new Error(`a packet of ours was dropped: ${peeled.reason}`)
    }
  })
}

function inHex (value: unknown): unknown {
  if (value instanceof Uint8Array) return toHex(value)
  if (Array.isArray(value)) return value.map(inHex)
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, inHex(part)]))
  return value
}
