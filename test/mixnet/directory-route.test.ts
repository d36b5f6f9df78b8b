import { describe, expect, it } from 'vitest'
import { fromHex, toHex } from '@mixmint/core/kit/bytes'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { signDocument } from '@mixmint/mixnet/directory/document'
import { chooseGateway, chooseLoop, choosePath, chooseReturnPath, chooseService } from '@mixmint/mixnet/directory/route'
import { mayReplyTo, topologyOf } from '@mixmint/mixnet/directory/topology'
import { DirectoryView } from '@mixmint/mixnet/directory/view'
import { parseAddress } from '@mixmint/mixnet/sphinx/address'
import { encodeMessage } from '@mixmint/mixnet/sphinx/message'
import { peel } from '@mixmint/mixnet/sphinx/peel'
import { wrap } from '@mixmint/mixnet/sphinx/wrap'
import { authorityKeys, EPOCH, PARAMETERS, seed, START, testDocument, testNetwork, testNode, type Placed } from '../doubles/directory.ts'
import { seededRng } from '../doubles/rng.ts'

const suite = await defaultSuite()
const [authority] = authorityKeys(suite, 1)
const viewOf = (nodes: readonly Placed[], pathLength: number): DirectoryView =>
  new DirectoryView(signDocument(suite, authority, testDocument(suite, nodes, { parameters: { ...PARAMETERS, pathLength, meanDelay: 7 } })))
const wallet = testNode('wallet')
const walletKey = suite.x25519Base(seed('wallet key'))
const bank = testNode('bank').peer
const gateway = testNode('gateway 0').peer
const ends = { gateway, walletPeer: wallet.peer, walletKey }
const rng = seededRng('route')
const withCode = (code: string): object => expect.objectContaining({ name: 'MixmintError', code })

describe.each([3, 4, 5])('with paths of %i hops', pathLength => {
  const view = viewOf(testNetwork(3, pathLength), pathLength)
  const layer = (address: Uint8Array): number | undefined => view.byPeer(parseAddress(address)?.peer ?? new Uint8Array(39))?.layer

  it('a path there is gateway, one mix of each layer, service', () => {
    const { hops, expires } = choosePath(view, rng, START, { from: gateway, to: bank })
    expect(hops.map(({ address }) => layer(address))).toEqual([0, ...[1, 2, 3].slice(0, pathLength - 2), 255])
    expect(hops.map(({ delay }) => delay)).toEqual([...Array.from({ length: pathLength - 1 }, () => 7), 0])
    expect(parseAddress(hops[0].address)).toMatchObject({ peer: gateway, client: null, multiaddr: '/ip4/127.0.0.1/tcp/4001' })
    expect(parseAddress(hops[pathLength - 1].address)?.peer).toEqual(bank)
    expect(hops[0].publicKey).toEqual(suite.x25519Base(seed('gateway 0', EPOCH)))
    expect(expires).toBe(START + PARAMETERS.epochLength + PARAMETERS.epochGrace)
  })

  it('a path back is one mix of each layer, gateway, wallet', () => {
    const { hops } = chooseReturnPath(view, rng, START, ends)
    expect(hops.slice(0, -1).map(({ address }) => layer(address))).toEqual([...[1, 2, 3].slice(0, pathLength - 2), 0])
    expect(hops.map(({ delay }) => delay)).toEqual([...Array.from({ length: pathLength - 1 }, () => 7), 0])
    const last = hops[pathLength - 1]
    expect(parseAddress(last.address)).toMatchObject({ peer: gateway, client: wallet.peer })
    expect(last.address.subarray(0, 46)).toEqual(hops[pathLength - 2].address.subarray(0, 46))
    expect(last.publicKey).toEqual(walletKey)
  })

  it('a loop passes every layer but its node\'s own, in the order that hops allow, and ends where it began', () => {
    for (const { node, layer: own } of testNetwork(3, pathLength).filter(({ change }) => change.mixKeys === undefined)) {
      const { hops, expires } = chooseLoop(view, rng, START, node.peer)
      const mixes = [1, 2, 3].slice(0, pathLength - 2)
      const between = own === 0 || own === 255 ? mixes : [...mixes.filter(each => each > own), 0, ...mixes.filter(each => each < own)]
      expect(hops.map(({ address }) => layer(address))).toEqual([...between, own])
      expect(hops.map(({ delay }) => delay)).toEqual([...between.map(() => 7), 0])
      expect(parseAddress(hops[hops.length - 1].address)).toMatchObject({ peer: node.peer, client: null })
      expect(expires).toBe(START + PARAMETERS.epochLength + PARAMETERS.epochGrace)
      const peers = [node.peer, ...hops.map(({ address }) => parseAddress(address)?.peer as Uint8Array)].map(toHex)
      for (let i = 1; i < peers.length - 1; i++) {
        expect(topologyOf(() => [view], parseAddress(hops[i - 1].address)?.peer as Uint8Array).mayForward(peers[i - 1], peers[i + 1], null)).toBe(true)
      }
    }
  })

  it('a packet finds its way along it, and every hop is allowed to pass it on', () => {
    const { hops } = choosePath(view, rng, START, { from: gateway, to: bank })
    let packet = wrap(suite, rng.bytes(32), hops, new Uint8Array(94), encodeMessage(3968, { codec: '/test', surbs: [], data: new Uint8Array(3), sequence: 0 }))
    let from = wallet.peer
    for (const { address } of hops) {
      const peer = parseAddress(address)?.peer as Uint8Array
      const { name } = [...testNetwork(3, pathLength)].find(({ node }) => toHex(node.peer) === toHex(peer))?.node as { name: string }
      const peeled = peel(suite, seed(name, EPOCH), packet)
      if (peeled.kind !== 'forward') {
        expect(peeled.kind).toBe('exit')
        expect(peer).toEqual(bank)
        return
      }
      expect(peeled.delay).toBe(7)
      const to = parseAddress(peeled.next)?.peer as Uint8Array
      expect(topologyOf(() => [view], peer).mayForward(toHex(from), toHex(to), null)).toBe(true)
      packet = peeled.packet
      from = peer
    }
    throw new Error('the packet did not end at the bank')
  })
})

describe('choosing', () => {
  const nodes = testNetwork(4)
  const view = viewOf(nodes, 5)

  it('is uniform in each layer, there and back, and of gateways', () => {
    const counts = new Map<string, number>()
    const n = 2000
    for (let i = 0; i < n; i++) {
      const there = choosePath(view, rng, START, { from: gateway, to: bank }).hops.slice(1, -1)
      const back = chooseReturnPath(view, rng, START, ends).hops.slice(0, 3)
      for (const { address } of [...there, ...back]) counts.set(toHex(address), (counts.get(toHex(address)) ?? 0) + 1)
      const chosen = toHex(chooseGateway(view, rng).peer)
      counts.set(chosen, (counts.get(chosen) ?? 0) + 1)
    }
    expect(counts.size).toBe(14)
    // Each mix is expected n · 2 / 4 times, each gateway n / 2: six standard deviations around.
    for (const count of counts.values()) expect(Math.abs(count - n / 2)).toBeLessThan(6 * Math.sqrt(n / 2))
  })

  it('is of those services only that are reached through the mixnet', () => {
    const two = viewOf([...nodes, { node: testNode('merchant'), layer: 255, change: { role: 'service', kind: 'merchant' } }], 5)
    const chosen = Array.from({ length: 200 }, () => toHex(chooseService(two, rng).peer))
    const counts = ['bank', 'merchant', 'center'].map(name => chosen.filter(peer => peer === toHex(testNode(name).peer)).length)
    expect(counts[0] + counts[1]).toBe(200)
    expect(Math.min(counts[0], counts[1])).toBeGreaterThan(60)
  })

  it('uses the next epoch\'s keys once that has begun', () => {
    const { hops, expires } = choosePath(view, rng, START + PARAMETERS.epochLength, { from: gateway, to: bank })
    expect(hops[0].publicKey).toEqual(suite.x25519Base(seed('gateway 0', EPOCH + 1)))
    expect(expires).toBe(START + 2 * PARAMETERS.epochLength + PARAMETERS.epochGrace)
  })

  it('says what is missing', () => {
    const [mix] = nodes.filter(({ layer }) => layer === 1)
    const center = testNode('center').peer
    expect(() => choosePath(view, rng, START, { from: mix.node.peer, to: bank })).toThrow(withCode('route-gateway-unknown'))
    expect(() => choosePath(view, rng, START, { from: gateway, to: wallet.peer })).toThrow(withCode('route-service-unknown'))
    expect(() => choosePath(view, rng, START, { from: gateway, to: mix.node.peer })).toThrow(withCode('route-service-unknown'))
    expect(() => choosePath(view, rng, START, { from: gateway, to: center })).toThrow(withCode('route-no-key'))
    expect(() => chooseReturnPath(view, rng, START, { ...ends, gateway: bank })).toThrow(withCode('route-gateway-unknown'))
    expect(() => chooseLoop(view, rng, START, wallet.peer)).toThrow(withCode('route-unlisted'))
    expect(() => chooseLoop(view, rng, START, center)).toThrow(withCode('route-no-key'))
    expect(() => chooseService(viewOf(nodes.filter(({ node }) => node.name !== 'bank'), 5), rng)).toThrow(withCode('route-layer-empty'))
    const gap = viewOf(nodes.filter(({ layer }) => layer !== 2), 5)
    expect(() => choosePath(gap, rng, START, { from: gateway, to: bank })).toThrow(withCode('route-layer-empty'))
    expect(() => chooseReturnPath(gap, rng, START, ends)).toThrow(withCode('route-layer-empty'))
    expect(() => chooseGateway(viewOf(nodes.slice(2), 5), rng)).toThrow(withCode('route-layer-empty'))
  })
})

describe('the topology', () => {
  const view = viewOf(testNetwork(), 5)
  const at = (layer: number): string[] => view.layer(layer).map(({ peer }) => toHex(peer))
  const stranger = toHex(wallet.peer)
  const [mix1, mix2, mix3, service] = [1, 2, 3, 255].map(layer => at(layer)[0])
  const all = [stranger, at(0)[1], mix1, mix2, mix3, service]
  const pairs = (self: string): string[] => {
    const topology = topologyOf(() => [view], view.nodes.find(({ peer }) => toHex(peer) === self)?.peer ?? wallet.peer)
    const name = ['wallet', 'gateway', '1', '2', '3', 'service']
    return all.flatMap((from, i) => all.map((to, k) => topology.mayForward(from, to, null) ? [`${name[i]} → ${name[k]}`] : []).flat())
  }

  it('lets packets go on only layer by layer', () => {
    expect(pairs(at(0)[0])).toEqual(['wallet → 1', '3 → 1'])
    expect(pairs(at(1)[1])).toEqual(['gateway → 2', 'service → 2'])
    expect(pairs(at(2)[1])).toEqual(['1 → 3'])
    expect(pairs(at(3)[1])).toEqual(['2 → gateway', '2 → service'])
    expect(pairs(service)).toEqual([])
    expect(pairs(stranger)).toEqual([])
    expect(topologyOf(() => [], view.gateways[0].peer).mayForward(stranger, mix1, null)).toBe(false)
    expect(topologyOf(() => [view], view.gateways[0].peer).mayForward(stranger, mix1, mix2)).toBe(false)
  })

  it('loses no packet of the document before when a mix moves, joins or leaves', () => {
    // By the later document `mix 3`, which stood in layer 1, stands in layer 2; `mix 1` has left; `mix new` has come into layer 1.
    const moved = testNetwork().filter(({ node }) => node.name !== 'mix 1').map(placed => placed.node.name === 'mix 3' ? { ...placed, layer: 2 } : placed)
    const later = viewOf([...moved, { node: testNode('mix new'), layer: 1, change: {} }], 5)
    const peer = (name: string): string => toHex(testNode(name).peer)
    const may = (live: DirectoryView[], from: string, self: string, to: string): boolean => topologyOf(() => live, testNode(self).peer).mayForward(peer(from), peer(to), null)
    for (const [from, self, to] of [['gateway 0', 'mix 3', 'mix 1'], ['mix 3', 'mix 1', 'mix 2'], ['mix 0', 'mix 3', 'mix 2'], ['gateway 0', 'mix new', 'mix 3']]) {
      expect(may([later, view], from, self, to)).toBe(true)
      expect([may([later], from, self, to), may([view], from, self, to)].filter(Boolean)).toHaveLength(1)
    }
    expect(may([later, view], 'mix 1', 'mix 3', 'mix 2')).toBe(false)
    // A node of either document is no wallet.
    const reaches = (live: DirectoryView[]): boolean => topologyOf(() => live, testNode('gateway 0').peer).mayReachWallet(peer('mix 2'), peer('mix 1'))
    expect([reaches([later]), reaches([later, view])]).toEqual([true, false])
    expect([mayReplyTo([later, view], { multiaddr: '/ip4/192.0.2.1/tcp/1', client: null, peer: testNode('mix 3').peer }), mayReplyTo([later], { multiaddr: '/ip4/192.0.2.1/tcp/1', client: null, peer: testNode('mix 3').peer })]).toEqual([true, false])
  })

  it('lets services reply into layer 1 only, to nodes at their own addresses', () => {
    const place = { multiaddr: '/ip4/192.0.2.1/tcp/1', client: null }
    expect([0, 1, 2, 3, 255].map(layer => mayReplyTo([view], { ...place, peer: fromHex(at(layer)[0]) }))).toEqual([false, true, false, false, false])
    expect(mayReplyTo([view], { ...place, peer: fromHex(mix1), client: fromHex(mix2) })).toBe(false)
    expect(mayReplyTo([], { ...place, peer: fromHex(mix1) })).toBe(false)
  })

  it('lets only gateways reach wallets, with what the last mixes send', () => {
    const reaches = (self: string): string[] => {
      const topology = topologyOf(() => [view], view.nodes.find(({ peer }) => toHex(peer) === self)?.peer ?? wallet.peer)
      return all.filter(from => topology.mayReachWallet(from, stranger))
    }
    expect(reaches(at(0)[0])).toEqual([mix3])
    for (const other of [at(1)[1], at(3)[1], service, stranger]) expect(reaches(other)).toEqual([])
    expect(topologyOf(() => [], view.gateways[0].peer).mayReachWallet(mix3, stranger)).toBe(false)
    const topology = topologyOf(() => [view], view.gateways[0].peer)
    for (const listed of [mix1, service]) expect(topology.mayReachWallet(mix3, listed)).toBe(false)
  })
})
