/**
 * A peer that speaks Noise as it should, over TCP or WebSocket, and within it whatever bytes a test likes: a libp2p node
 * whose multiplexer claims to be Yamux and hands the encrypted line over. Below are the frames that Yamux has.
 */
import { noise } from '@chainsafe/libp2p-noise'
import { TypedEventEmitter, type Libp2p, type MultiaddrConnection, type Secp256k1PrivateKey, type StreamMuxer, type StreamMuxerEvents, type StreamMuxerFactory } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { createLibp2p } from 'libp2p'
import { u32 } from '@mixmint/core/kit/bytes'
import { dialable, type Target } from '@mixmint/mixnet/wire/peers'
import { freshIdentity } from '../../nodes/identity.ts'

type Line = Parameters<StreamMuxerFactory['createStreamMuxer']>[0]

/** No streams: what comes and goes is the test's. */
class NoMuxer extends TypedEventEmitter<StreamMuxerEvents> {
  readonly protocol = '/yamux/1.0.0'
  readonly streams = []
  status = 'open'
  createStream = async (): Promise<never> => await Promise.reject(new Error('no streams here'))
  close = async (): Promise<void> => {}
  abort = (): void => {}
}

export interface RawPeer {
  readonly peer: Uint8Array
  readonly node: Libp2p
  /** A new connection, encrypted. */
  readonly dial: (to: Target) => Promise<RawLine>
  readonly stop: () => Promise<void>
}

export interface RawLine {
  /** Written as it is; false when the system's buffers are full; what cannot be written any more is dropped. */
  readonly send: (bytes: Uint8Array) => boolean
  /** Bytes that have come, one piece each. */
  readonly got: Uint8Array[]
  readonly isOpen: () => boolean
  /** Read no more: the other side's buffers fill. */
  readonly deafen: () => void
  readonly drop: () => void
}

/** @param from the network address that it dials from */
export async function rawPeer (from?: string, privateKey?: Secp256k1PrivateKey): Promise<RawPeer> {
  let line: Line | null = null
  const node = await createLibp2p({
    privateKey: privateKey ?? await freshIdentity(), transports: [tcp(from === undefined ? {} : { dialOpts: { localAddress: from } as object }), webSockets()], connectionEncrypters: [noise()],
    streamMuxers: [() => ({
      protocol: '/yamux/1.0.0',
      createStreamMuxer: connection => {
        line = connection
        return new NoMuxer() as unknown as StreamMuxer
      }
    })],
    connectionGater: { denyDialMultiaddr: () => false }, connectionMonitor: { enabled: false }
  })
  return {
    node,
    peer: node.peerId.toMultihash().bytes,
    dial: async to => {
      const connection = await node.dial(dialable(to), { force: true } as object)
      return open(line as unknown as Line, (connection as unknown as { maConn: MultiaddrConnection }).maConn)
    },
    stop: async () => { await node.stop() }
  }
}

function open (line: Line, below: MultiaddrConnection): RawLine {
  const got: Uint8Array[] = []
  line.addEventListener('message', ({ data }) => { got.push(data instanceof Uint8Array ? data : data.subarray()) })
  return {
    got,
    isOpen: () => below.status === 'open',
    send: bytes => {
      try {
        return line.send(bytes)
      } catch {
        return false
      }
    },
    deafen: () => { below.pause() },
    drop: () => { below.abort(new Error('enough')) }
  }
}

export const DATA = 0
export const WINDOW = 1
export const PING = 2
export const GO_AWAY = 3
export const SYN = 1
export const ACK = 2
export const FIN = 4
export const RST = 8

/** A frame of Yamux: version 1 ‖ type 1 ‖ flags 2 ‖ stream 4 ‖ length 4, all big-endian, then data. The length is what it claims. */
export function yamuxFrame (type: number, flags: number, stream: number, length: number, data: Uint8Array = new Uint8Array(0), version = 0): Uint8Array {
  return Uint8Array.of(version, type, flags >> 8, flags & 255, ...u32(stream), ...u32(length), ...data)
}

/** What opens a stream (odd for whoever dials) and says which protocol it is for. */
export function openStream (stream: number, protocol: string): Uint8Array {
  const text = Uint8Array.from([...line('/multistream/1.0.0'), ...line(protocol)])
  return yamuxFrame(DATA, SYN, stream, text.length, text)
}

function line (text: string): number[] {
  return [text.length + 1, ...new TextEncoder().encode(`${text}\n`)]
}
