/** What a WebSocket listener suffers from strangers before libp2p sees them. */
import { connect, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { noise } from '@chainsafe/libp2p-noise'
import type { Libp2p } from '@libp2p/interface'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { limitedWebSockets, type WebSocketLimits } from '../../nodes/websockets.ts'
import { until } from '../mixnet/hosts.ts'

const nodes: Libp2p[] = []
const sockets: Socket[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const node of nodes.splice(0)) await node.stop()
})

async function start (limits: WebSocketLimits, listen = ['/ip4/127.0.0.1/tcp/0/ws']): Promise<Libp2p> {
  const node = await createLibp2p({
    addresses: { listen }, transports: [limitedWebSockets(limits)], connectionEncrypters: [noise()], streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: () => false }
  })
  nodes.push(node)
  return node
}

const portOf = (node: Libp2p): number => Number(node.getMultiaddrs()[0].toString().split('/')[4])

function open (port: number): Socket {
  const socket = connect(port, '127.0.0.1').on('error', () => {}).resume()
  sockets.push(socket)
  return socket
}

test('a socket that says nothing, or no more than half a request, is closed in time', async () => {
  const port = portOf(await start({ sockets: 10, upgradeTimeout: 200 }))
  const silent = open(port)
  const half = open(port)
  half.write('GET / HTTP/1.1\r\nHost: x\r\n')
  const tls = open(port)
  tls.write(Uint8Array.of(0x16, 3, 1))
  await until(() => silent.closed && half.closed && tls.closed)
})

test('one that asks for something else is told so, and closed in time', async () => {
  const port = portOf(await start({ sockets: 10, upgradeTimeout: 200 }))
  const browser = open(port)
  let said = ''
  browser.on('data', (bytes: Buffer) => { said += bytes.toString('latin1') })
  browser.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await until(() => browser.closed)
  expect(said).toMatch(/^HTTP\/1\.1 400/)
})

test('frames that break the protocol end the connection, and nothing else', async () => {
  const node = await start({ sockets: 10, upgradeTimeout: 5000 })
  for (const frame of [[0x82, 0x01, 0x00], [0xf2, 0x80, 0, 0, 0, 0], [0x8f, 0x80, 0, 0, 0, 0]]) { // not masked; reserved bits; no such operation
    const socket = open(portOf(node))
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n')
    await new Promise(resolve => socket.once('data', resolve))
    socket.write(Uint8Array.from(frame))
    await until(() => socket.closed)
  }
  const wallet = await start({ sockets: 0, upgradeTimeout: 5000 }, [])
  await wallet.dial(node.getMultiaddrs()[0])
})

test('a message that is longer than any of libp2p ends the connection', async () => {
  const node = await start({ sockets: 10, upgradeTimeout: 5000 })
  const socket = new WebSocket(`ws://127.0.0.1:${portOf(node)}`)
  let code = 0
  socket.addEventListener('close', event => { code = event.code })
  await new Promise(resolve => { socket.addEventListener('open', resolve) })
  socket.send(new Uint8Array(1 << 20))
  await until(() => code !== 0)
  expect(code).toBe(1009)
})

test('no more sockets are taken than there are to be, and one that leaves makes room', async () => {
  const port = portOf(await start({ sockets: 3, upgradeTimeout: 60_000 }))
  const first = [open(port), open(port), open(port)]
  await Promise.all(first.map(async socket => { await new Promise<void>(resolve => { if (socket.connecting) socket.once('connect', resolve); else resolve() }) }))
  const surplus = open(port)
  await until(() => surplus.closed)
  expect(first.map(({ closed }) => closed)).toEqual([false, false, false])
  first[0].destroy()
  const wallet = await start({ sockets: 0, upgradeTimeout: 5000 }, [])
  await until(() => first[0].closed)
  for (;;) {
    try {
      await wallet.dial(nodes[0].getMultiaddrs()[0])
      break
    } catch {
      // The server has not noticed yet.
    }
  }
})

test('a connection that is broken off, or cannot be made, leaves no socket behind', async () => {
  const open = (): number => process.getActiveResourcesInfo().filter(name => name === 'TCPSocketWrap').length
  // Those of the tests before.
  await until(() => open() === 0)
  const node = await start({ sockets: 10, upgradeTimeout: 5000 })
  const wallet = await start({ sockets: 0, upgradeTimeout: 5000 }, [])
  await wallet.dial(node.getMultiaddrs()[0])
  await until(() => node.getConnections().length === 1)
  expect(open()).toBe(2)
  // Of the other side nothing is asked: it may have gone, or not wish to go.
  for (const connection of wallet.getConnections()) (connection as unknown as { maConn: { websocket: { close: () => void } } }).maConn.websocket.close = () => {}
  for (const connection of node.getConnections()) connection.abort(new Error('enough'))
  await until(() => open() === 0)
})
