/**
 * WebSocket as a transport of libp2p, for wallets in browsers and those behind proxies. libp2p's listener is for friends:
 * a frame that breaks the protocol is an error that nobody handles, and ends the process; a message may have 100 MiB,
 * gathered before anybody sees a byte; a socket may take for ever to become a WebSocket; and a connection that is broken off
 * keeps its socket, for the code 1006 that libp2p closes it with may not be sent. Here it gets a handler and limits.
 */
import type { Server, Socket } from 'node:net'
import { webSockets } from '@libp2p/websockets'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'

/** One message of Noise has at most 64 KiB and its length; two of them leave room for whoever joins them. */
const LONGEST_MESSAGE = 128 * 1024 + 16

/** For a peer that does not read. */
const WRITE_BUFFER = 256 * 1024
/** How a connection is broken off: nothing that a peer could be told. */
const ABNORMAL = 1006

/** What a listener has, whatever its type says. */
interface Internals { readonly server?: Server, readonly wsServer?: WsServer }
interface WebSocketInternals {
  readonly on: (event: 'error', handler: () => void) => unknown
  readonly terminate: () => void
  close: (code?: number, reason?: string) => void
}
type Upgraded = (socket: WebSocketInternals, request: unknown) => void
interface WsServer {
  readonly options?: { maxPayload?: number }
  handleUpgrade?: (request: unknown, socket: Socket, head: unknown, done: Upgraded) => void
}

export interface WebSocketLimits {
  /** Sockets at one time, in whatever state. */
  readonly sockets: number
  readonly upgradeTimeout: Millis
}

/** @throws websocket-internals (us), when a listener is made and the library's inside has changed */
export function limitedWebSockets (limits: WebSocketLimits): ReturnType<typeof webSockets> {
  const make = webSockets({ maxBufferedAmount: WRITE_BUFFER })
  return components => {
    const transport = make(components)
    const createListener = transport.createListener.bind(transport)
    transport.createListener = options => {
      const listener = createListener(options)
      limit(listener as Internals, limits)
      return listener
    }
    return transport
  }
}

function limit ({ server, wsServer }: Internals, { sockets, upgradeTimeout }: WebSocketLimits): void {
  const handleUpgrade = wsServer?.handleUpgrade?.bind(wsServer)
  if (server === undefined || wsServer?.options === undefined || handleUpgrade === undefined) {
    throw new MixmintError('websocket-internals', 'us', 'the WebSocket listener of libp2p has changed inside: its limits must be set another way')
  }
  const upgraded = new WeakSet<Socket>()
  wsServer.options.maxPayload = LONGEST_MESSAGE
  wsServer.handleUpgrade = (request, socket, head, done) => {
    upgraded.add(socket)
    handleUpgrade(request, socket, head, (webSocket, request) => {
      // It closes by itself, and libp2p hears of that.
      webSocket.on('error', () => {})
      const close = webSocket.close.bind(webSocket)
      webSocket.close = (code, reason) => {
        if (code === ABNORMAL) webSocket.terminate()
        else close(code, reason)
      }
      done(webSocket, request)
    })
  }
  server.maxConnections = sockets
  server.on('connection', (socket: Socket) => {
    const timer = setTimeout(() => { if (!upgraded.has(socket)) socket.destroy() }, upgradeTimeout)
    socket.once('close', () => { clearTimeout(timer) })
  })
}
