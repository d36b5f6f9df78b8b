import { privateKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import fc from 'fast-check'
import { describe as group, expect, it } from 'vitest'
import { decode, encode, tagged } from '@mixmint/core/kit/codec'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { fromHex } from '@mixmint/core/kit/bytes'
import { peerIdOf, signDescriptor, verifyDescriptor } from '@mixmint/mixnet/directory/descriptor'
import { Descriptor, SignedDescriptor } from '@mixmint/mixnet/directory/formats'
import { describe, EPOCH, NETWORK, seed, signed, START, testNode } from '../doubles/directory.ts'

const suite = await defaultSuite()
const node = testNode('mix')
const rules = { network: NETWORK, earliest: START - 10_000, latest: START + 5_000 }
const message = (descriptor: Descriptor): Uint8Array => tagged('directory-descriptor', encode(Descriptor, descriptor))
const verify = (given: SignedDescriptor): void => { verifyDescriptor(suite, given, rules) }
const refusedWith = (code: string): object => expect.objectContaining({ name: 'MixmintError', code, fault: 'peer' })

group('a descriptor', () => {
  it('passes when its node signed it', () => {
    verify(signed(suite, node))
    verify(signed(suite, node, { role: 'service', kind: 'center', mixKeys: [], body: new Uint8Array(1 << 18) }))
    verify(signed(suite, node, { addresses: ['/ip4/192.0.2.1/tcp/4001', '/dns4/mix.example/tcp/443/wss'] }))
  })

  it('is signed as libp2p\'s own keys sign', async () => {
    const key = privateKeyFromRaw(node.secret)
    if (key.type !== 'secp256k1') throw new Error('expected secp256k1')
    const descriptor = describe(suite, node)
    expect(peerIdOf(node.secret)).toEqual(new Uint8Array(peerIdFromPrivateKey(key).toMultihash().bytes))
    expect(await key.publicKey.verify(message(descriptor), signDescriptor(node.secret, descriptor).signature)).toBe(true)
    verify({ descriptor, signature: new Uint8Array(await key.sign(message(descriptor))) })
  })

  const cases: Array<[string, string, Partial<Descriptor>]> = [
    ['for another network', 'descriptor-network', { network: 'other' }],
    ['published later than allowed', 'descriptor-early', { published: rules.latest + 1 }],
    ['published earlier than allowed', 'descriptor-stale', { published: rules.earliest - 1 }],
    ['of a service without a kind', 'descriptor-kind', { role: 'service' }],
    ['of a service of a strange kind', 'descriptor-kind', { role: 'service', kind: 'Bank!' }],
    ['of a mix with a kind', 'descriptor-kind', { kind: 'bank' }],
    ['of a mix with a body', 'descriptor-body', { body: new Uint8Array(1) }],
    ['of a service with too long a body', 'descriptor-body', { role: 'service', kind: 'bank', body: new Uint8Array((1 << 18) + 1) }],
    ['without an address', 'descriptor-address', { addresses: [] }],
    ['with a name first', 'descriptor-address', { addresses: ['/dns4/mix.example/tcp/4001'] }],
    ['with another transport first', 'descriptor-address', { addresses: ['/ip4/127.0.0.1/udp/4001/quic-v1'] }],
    ['with port zero', 'descriptor-address', { addresses: ['/ip4/127.0.0.1/tcp/0'] }],
    ['with something that is no multiaddr', 'descriptor-address', { addresses: ['/ip4/127.0.0.1/tcp/4001', 'http://mix.example'] }],
    ['with a peer id in an address', 'descriptor-address', { addresses: ['/ip4/127.0.0.1/tcp/4001', '/ip4/127.0.0.1/tcp/4002/ws/p2p/16Uiu2HAm3kGTUW7SRgWcVYYeDqnzcPLpZQZGWHdRQCGVEqQVY3yE'] }],
    ['of a mix to which wallets would attach', 'descriptor-address', { entry: ['/ip4/127.0.0.1/tcp/4002/ws'] }],
    ['of a gateway whose wallets have no multiaddr', 'descriptor-address', { role: 'gateway', entry: ['http://mix.example'] }],
    ['of a gateway to which no wallet could attach', 'descriptor-address', { role: 'gateway', entry: [] }],
    ['of a gateway with an entry that no wallet dials', 'descriptor-address', { role: 'gateway', entry: ['/ip4/127.0.0.1/udp/4001/quic-v1'] }],
    ['of a gateway with a peer id in an entry', 'descriptor-address', { role: 'gateway', entry: ['/ip4/127.0.0.1/tcp/4002/p2p/16Uiu2HAm3kGTUW7SRgWcVYYeDqnzcPLpZQZGWHdRQCGVEqQVY3yE'] }],
    ['of a mix without keys', 'descriptor-keys', { mixKeys: [] }],
    ['of a gateway without keys', 'descriptor-keys', { role: 'gateway', entry: ['/ip4/127.0.0.1/tcp/4002'], mixKeys: [] }],
    ['with two keys for one epoch', 'descriptor-key-order', { mixKeys: [1, 1].map((epoch, i) => ({ epoch, key: suite.x25519Base(seed('k', i)) })) }],
    ['with keys out of order', 'descriptor-key-order', { mixKeys: [2, 1].map(epoch => ({ epoch, key: suite.x25519Base(seed('k', epoch)) })) }]
  ]
  it.each(cases)('%s is refused: %s', (_, code, change) => {
    expect(() => { verify(signed(suite, node, change)) }).toThrow(refusedWith(code))
  })

  it('whose mix key is of low order is refused', () => {
    const points = [
      '0000000000000000000000000000000000000000000000000000000000000000',
      '0100000000000000000000000000000000000000000000000000000000000000',
      'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
      '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'
    ]
    for (const point of points) {
      expect(suite.x25519(seed('scalar'), fromHex(point))).toBeNull()
      expect(() => { verify(signed(suite, node, { mixKeys: [{ epoch: EPOCH, key: fromHex(point) }] })) }).toThrow(refusedWith('descriptor-low-order'))
    }
  })

  it('whose mix key has a second encoding is refused', () => {
    const key = suite.x25519Base(seed('k'))
    key[31] |= 0x80
    const p = fromHex('edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f')
    for (const other of [key, p, new Uint8Array(32).fill(0xff)]) {
      expect(() => { verify(signed(suite, node, { mixKeys: [{ epoch: EPOCH, key: other }] })) }).toThrow(refusedWith('descriptor-low-order'))
    }
  })

  it('under another peer\'s id is refused', () => {
    const other = signDescriptor(node.secret, describe(suite, testNode('other')))
    expect(() => { verify(other) }).toThrow(refusedWith('descriptor-signature'))
  })

  it('under an id that is no secp256k1 peer id is refused', () => {
    for (const [at, to] of [[0, 0x12], [3, 1], [6, 9]]) {
      const peer = node.peer.slice()
      peer[at] = to
      expect(() => { verify(signed(suite, { ...node, peer })) }).toThrow(refusedWith('descriptor-peer'))
    }
    const offCurve = Uint8Array.from([...node.peer.subarray(0, 7), ...new Uint8Array(32).fill(0xff)])
    expect(() => { verify(signed(suite, { ...node, peer: offCurve })) }).toThrow(refusedWith('descriptor-peer'))
  })

  it('with the mirrored signature (n − s) is refused: it has one signature only', () => {
    const { descriptor, signature } = signed(suite, node)
    const { r, s } = secp256k1.Signature.fromBytes(signature, 'der')
    const mirrored = new secp256k1.Signature(r, secp256k1.Point.Fn.ORDER - s).toBytes('der')
    expect(secp256k1.verify(mirrored, message(descriptor), node.peer.subarray(6), { format: 'der', lowS: false })).toBe(true)
    expect(() => { verify({ descriptor, signature: mirrored }) }).toThrow(refusedWith('descriptor-signature'))
  })

  it('with any flipped bit is refused', () => {
    const bytes = encode(SignedDescriptor, signed(suite, node))
    fc.assert(fc.property(fc.nat(bytes.length - 1), fc.nat(7), (at, bit) => {
      const bent = bytes.slice()
      bent[at] ^= 1 << bit
      expect(() => { verify(decode(SignedDescriptor, bent)) }).toThrow(expect.objectContaining({ name: 'MixmintError', fault: 'peer' }))
    }), { numRuns: 200 })
  })
})
