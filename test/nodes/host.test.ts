import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { toHex } from '@mixmint/core/kit/bytes'
import { dialable } from '@mixmint/mixnet/wire/peers'
import { createHost } from '../../nodes/host.ts'
import { freshIdentity, loadOrCreateIdentity } from '../../nodes/identity.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { rawStream, startHost, stopHost, targetOf, until } from '../mixnet/hosts.ts'

describe('the host', () => {
  test('has the identity of its key, and tells where it listens', async () => {
    const privateKey = await freshIdentity()
    const host = await startHost({ privateKey })
    expect(host.peer).toHaveLength(39)
    expect(host.node.peerId.equals(peerIdFromPrivateKey(privateKey))).toBe(true)
    expect(host.addresses()).toEqual([expect.stringMatching(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+$/)])
    expect((await startHost({ role: 'wallet', listen: [] })).addresses()).toEqual([])
    const announce = ['/dns4/mix.example.org/tcp/4001', '/ip4/192.0.2.1/tcp/4001']
    expect((await startHost({ announce })).addresses()).toEqual(announce)
  })

  test('tells strangers nothing about itself', async () => {
    expect((await startHost()).node.getProtocols()).toEqual([])
  })

  test('refuses an identity that does not fit into packets, and a port that is taken', async () => {
    const privateKey = await generateKeyPair('Ed25519')
    await expect(createHost({ privateKey, role: 'node', listen: [], meter: new CountingMeter() })).rejects.toMatchObject({ code: 'identity-kind' })
    const listen = (await startHost()).addresses()
    await expect(startHost({ listen })).rejects.toMatchObject({ code: 'listen-failed', fault: 'operator', message: expect.stringMatching(/\/tcp\/\d+ \(EADDRINUSE\): another process/) })
  })

  test.each([
    ['/ip4/192.0.2.9/tcp/4001', /EADDRNOTAVAIL.*listen on \/ip4\/0\.0\.0\.0/],
    ['4001', /no address of TCP/],
    ['/ip4/127.0.0.1/udp/4001', /no address of TCP/]
  ])('says of %s why it cannot listen there', async (address, why) => {
    await expect(startHost({ listen: ['/ip4/127.0.0.1/tcp/0', address] })).rejects.toMatchObject({ code: 'listen-failed', fault: 'operator', message: expect.stringMatching(why) })
  })

  test('limits strangers, and leaves room for the nodes it knows', async () => {
    const friend = await startHost()
    const meter = new CountingMeter()
    const host = await startHost({ role: 'authority', strangers: 1, isKnown: peer => peer === toHex(friend.peer), meter })
    await host.node.handle('/test/1.0.0', () => {})
    const [one, two] = [await startHost(), await startHost()]
    const connected = (): string[] => host.node.getPeers().map(String).sort()
    await rawStream(one, host, '/test/1.0.0')
    await until(() => connected().length === 1)
    // A dial may succeed before the other side has refused.
    await two.node.dial(dialable(targetOf(host))).catch(() => {})
    await until(() => two.node.getConnections().length === 0)
    await friend.node.dial(dialable(targetOf(host)))
    await until(() => connected().length === 2)
    expect(connected()).toEqual([friend, one].map(({ node }) => node.peerId.toString()).sort())
    expect(meter.of('connections_refused', { reason: 'full' })).toBe(1)

    await stopHost(one)
    await until(() => connected().length === 1)
    await two.node.dial(dialable(targetOf(host)))
    await until(() => connected().length === 2)
  })

  test('lets a stranger who does nothing give way to another', async () => {
    const meter = new CountingMeter()
    const host = await startHost({ role: 'entry', strangers: 2, meter })
    const [idle, next, last] = [await startHost(), await startHost(), await startHost()]
    await idle.node.dial(dialable(targetOf(host)))
    await until(() => host.node.getPeers().length === 1)
    await next.node.dial(dialable(targetOf(host)))
    await last.node.dial(dialable(targetOf(host)))
    await until(() => idle.node.getConnections().length === 0)
    await until(() => host.node.getPeers().length === 2)
    expect(host.node.getPeers().map(String).sort()).toEqual([next, last].map(({ node }) => node.peerId.toString()).sort())
    expect(meter.of('connections_displaced')).toBe(1)
  })

  test('among nodes, takes nobody else', async () => {
    const friend = await startHost()
    const meter = new CountingMeter()
    const host = await startHost({ isKnown: peer => peer === toHex(friend.peer), meter })
    const stranger = await startHost()
    await stranger.node.dial(dialable(targetOf(host))).catch(() => {})
    await until(() => meter.of('connections_refused', { reason: 'stranger' }) === 1)
    await until(() => stranger.node.getConnections().length === 0)
    await friend.node.dial(dialable(targetOf(host)))
    await until(() => host.node.getConnections().length === 1)
  })

  test('closes a connection on which nothing happens, and forgets the peer', async () => {
    const host = await startHost({ idle: 60 })
    const idle = await startHost()
    await host.node.handle('/test/1.0.0', () => {})
    const stream = await idle.node.dialProtocol(dialable(targetOf(host)), '/test/1.0.0')
    await until(() => host.node.getConnections().length === 1)
    expect(await host.node.peerStore.has(idle.node.peerId)).toBe(true)
    stream.abort(new Error('enough'))
    await until(() => host.node.getConnections().length === 0)
    await until(() => idle.node.getConnections().length === 0)
    expect(await host.node.peerStore.has(idle.node.peerId)).toBe(false)
  })

  test('takes connections while many say nothing', async () => {
    const host = await startHost()
    const port = Number(host.addresses()[0].split('/')[4])
    const silent = await Promise.all(Array.from({ length: 150 }, async () => await new Promise<Socket>(resolve => {
      const socket = connect(port, '127.0.0.1', () => { resolve(socket) })
      socket.on('error', () => {})
    })))
    const friend = await startHost()
    await friend.node.dial(dialable(targetOf(host)))
    await until(() => host.node.getConnections().length === 1)
    for (const socket of silent) socket.destroy()
  })

  test('lives on when a stranger sends garbage instead of a handshake', async () => {
    const host = await startHost()
    const port = Number(host.addresses()[0].split('/')[4])
    const socket = connect(port, '127.0.0.1', () => { socket.write(Buffer.alloc(10_000, 0x41)) })
    socket.on('error', () => {})
    await new Promise(resolve => socket.on('close', resolve).resume())
    const friend = await startHost()
    await friend.node.dial(dialable(targetOf(host)))
    await until(() => host.node.getConnections().length === 1)
  })
})

describe('the identity file', () => {
  const folders: string[] = []
  const file = (): string => {
    const folder = mkdtempSync(join(tmpdir(), 'mixmint-identity-'))
    folders.push(folder)
    return join(folder, 'identity')
  }
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
  })

  test('is made once, for its owner only, and read again', () => {
    const path = file()
    const key = loadOrCreateIdentity(path)
    expect(key.type).toBe('secp256k1')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(loadOrCreateIdentity(path).equals(key)).toBe(true)
    expect(loadOrCreateIdentity(file()).equals(key)).toBe(false)
  })

  test.each([[0o640], [0o604], [0o660]])('is refused with mode %o', mode => {
    const path = file()
    loadOrCreateIdentity(path)
    chmodSync(path, mode)
    expect(() => loadOrCreateIdentity(path)).toThrow(expect.objectContaining({ code: 'key-file-open', fault: 'operator' }))
  })

  test.each([['half a key', 'ab'.repeat(16)], ['no key', ''], ['zero', '00'.repeat(32)], ['beyond the order of the curve', 'ff'.repeat(32)]])('is refused, and kept, when it holds %s', (_name, content) => {
    const path = file()
    writeFileSync(path, content, { mode: 0o600 })
    expect(() => loadOrCreateIdentity(path)).toThrow(expect.objectContaining({ code: 'key-file-broken', fault: 'operator' }))
    expect(readFileSync(path, 'utf8')).toBe(content)
  })
})
