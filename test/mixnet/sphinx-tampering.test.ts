import { ed25519 } from '@noble/curves/ed25519.js'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat, fromHex } from '@mixmint/core/kit/bytes'
import { pureSuite } from '@mixmint/core/crypto/pure'
import { peel } from '@mixmint/mixnet/sphinx/peel'
import { createSurb, openReply, useSurb } from '@mixmint/mixnet/sphinx/surb'
import { wrap } from '@mixmint/mixnet/sphinx/wrap'
import { twinHeader } from '../reference/sphinx.ts'
import { bytesFrom, bytesOf, flipped, HERE, message, native, packetAt, pathOf, reason, seeds, suites, walk } from './sphinx-material.ts'

describe('a changed bit', () => {
  test.each([['forward', 0], ['forward', 2], ['forward', 4], ['surb', 1], ['surb', 4]] as const)('of the header is caught by the next hop: %s, hop %i', (kind, place) => {
    const { key, packet } = packetAt(place, kind)
    for (let bit = 0; bit < 624 * 8; bit++) {
      const expected = bit < 32 * 8 ? ['alpha', 'mac'] : ['mac']
      expect(expected).toContain(reason(peel(native, key, flipped(packet, bit))))
    }
    expect(reason(peel(native, key, flipped(packet, 255)))).toBe('alpha')
  })

  test('of the payload is caught by the destination, wherever in its 3984 bytes', () => {
    const { key, packet } = packetAt(4, 'forward')
    for (let at = 624; at < 4608; at++) {
      expect(reason(peel(native, key, flipped(packet, 8 * at + at % 8)))).toBe('payload')
    }
  })

  test('of the payload is noise behind every honest hop, and caught at the end', () => {
    const { hops, keys } = pathOf(5)
    const packet = wrap(native, bytesOf('ephemeral', 32), hops, HERE, message)
    const clean = walk(native, keys, packet)[0]
    for (let at = 624; at < 4608; at += 97) {
      const steps = walk(native, keys, flipped(packet, 8 * at + at % 8))
      expect(steps.map(reason)).toEqual(['forward', 'forward', 'forward', 'forward', 'payload'])
      if (steps[0].kind !== 'forward' || clean.kind !== 'forward') throw new Error('not forwarded')
      const [a, b] = [steps[0].packet, clean.packet]
      expect(a.subarray(0, 624)).toEqual(b.subarray(0, 624))
      const sameBytes = a.subarray(624).filter((byte, i) => byte === b[624 + i]).length
      expect(sameBytes).toBeLessThan(100)
    }
  })

  test('of a reply is caught by the owner, wherever it happens', () => {
    const { hops, keys } = pathOf(5)
    const { surb, secrets } = createSurb(native, bytesOf('ephemeral', 32), hops, bytesOf('id', 16), bytesOf('key', 16))
    const { packet } = useSurb(native, surb, message)!
    const last = walk(native, keys, packet).at(-1)
    if (last?.kind !== 'reply') throw new Error('no reply')
    for (let at = 0; at < 3984; at++) expect(openReply(native, secrets, flipped(last.payload, 8 * at + at % 8))).toBeNull()
    for (let at = 624; at < 4608; at += 397) {
      const end = walk(native, keys, flipped(packet, 8 * at + at % 8)).at(-1)
      expect(end?.kind === 'reply' && openReply(native, secrets, end.payload)).toBeNull()
    }
    expect(openReply(native, { ...secrets, key: bytesOf('another', 16) }, last.payload)).toBeNull()
    for (const length of [0, 1, 31, 32, 3983]) expect(openReply(native, secrets, last.payload.subarray(0, length))).toBeNull()
    expect(openReply(native, secrets, last.payload)).toEqual(message)
    expect(last.payload).toEqual((walk(native, keys, packet).at(-1) as typeof last).payload)
  })
})

describe('alpha', () => {
  // The points of small order on curve and twist, their other encodings, and encodings at and above p.
  const refused = [
    '00'.repeat(32),
    '01' + '00'.repeat(31),
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ec' + 'ff'.repeat(30) + '7f', 'ed' + 'ff'.repeat(30) + '7f', 'ee' + 'ff'.repeat(30) + '7f', 'f0' + 'ff'.repeat(30) + '7f', 'ff'.repeat(31) + '7f',
    'cdeb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880',
    '4c9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7',
    'd9' + 'ff'.repeat(31), 'da' + 'ff'.repeat(31), 'db' + 'ff'.repeat(31), 'ff'.repeat(32), '09' + '00'.repeat(30) + '80'
  ]

  test.each(refused)('%s is refused before anything else is computed with it', hex => {
    const { key, packet } = packetAt(0, 'forward')
    packet.set(fromHex(hex))
    for (const suite of suites) expect(peel(suite, key, packet)).toEqual({ kind: 'drop', reason: 'alpha' })
  })

  test.each(['ea' + 'ff'.repeat(30) + '7f', 'ff' + '00'.repeat(30) + '7f', 'ff'.repeat(30) + 'fe7f'])('%s, large but canonical, reaches the next check', hex => {
    const { key, packet } = packetAt(0, 'forward')
    packet.set(fromHex(hex))
    for (const suite of suites) expect(reason(peel(suite, key, packet))).toBe('mac')
  })

  test('another alpha with the same secret has the same replay tag', () => {
    const { key, packet } = packetAt(0, 'forward')
    const seen = new Set<string>()
    const see = (tag: Uint8Array): 'new' | 'seen' => {
      const known = seen.has(tag.join())
      seen.add(tag.join())
      return known ? 'seen' : 'new'
    }
    expect(reason(peel(native, key, packet, see))).toBe('forward')
    const twisted = new Uint8Array(packet)
    twisted.set(addSmallOrder(packet.subarray(0, 32)))
    expect(reason(peel(native, key, twisted))).toBe('forward')
    expect(reason(peel(native, key, twisted, see))).toBe('replay')
    expect(reason(peel(native, key, flipped(packet, 255), see))).toBe('alpha')
  })
})

/** The u of a point of the curve plus a point of order 8. */
function addSmallOrder (u: Uint8Array): Uint8Array {
  const { Fp } = ed25519.Point
  const x = Fp.fromBytes(u)
  const y = Fp.div(Fp.sub(x, Fp.ONE), Fp.add(x, Fp.ONE))
  const point = ed25519.Point.fromBytes(Fp.toBytes(y), true)
  const small = ed25519.Point.fromHex('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a', true)
  const sum = point.add(small).toAffine().y
  return Fp.toBytes(Fp.div(Fp.add(Fp.ONE, sum), Fp.sub(Fp.ONE, sum)))
}

describe('the replay check', () => {
  test('is asked once per packet, with the tag that is returned', () => {
    const { key, packet } = packetAt(0, 'forward')
    const asked: Uint8Array[] = []
    const peeled = peel(native, key, packet, tag => { asked.push(tag); return 'new' })
    expect(peeled).toMatchObject({ kind: 'forward', tag: asked[0] })
    expect(asked).toHaveLength(1)
  })

  test('drops what was seen, and what cannot be remembered, under their own names', () => {
    for (const [place, kind] of [[0, 'forward'], [4, 'forward'], [4, 'surb']] as const) {
      const { key, packet } = packetAt(place, kind)
      expect(peel(native, key, packet, () => 'seen')).toEqual({ kind: 'drop', reason: 'replay' })
      expect(peel(native, key, packet, () => 'full')).toEqual({ kind: 'drop', reason: 'replay-full' })
    }
  })

  test('is not reached by packets that were not made for this key', () => {
    const { key, packet } = packetAt(0, 'forward')
    const never = (): 'new' => { throw new Error('asked') }
    for (let bit = 0; bit < 624 * 8; bit += 7) peel(native, key, flipped(packet, bit), never)
    peel(native, bytesOf('another key', 32), packet, never)
    peel(native, key, packet.subarray(1), never)
  })

  test('a tag stays in when the packet turns out to be bad inside', () => {
    const { key, packet } = packetAt(4, 'forward')
    let asked = 0
    expect(reason(peel(native, key, flipped(packet, 624 * 8), () => { asked++; return 'new' }))).toBe('payload')
    expect(asked).toBe(1)
  })

  test('two packets made from one SURB have the same tag', () => {
    const { hops, keys } = pathOf(5)
    const { surb } = createSurb(native, bytesOf('ephemeral', 32), hops, bytesOf('id', 16), bytesOf('key', 16))
    const tags = [message, bytesOf('another', 3968)].map(text => peel(native, keys[0], useSurb(native, surb, text)!.packet))
    expect(tags[0].kind === 'forward' && tags[1].kind === 'forward' && tags[0].tag).toEqual((tags[1] as { tag: Uint8Array }).tag)
  })
})

describe('no packet throws', () => {
  const key = bytesOf('mix', 32)
  const drops = (suite: typeof native, packet: Uint8Array): void => { expect(peel(suite, key, packet).kind).toBe('drop') }

  test('random bytes of any length', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 9000 }), packet => { drops(native, packet) }), { numRuns: 200 })
    for (const length of [0, 1, 624, 687, 65537, 1 << 20]) expect(peel(native, key, new Uint8Array(length))).toEqual({ kind: 'drop', reason: 'size' })
  })

  test('random bytes of the right length', () => {
    fc.assert(fc.property(seeds, seed => { drops(native, bytesFrom(seed, 'packet', 4608)) }), { numRuns: 300 })
    fc.assert(fc.property(seeds, seed => { drops(pureSuite, bytesFrom(seed, 'packet', 4608)) }), { numRuns: 10 })
    for (const byte of [0, 1, 0x7f, 0x80, 0xff]) for (const suite of suites) drops(suite, new Uint8Array(4608).fill(byte))
  })

  test('headers that are authentic and senseless', () => {
    fc.assert(fc.property(seeds, fc.integer({ min: 1, max: 5 }), (seed, length) => {
      const { hops, keys } = pathOf(length, seed)
      const { header } = twinHeader(bytesFrom(seed, 'ephemeral', 32), hops, bytesFrom(seed, 'last', 576 - 112 * (length - 1)))
      const steps = walk(native, keys, concat(header, bytesFrom(seed, 'payload', 3984)))
      expect(steps.map(reason)).toEqual(hops.map(() => 'forward'))
    }), { numRuns: 15 })
  })

  test('nor is the packet changed, also where it is a view of a larger array', () => {
    const { key, packet } = packetAt(0, 'forward')
    const room = new Uint8Array(4608 + 10).fill(7)
    room.set(packet, 5)
    const expected = peel(native, key, packet)
    for (const suite of suites) expect(peel(suite, key, room.subarray(5, 4613))).toEqual(expected)
    expect(room.subarray(5, 4613)).toEqual(packet)
  })
})
