import { describe, expect, test } from 'vitest'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { addressBlock, parseAddress } from '@mixmint/mixnet/sphinx/address'
import { dialable, formatTarget, groupsOf, isMixPeer, linkIdOf, parseTarget, peerBytes, peerIdFromBytes, peerIdOfLink } from '@mixmint/mixnet/wire/peers'
import { freshIdentity } from '../../nodes/identity.ts'

const peer = peerIdFromPrivateKey(await freshIdentity())
const stranger = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))

describe('the names of a peer', () => {
  test('are one and the same', () => {
    expect(peerBytes(peer)).toHaveLength(39)
    expect(peerIdFromBytes(peerBytes(peer)).equals(peer)).toBe(true)
    expect(peerIdOfLink(linkIdOf(peer)).equals(peer)).toBe(true)
  })

  test('fit into an address block, and come out of it', () => {
    const parsed = parseAddress(addressBlock('/ip4/127.0.0.1/tcp/4001', peerBytes(peer)))
    expect(parsed?.multiaddr).toBe('/ip4/127.0.0.1/tcp/4001')
    expect(parsed !== null && peerIdFromBytes(parsed.peer).equals(peer)).toBe(true)
  })

  test('only secp256k1 peers are peers of a mix network', () => {
    expect([isMixPeer(peer), isMixPeer(stranger)]).toEqual([true, false])
    for (const bytes of [peerBytes(stranger), new Uint8Array(39), peerBytes(peer).slice(1), new Uint8Array(0)]) {
      expect(() => peerIdFromBytes(bytes)).toThrow(expect.objectContaining({ code: 'bad-peer-id' }))
    }
  })

  test('live at network addresses', () => {
    expect(groupsOf([{ peer: peerBytes(peer), addresses: ['/ip4/192.0.2.1/tcp/4001', '/ip6/2001:db8::1/tcp/1/ws'] }, { peer: peerBytes(peer), addresses: ['/ip4/192.0.2.1/tcp/2', '/dns/x.example/tcp/3'] }]))
      .toEqual(new Set(['192.0.2.1', '2001:0db8:0000:0000', 'x.example']))
  })

  test('with an address they can be dialled, written and read', () => {
    const text = `/ip4/192.0.2.1/tcp/4001/p2p/${peer.toString()}`
    const target = parseTarget(text)
    expect(target).toEqual({ peer: peerBytes(peer), addresses: ['/ip4/192.0.2.1/tcp/4001'] })
    expect(formatTarget(target)).toBe(text)
    expect(dialable(target).map(String)).toEqual([text])
    for (const bad of ['', 'nonsense', '/ip4/192.0.2.1/tcp/4001', `/p2p/${peer.toString()}`, `${text}${text}`, `/ip4/192.0.2.1/tcp/4001/p2p/${stranger.toString()}`]) {
      expect(() => parseTarget(bad), bad).toThrow(expect.objectContaining({ code: 'bad-address' }))
    }
  })
})
