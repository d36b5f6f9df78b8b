import { generateKeyPair, generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat } from '@mixmint/core/kit/bytes'
import { addressBlock, destinationBlock, isHere, parseAddress, parseDestination } from '@mixmint/mixnet/sphinx/address'
import { bytesFrom, bytesOf } from './sphinx-material.ts'

function peerOf (seed: number): Uint8Array {
  return concat(new Uint8Array([0, 37, 8, 2, 18, 33, 2 + seed % 2]), bytesFrom(seed, 'peer', 32))
}

const octet = fc.nat(255)
const ports = fc.integer({ min: 1, max: 65535 })
const multiaddrs = fc.oneof(
  fc.tuple(octet, octet, octet, octet, ports).map(([a, b, c, d, port]) => `/ip4/${a}.${b}.${c}.${d}/tcp/${port}`),
  fc.tuple(octet, octet, octet, octet, ports).map(([a, b, c, d, port]) => `/ip4/${a}.${b}.${c}.${d}/udp/${port}/quic-v1`))

describe('an address block', () => {
  test('has this layout', () => {
    const [peer, client] = [peerOf(1), peerOf(2)]
    expect(addressBlock('/ip4/127.0.0.1/tcp/4001', peer)).toEqual(concat(new Uint8Array([127, 0, 0, 1, 0, 0x0f, 0xa1]), peer, new Uint8Array(48)))
    expect(addressBlock('/ip4/10.1.2.3/udp/65535/quic-v1', peer, client)).toEqual(concat(new Uint8Array([10, 1, 2, 3, 1, 255, 255]), peer, client, new Uint8Array(9)))
  })

  test('comes back as it was', () => {
    fc.assert(fc.property(multiaddrs, fc.nat(1000), fc.option(fc.nat(1000)), (multiaddr, peer, client) => {
      const address = { multiaddr, peer: peerOf(peer), client: client === null ? null : peerOf(client) }
      const block = addressBlock(address.multiaddr, address.peer, address.client)
      expect(parseAddress(block)).toEqual(address)
      expect(isHere(block)).toBe(false)
    }))
  })

  test('holds the ids of libp2p\'s secp256k1 keys, and of no others', async () => {
    const peer = peerIdFromPrivateKey(await generateKeyPair('secp256k1')).toMultihash().bytes
    expect(parseAddress(addressBlock('/ip4/1.2.3.4/tcp/1', peer))?.peer).toEqual(peer)
    const other = peerIdFromPrivateKey(await generateKeyPairFromSeed('Ed25519', bytesOf('seed', 32))).toMultihash().bytes
    expect(() => addressBlock('/ip4/1.2.3.4/tcp/1', other)).toThrow(expect.objectContaining({ code: 'bad-address', fault: 'caller' }))
    expect(() => addressBlock('/ip4/1.2.3.4/tcp/1', peer, other)).toThrow(expect.objectContaining({ code: 'bad-address' }))
  })

  test.each([
    '', '/ip4/1.2.3.4', '/ip4/1.2.3/tcp/1', '/ip4/256.2.3.4/tcp/1', '/ip4/01.2.3.4/tcp/1', '/ip4/1.2.3.4/tcp/0', '/ip4/1.2.3.4/tcp/65536',
    '/ip4/1.2.3.4/tcp/01', '/ip4/1.2.3.4/udp/1', '/ip4/1.2.3.4/tcp/1/ws', '/ip4/1.2.3.4/udp/1/quic', '/ip6/::1/tcp/1', '/dns4/a.b/tcp/1',
    '/ip4/1.2.3.4/tcp/1/', ' /ip4/1.2.3.4/tcp/1', '/ip4/1.2.3.4/tcp/99999'
  ])('cannot hold "%s"', multiaddr => {
    expect(() => addressBlock(multiaddr, peerOf(1))).toThrow(expect.objectContaining({ code: 'bad-address' }))
  })
})

describe('parsing', () => {
  const good = addressBlock('/ip4/1.2.3.4/tcp/4001', peerOf(1), peerOf(2))

  test('knows the zero block: deliver here, no address', () => {
    expect(isHere(new Uint8Array(94))).toBe(true)
    expect(parseAddress(new Uint8Array(94))).toBeNull()
  })

  test.each([
    ['an unknown transport', 4, 2], ['a port of zero', [5, 6], 0], ['a peer id of another kind', 10, 1], ['a peer id of another length', 8, 36],
    ['a point sign that is none', 13, 4], ['a client id of another kind', 49, 1], ['the last bytes in use', 85, 1], ['the last byte in use', 93, 1]
  ])('refuses %s', (_, at, value) => {
    const block = good.slice()
    for (const i of [at].flat()) block[i] = value
    expect(parseAddress(good)).not.toBeNull()
    expect(parseAddress(block)).toBeNull()
  })

  test('refuses other lengths, and never throws', () => {
    expect(parseAddress(good.subarray(1))).toBeNull()
    expect(parseAddress(concat(good, new Uint8Array(1)))).toBeNull()
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), block => { parseAddress(block) }))
  })

  test('takes only what the other direction writes', () => {
    fc.assert(fc.property(fc.nat(93), fc.nat(255), (at, value) => {
      const block = good.slice()
      block[at] = value
      const address = parseAddress(block)
      if (address !== null) expect(addressBlock(address.multiaddr, address.peer, address.client)).toEqual(block)
    }), { numRuns: 500 })
  })
})

describe('a destination', () => {
  const ed25519 = (seed: number): Uint8Array => concat(new Uint8Array([0, 36, 8, 1, 18, 32]), bytesFrom(seed, 'ed25519', 32))

  test('may have an Ed25519 identity, as most libp2p nodes do, and comes back as it was', async () => {
    const real = peerIdFromPrivateKey(await generateKeyPairFromSeed('Ed25519', bytesOf('seed', 32))).toMultihash().bytes
    expect(real.subarray(0, 6)).toEqual(ed25519(0).subarray(0, 6))
    expect(destinationBlock({ multiaddr: '/ip4/127.0.0.1/tcp/4001', peer: ed25519(1), client: null }))
      .toEqual(concat(new Uint8Array([127, 0, 0, 1, 0, 0x0f, 0xa1]), ed25519(1), new Uint8Array(49)))
    fc.assert(fc.property(multiaddrs, fc.nat(1000), fc.boolean(), (multiaddr, seed, isEd) => {
      const destination = { multiaddr, peer: isEd ? ed25519(seed) : peerOf(seed), client: null }
      const block = destinationBlock(destination)
      expect(parseDestination(block)).toEqual(destination)
      expect(parseAddress(block)).toEqual(isEd ? null : destination)
    }))
  })

  test('has one block, and none that is not written', () => {
    const good = destinationBlock({ multiaddr: '/ip4/1.2.3.4/tcp/4001', peer: ed25519(1), client: null })
    fc.assert(fc.property(fc.nat(93), fc.nat(255), (at, value) => {
      const block = good.slice()
      block[at] = value
      const destination = parseDestination(block)
      if (destination !== null) expect(destinationBlock(destination)).toEqual(block)
    }), { numRuns: 1000 })
    for (const [at, value] of [[45, 1], [46, 1], [84, 1], [93, 1], [4, 2], [8, 35], [10, 2]]) {
      const block = good.slice()
      block[at] = value
      expect(parseDestination(block)).toBeNull()
    }
    expect(() => destinationBlock({ multiaddr: '/ip4/1.2.3.4/tcp/1', peer: ed25519(1), client: peerOf(1) })).toThrow(expect.objectContaining({ code: 'bad-address' }))
    expect(parseDestination(good.subarray(1))).toBeNull()
    expect(parseDestination(new Uint8Array(0))).toBeNull()
  })
})
