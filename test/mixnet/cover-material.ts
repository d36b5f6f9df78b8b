/** A small network in the directory's terms, for engines of cover: paths over it, and what becomes of a packet on the way. */
import { toHex } from '@mixmint/core/kit/bytes'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { signDocument } from '@mixmint/mixnet/directory/document'
import { topologyOf } from '@mixmint/mixnet/directory/topology'
import { DirectoryView } from '@mixmint/mixnet/directory/view'
import { parseAddress } from '@mixmint/mixnet/sphinx/address'
import { decodeMessage, type Message } from '@mixmint/mixnet/sphinx/message'
import { peel } from '@mixmint/mixnet/sphinx/peel'
import { authorityKeys, EPOCH, PARAMETERS, seed, START, testDocument, testNetwork, testNode } from '../doubles/directory.ts'

export const suite = await defaultSuite()
export const PACKET_SIZE = PARAMETERS.packetSize
export const nodes = testNetwork()
export const view = new DirectoryView(signDocument(suite, authorityKeys(suite, 1)[0], testDocument(suite, nodes)))
export const now = START + 1000
export const gateway = testNode('gateway 0').peer
export const wallet = { peer: testNode('wallet').peer, key: seed('wallet key') }
export const ends = { gateway, walletPeer: wallet.peer, walletKey: suite.x25519Base(wallet.key) }

/** The directory's names for peer ids in hexadecimal. */
export const nameOf = (link: string): string => nodes.find(({ node }) => toHex(node.peer) === link)?.node.name ?? 'stranger'

export type Arrival = { readonly at: string, readonly passed: readonly string[] } & (
  /** `bytes`: the message as it is handed over, still padded. */
  | { readonly is: 'exit', readonly message: Message, readonly bytes: Uint8Array }
  | { readonly is: 'reply', readonly surbId: Uint8Array, readonly payload: Uint8Array })

/**
 * Where a packet ends, hop by hop, with the hops asked whether they may pass it on.
 * @param from whoever gives it to its first hop
 */
export function follow (from: Uint8Array, firstHop: Uint8Array, packet: Uint8Array): Arrival {
  const passed: string[] = []
  let [before, address, inner] = [toHex(from), firstHop, packet]
  for (;;) {
    const to = parseAddress(address)
    if (to === null) throw new Error('no address')
    const here = to.client ?? to.peer
    const at = nameOf(toHex(here))
    const peeled = peel(suite, to.client === null ? seed(at, EPOCH) : wallet.key, inner)
    if (peeled.kind === 'drop') throw new Error(`dropped: ${peeled.reason}`)
    if (peeled.kind === 'reply') return { at, passed, is: 'reply', surbId: peeled.surbId, payload: peeled.payload }
    if (peeled.kind === 'exit') {
      const message = decodeMessage(peeled.message)
      if (message === null) throw new Error('no message')
      return { at, passed, is: 'exit', message, bytes: peeled.message }
    }
    const next = parseAddress(peeled.next)
    const topology = topologyOf(() => [view], here)
    if (next === null) throw new Error('no address')
    if (next.client === null ? !topology.mayForward(before, toHex(next.peer), null) : !topology.mayReachWallet(before, toHex(next.client))) throw new Error(`${at} may not pass on what came from ${nameOf(before)}`)
    passed.push(at)
    before = toHex(here)
    address = peeled.next
    inner = peeled.packet
  }
}
