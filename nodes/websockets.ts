/**
 * WebSocket as a transport of libp2p, for wallets in browsers and those behind proxies. The listener gets limits that
 * libp2p has no options for: the length of a message (the default is 100 MiB, gathered before anybody sees a byte), the
 * number of sockets, and the time that a socket may take to become a WebSocket.
 */
import type { Server, Socket } from 'node:net'
import { webSockets } from '@libp2p/websockets'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'

/** One message of Noise has at most 64 KiB and its length; two of them leave room for whoever joins them. */
const LONGEST_MESSAGE = 128 * 1024 + 16

/** What a listener has, whatever its type says. */
interface Internals { readonly server?: Server, readonly wsServer?: { readonly options?: { maxPayload?: number } } }

export interface WebSocketLimits {
  /** Sockets at one time, in whatever state. */
  readonly sockets: number
  readonly upgradeTimeout: Millis
}

/** @throws websocket-internals (us), when a listener is made and the library's inside has changed */
export function limitedWebSockets ({ sockets, upgradeTimeout }: WebSocketLimits): ReturnType<typeof webSockets> {
  const http = { headersTimeout: upgradeTimeout, requestTimeout: upgradeTimeout, connectionsCheckingInterval: upgradeTimeout / 4 }
  const make = webSockets({ http })
  return components => {
    const transport = make(components)
    const createListener = transport.createListener.bind(transport)
    transport.createListener = options => {
      const listener = createListener(options)
      const { server, wsServer } = listener as Internals
      if (server === undefined || wsServer?.options === undefined) {
        throw new MixmintError('websocket-internals', 'us', 'the WebSocket listener of libp2p has changed inside: its limits must be set another way')
      }
      wsServer.options.maxPayload = LONGEST_MESSAGE
      server.maxConnections = sockets
      // HTTP has a time limit of its own, but begins only with the first byte.
      server.on('connection', (socket: Socket) => {
        const timer = setTimeout(() => { if (socket.bytesRead === 0) socket.destroy() }, upgradeTimeout)
        socket.once('close', () => { clearTimeout(timer) })
      })
      return listener
    }
    return transport
  }
}
