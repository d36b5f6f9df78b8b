/**
 * Requests and answers over five hops each way, between hosts of this process over TCP: how much longer a round trip takes
 * than the delays that were drawn for it. One request at a time, so that every draw belongs to it.
 */
import { toHex } from '@mixmint/core/kit/bytes'
import type { Rng } from '@mixmint/core/kit/ports'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { profile } from '@mixmint/mixnet/directory/profiles'
import { MixEngine } from '@mixmint/mixnet/mixing/engine'
import { addressBlock } from '@mixmint/mixnet/sphinx/address'
import type { Hop } from '@mixmint/mixnet/sphinx/wrap'
import { MixNode } from '@mixmint/mixnet/wire/mix-node'
import { MixnetRequester } from '@mixmint/mixnet/wire/requester'
import { MixnetResponder } from '@mixmint/mixnet/wire/responder'
import { systemClock, systemRng } from '../nodes/clock.ts'
import { createHost } from '../nodes/host.ts'
import { freshIdentity } from '../nodes/identity.ts'

const PROTOCOL = '/bench/1'
const MEAN = 50
const ALWAYS = Number.MAX_SAFE_INTEGER
/** What `unit` takes of the source of chance: the engine draws nothing else of this length. */
const DRAW_BYTES = 7

/** Chance whose exponential draws, of mean 1, are added up. */
class RecordedRng implements Rng {
  sum = 0
  draws = 0

  bytes = (length: number): Uint8Array => {
    const bytes = systemRng.bytes(length)
    if (length === DRAW_BYTES) {
      let value = bytes[0] & 0x1f
      for (let i = 1; i < DRAW_BYTES; i++) value = value * 256 + bytes[i]
      this.sum -= Math.log((value + 1) / 2 ** 53)
      this.draws += 1
    }
    return bytes
  }
}

/**
 * Of so many requests, one after the other, how much longer each took than its delays, ms.
 * @param covered does the service answer as slowly as the default cover asks, so that answers look like echoes?
 */
export async function roundTrips (count: number, covered: boolean): Promise<number[]> {
  const suite = await defaultSuite()
  const rng = new RecordedRng()
  const usual = profile('default', new Uint8Array(0))
  const parameters = { ...usual, meanDelay: MEAN, cover: covered ? usual.cover : { send: 0, echoes: 0, pace: 0, loop: 0 } }
  const meter = { count: () => {} }
  const listen = ['/ip4/127.0.0.1/tcp/0']
  // A gateway, three mixes, a service; a wallet, and the gateway's other host, for it.
  const identities = await Promise.all(Array.from({ length: 6 }, async () => await freshIdentity()))
  const hosts = await Promise.all(identities.map(async (privateKey, i) => await createHost({
    privateKey, meter, isKnown: () => true, ...(i === 5 ? { role: 'wallet', listen: [] } : { role: 'node', listen })
  })))
  const entry = await createHost({ privateKey: identities[0], role: 'entry', listen, meter })
  const keys = hosts.map(() => systemRng.bytes(32))
  const [gateway, , , , service, wallet] = hosts
  const addresses = new Map(hosts.map(host => [toHex(host.peer), host.addresses()]))
  let requester: MixnetRequester | null = null
  let responder: MixnetResponder | null = null
  const nodes = hosts.map((host, i) => {
    const node = new MixNode({
      node: host.node, clock: systemClock, rng, meter,
      engine: new MixEngine({ suite, self: host.peer, parameters, topology: { mayForward: () => true, mayReachWallet: () => true } }),
      neighbourhood: { addresses: peer => (i === 5 ? entry.addresses() : addresses.get(peer)) ?? [], accepts: () => true },
      ...(i === 0 ? { wallets: { host: entry.node, accepts: () => true, grace: () => 0, admit: { admit: () => 0, forget: () => {} } } } : {}),
      onDeliver: message => { responder?.onDeliver(message) },
      onReply: (id, payload) => { requester?.onReply(id, payload) }
    })
    node.install({ epoch: 0, privateKey: keys[i], from: 0, until: ALWAYS })
    return node
  })
  const hop = (i: number, delay: number): Hop => ({
    publicKey: suite.x25519Base(keys[i]), delay,
    address: hosts[i] === wallet ? addressBlock(gateway.addresses()[0], gateway.peer, wallet.peer) : addressBlock(hosts[i].addresses()[0], hosts[i].peer)
  })
  const common = { suite, clock: systemClock, rng: systemRng, meter, parameters: () => parameters }
  requester = new MixnetRequester({
    ...common,
    paths: {
      forward: () => ({ hops: [0, 1, 2, 3].map(i => hop(i, MEAN)).concat(hop(4, 0)), expires: ALWAYS }),
      back: () => ({ hops: [1, 2, 3, 0].map(i => hop(i, MEAN)).concat(hop(5, 0)), expires: ALWAYS })
    },
    sendPacket: (to, packet) => nodes[5].sendPacket(to, packet)
  })
  responder = new MixnetResponder({ ...common, mayReplyTo: () => true, sendPacket: (to, packet) => nodes[4].sendPacket(to, packet) })
  responder.handle(PROTOCOL, async content => content)
  for (const node of nodes) await node.start()
  nodes[5].keep(gateway.peer)

  const late: number[] = []
  const content = systemRng.bytes(500)
  // Opens the links.
  await requester.request(service.peer, PROTOCOL, content)
  while (late.length < count) {
    rng.sum = rng.draws = 0
    const started = performance.now()
    await requester.request(service.peer, PROTOCOL, content)
    const took = performance.now() - started
    // Four hops each way delay; another count is a retransmission.
    if (rng.draws === 8) late.push(took - rng.sum * MEAN)
  }
  requester.close()
  responder.close()
  await Promise.all(nodes.map(async node => { await node.stop(500) }))
  for (const host of [entry, ...hosts]) await host.stop()
  return late
}
