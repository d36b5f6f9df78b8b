/**
 * Ports from outside in: an authority connects to addresses of the node that asks, and says which of them it reached. Only for
 * nodes that the operator admitted, and only back to the address they came from, so that nobody is connected to who did not ask
 * (as libp2p's AutoNAT has it; docs/decisions/0055).
 */
import { lookup } from 'node:dns/promises'
import { connect } from 'node:net'
import type { Libp2p } from '@libp2p/interface'
import { toHex } from '@mixmint/core/kit/bytes'
import { decode, encode, list, oneOf, record, text } from '@mixmint/core/kit/codec'
import type { Meter } from '@mixmint/core/kit/ports'
import type { LinkId } from '@mixmint/mixnet/mixing/engine'
import { peerIdFromBytes, type Target } from '@mixmint/mixnet/wire/peers'
import type { RpcClient } from '@mixmint/mixnet/wire/rpc-client'
import { serveRpc } from '@mixmint/mixnet/wire/rpc-server'
import { placeOf } from './addresses.ts'

const PROTOCOL = '/mixmint/dial-back/1.0.0'
const LIMITS = { maxRequest: 2048, maxReply: 2048, maxInFlight: 1, streamsPerPeer: 1, streams: 64 }
const DIAL_TIMEOUT = 3_000
const ASK_TIMEOUT = 15_000

/** Multiaddrs without /p2p. */
const Question = record({ addresses: list(text(256), 6) })
/** `elsewhere`: not the address that the node came from. `from`: that address, as the authority sees it. */
const Answer = record({ from: text(64), outcomes: list(oneOf('reached', 'unreached', 'elsewhere', 'unknown-node'), 6) })
type Outcome = 'reached' | 'unreached' | 'elsewhere' | 'unknown-node'

export interface Reached {
  /** As one authority sees this node; '' when none answered. */
  readonly from: string
  readonly outcomes: ReadonlyArray<{ readonly address: string, readonly outcome: Outcome }>
}

/** Serve it. @param isKnown may this peer ask? */
export async function serveDialBack (node: Libp2p, isKnown: (peer: LinkId) => boolean, meter: Meter): Promise<void> {
  await serveRpc(node, PROTOCOL, async (from, _protocol, body) => {
    const { addresses } = decode(Question, body)
    const seen = node.getConnections(peerIdFromBytes(from)).map(({ remoteAddr }) => placeOf(remoteAddr.toString())?.host)[0] ?? ''
    const known = isKnown(toHex(from))
    meter.count('dial_back', { outcome: known ? 'done' : 'refused' })
    const outcomes = await Promise.all(addresses.map(async (address): Promise<Outcome> => known ? await dialBack(address, seen) : 'unknown-node'))
    return encode(Answer, { from: seen, outcomes })
  }, { meter, limits: LIMITS })
}

async function dialBack (address: string, seen: string): Promise<Outcome> {
  const place = placeOf(address)
  if (place === null || place.port === 0) return 'elsewhere'
  const { isName, host, port } = place
  let target: string | undefined
  try {
    const hosts = isName ? (await lookup(host, { all: true })).map(found => found.address) : [host]
    target = hosts.find(found => found === seen || (isLoopback(found) && isLoopback(seen)))
  } catch {
    return 'unreached'
  }
  if (target === undefined) return 'elsewhere'
  return await new Promise(resolve => {
    const socket = connect({ host: target, port, timeout: DIAL_TIMEOUT })
    const end = (outcome: Outcome): void => {
      socket.destroy()
      resolve(outcome)
    }
    socket.once('connect', () => { end('reached') }).once('error', () => { end('unreached') }).once('timeout', () => { end('unreached') })
  })
}

/** All of it is the machine itself. */
function isLoopback (host: string): boolean {
  return host === '::1' || host.startsWith('127.')
}

/** Ask one authority after the other until one answers. */
export async function askDialBack (rpc: RpcClient, authorities: readonly Target[], addresses: readonly string[]): Promise<Reached> {
  for (const target of authorities) {
    try {
      const { from, outcomes } = decode(Answer, await rpc.request(target, PROTOCOL, encode(Question, { addresses: addresses.slice(0, 6) }), { timeout: ASK_TIMEOUT }))
      return { from, outcomes: outcomes.map((outcome, i) => ({ address: addresses[i], outcome })) }
    } catch {
      // Down, or of a version that does not know it: the next one.
    }
  }
  return { from: '', outcomes: [] }
}
