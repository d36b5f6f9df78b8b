/** Peers that break what is below the protocols: handshakes left half-way, frames that claim too much, lines that are not read. */
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { dialable } from '@mixmint/mixnet/wire/peers'
import { DATA, PING, SYN, WINDOW, openStream, rawPeer, yamuxFrame, type RawLine, type RawPeer } from '../doubles/raw-peer.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { startHost, targetOf, until } from '../mixnet/hosts.ts'
import type { Host } from '../../nodes/host.ts'

const sockets: Socket[] = []
const peers: RawPeer[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await Promise.all(peers.splice(0).map(async peer => { await peer.stop() }))
})

const portOf = (host: Host): number => Number(host.addresses()[0].split('/')[4])

async function open (host: Host, bytes: Uint8Array = new Uint8Array(0), from = '127.0.0.1'): Promise<Socket> {
  return await new Promise(resolve => {
    const socket = connect({ port: portOf(host), host: '127.0.0.1', localAddress: from }, () => {
      socket.write(bytes)
      resolve(socket)
    }).on('error', () => { resolve(socket) }).resume()
    sockets.push(socket)
  })
}

async function rawLine (host: Host): Promise<RawLine> {
  const peer = await rawPeer()
  peers.push(peer)
  const line = await peer.dial(targetOf(host))
  await until(() => host.node.getConnections(peer.node.peerId).length === 1)
  return line
}

async function comesIn (host: Host): Promise<void> {
  const friend = await startHost()
  const isIn = (): boolean => host.node.getConnections(friend.node.peerId).length === 1
  // As a link does, again and again: a turn that comes with the end of the time for a handshake makes a connection that is cut at once.
  while (!isIn()) {
    const connection = await friend.node.dial(dialable(targetOf(host))).catch(() => null)
    if (connection !== null) await until(() => isIn() || connection.status !== 'open')
  }
}

interface Frame { readonly type: number, readonly stream: number, readonly length: number }

/** The heads of all that has come. */
function framesOf ({ got }: RawLine): Frame[] {
  const bytes = Buffer.concat(got)
  const frames: Frame[] = []
  for (let at = 0; at + 12 <= bytes.length;) {
    const frame = { type: bytes[at + 1], stream: bytes.readUInt32BE(at + 4), length: bytes.readUInt32BE(at + 8) }
    frames.push(frame)
    at += 12 + (frame.type === DATA ? frame.length : 0)
  }
  return frames
}

/** What the host has said may be sent on stream 1, beside the first window. */
function creditOf (line: RawLine): number {
  return framesOf(line).reduce((sum, { type, stream, length }) => sum + (type === WINDOW && stream === 1 ? length : 0), 0)
}

const negotiated = new TextEncoder().encode('\x13/multistream/1.0.0\n\x07/noise\n')
/** With the first message of the handshake, a public key: anything is one. */
const halfWay = Uint8Array.from([...negotiated, 0, 32, ...new Uint8Array(32).fill(9)])

test('handshakes that are left half-way at a listener for nodes keep no node out, from its own address or another', async () => {
  const meter = new CountingMeter()
  const host = await startHost({ meter, isKnown: () => true, upgradeTimeout: 1000 })
  for (let i = 0; i < 12; i++) await Promise.all(Array.from({ length: 50 }, async (_, n) => await open(host, halfWay, `127.0.0.${1 + n}`)))
  await comesIn(host)
  await until(() => sockets.every(({ closed }) => closed))
  await comesIn(host)
  expect(host.node.getConnections()).toHaveLength(2)
  // Each of them is accounted for.
  await until(() => meter.of('handshakes_unfinished') + meter.of('connections_refused', { reason: 'handshakes' }) >= 600)
})

test('who brings more than a handshake before its turn is broken off', async () => {
  const meter = new CountingMeter()
  const host = await startHost({ meter, isKnown: () => true, upgradeTimeout: 60_000 })
  const silent = async (count: number): Promise<void> => { for (let i = 0; i < count; i += 10) await Promise.all(Array.from({ length: 10 }, async () => await open(host, new Uint8Array(0), '127.0.0.7'))) }
  const flood = Buffer.alloc(64 * 1024, 1)
  // As many as may begin at once, and some more, of whom a slow machine lets begin some meanwhile.
  await silent(200)
  while (meter.of('connections_refused', { reason: 'handshake-bytes' }) === 0) {
    await silent(30)
    const socket = await open(host, negotiated, '127.0.0.7')
    const pour = (): void => { while (!socket.closed && socket.writable && socket.write(flood)); }
    socket.on('drain', pour)
    pour()
    await until(() => socket.closed)
  }
  await comesIn(host)
})

describe('Yamux', () => {
  test('a frame that claims more than its window is not gathered', async () => {
    const host = await startHost({ role: 'entry' })
    const line = await rawLine(host)
    line.send(yamuxFrame(DATA, SYN, 1, 0xffffffff))
    const piece = new Uint8Array(32 * 1024)
    let sent = 0
    while (line.isOpen() && sent < 8 << 20) {
      if (line.send(piece)) sent += piece.length
      await new Promise(setImmediate)
    }
    await until(() => !line.isOpen())
    expect(sent).toBeLessThan(8 << 20)
    await until(() => host.node.getConnections().length === 0)
  })

  test('a frame within its window arrives whole, in whatever pieces it comes', async () => {
    const host = await startHost({ role: 'entry' })
    const got: number[] = []
    await host.node.handle('/test/1.0.0', stream => {
      stream.addEventListener('message', ({ data }) => { got.push(...(data instanceof Uint8Array ? data : data.subarray())) })
    })
    const line = await rawLine(host)
    line.send(openStream(1, '/test/1.0.0'))
    const data = Uint8Array.from({ length: 2000 }, (_, i) => i & 255)
    const frame = yamuxFrame(DATA, 0, 1, data.length, data)
    for (const byte of frame.subarray(0, -1)) line.send(Uint8Array.of(byte))
    const gathered = (): { byteLength: number } & Iterable<Uint8Array> => (host.node.getConnections()[0] as unknown as { muxer: { decoder: { buffer: { byteLength: number } & Iterable<Uint8Array> } } }).muxer.decoder.buffer
    await until(() => gathered().byteLength === frame.length - 1)
    // Not each byte as a piece of its own.
    expect([...gathered()].length).toBeLessThanOrEqual(256)
    line.send(frame.subarray(-1))
    await until(() => got.length === data.length)
    expect(Uint8Array.from(got)).toEqual(data)
  })

  test('a sender is told of what was read when that is worth a frame, and never waits for it', async () => {
    const host = await startHost({ role: 'entry' })
    let got = 0
    await host.node.handle('/test/1.0.0', stream => { stream.addEventListener('message', ({ data }) => { got += data.byteLength }) })
    const line = await rawLine(host)
    line.send(openStream(1, '/test/1.0.0'))
    const piece = new Uint8Array(4096)
    const [window, pieces] = [256 * 1024, 200]
    for (let sent = piece.length; sent <= pieces * piece.length; sent += piece.length) {
      line.send(yamuxFrame(DATA, 0, 1, piece.length, piece))
      await until(() => got === sent)
      expect(window + creditOf(line) - sent).toBeGreaterThan(window / 2)
    }
    const told = framesOf(line).filter(({ type, length }) => type === WINDOW && length > 0)
    expect(told.length).toBeLessThanOrEqual(1 + pieces * piece.length / (64 * 1024))
  })

  test.each([
    ['pings', (n: number) => yamuxFrame(PING, SYN, 0, n)],
    ['streams above the limit', (n: number) => yamuxFrame(WINDOW, SYN, 2 * n + 1, 0)]
  ])('what is said to %s is not kept for a peer that does not read', async (_name, frame) => {
    const host = await startHost({ role: 'entry' })
    const line = await rawLine(host)
    line.deafen()
    const many = (from: number): Uint8Array => Uint8Array.from(Array.from({ length: 2000 }, (_, n) => [...frame(from + n)]).flat())
    let sent = 0
    while (line.isOpen() && sent < 2_000_000) {
      if (line.send(many(sent))) sent += 2000
      await new Promise(setImmediate)
      const waiting = host.node.getConnections().map(connection => (connection as unknown as { muxer: { maConn: { writeBufferLength: number } } }).muxer.maConn.writeBufferLength)
      expect(Math.max(0, ...waiting)).toBeLessThan(2 << 20)
      if (host.node.getConnections().length === 0) break
    }
    await until(() => host.node.getConnections().length === 0)
    await comesIn(host)
  })
})
