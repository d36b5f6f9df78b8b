/** A mix and its disk: nothing goes on before its tag is on disk; a mix without room takes nothing. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MixEngine, type MixParameters } from '@mixmint/mixnet/mixing/engine'
import { addressBlock } from '@mixmint/mixnet/sphinx/address'
import { wrap } from '@mixmint/mixnet/sphinx/wrap'
import { MixNode } from '@mixmint/mixnet/wire/mix-node'
import { SeenLog } from '@mixmint/mixnet/wire/seen-log'
import { systemClock, systemRng } from '../../nodes/clock.ts'
import type { Host } from '../../nodes/host.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { startHost, until } from './hosts.ts'
import { HERE, suite } from './mix-material.ts'

const PARAMETERS: MixParameters = { strategy: { kind: 'poisson' }, meanDelay: 1, packetSize: 4608, queueLimit: 10, replayLimit: 1000 }
const privateKey = systemRng.bytes(32)

/** A log whose disk can be slow, or full: it then does what it does when it is let. */
class SlowLog extends SeenLog {
  disk: 'well' | 'slow' | 'full' = 'well'
  asked = 0
  loaded = 0
  #go: Array<() => void> = []

  override async append (epoch: number, tags: Iterable<Uint8Array>): Promise<void> {
    this.asked += 1
    if (this.disk === 'full') throw new Error('full')
    const all = [...tags]
    if (this.disk === 'slow') await new Promise<void>(resolve => { this.#go.push(resolve) })
    await super.append(epoch, all)
  }

  override load (epoch: number, privateKey: Uint8Array): Iterable<Uint8Array> {
    this.loaded += 1
    return super.load(epoch, privateKey)
  }

  recover (): void {
    this.disk = 'well'
    for (const go of this.#go.splice(0)) go()
  }
}

let dir: string
const nodes: MixNode[] = []
beforeEach(() => { dir = mkdtempSync(join(tmpdir(), 'mixmint-recorder-')) })
afterEach(async () => {
  await Promise.all(nodes.splice(0).map(async node => { await node.stop(50) }))
  rmSync(dir, { recursive: true, force: true })
})

interface Running { readonly node: MixNode, readonly host: Host, readonly meter: CountingMeter, readonly log: SlowLog, readonly heard: Uint8Array[] }

async function start (parameters: Partial<MixParameters> = {}): Promise<Running> {
  const [host, meter, log, heard] = [await startHost(), new CountingMeter(), new SlowLog(dir), [] as Uint8Array[]]
  const engine = new MixEngine({ suite, self: host.peer, parameters: { ...PARAMETERS, ...parameters }, topology: { mayForward: () => true, mayReachWallet: () => true } })
  const node = new MixNode({
    node: host.node, engine, neighbourhood: { addresses: () => [], accepts: () => true }, clock: systemClock, rng: systemRng, meter, seenLog: log,
    onDeliver: message => { heard.push(message) }
  })
  log.create(1, privateKey)
  node.install({ epoch: 1, privateKey, from: 0, until: Infinity })
  await node.start()
  nodes.push(node)
  return { node, host, meter, log, heard }
}

async function send (to: Host, packets: readonly Uint8Array[]): Promise<void> {
  const host = await startHost()
  const engine = new MixEngine({ suite, self: host.peer, parameters: PARAMETERS, topology: { mayForward: () => true, mayReachWallet: () => true } })
  const node = new MixNode({ node: host.node, engine, neighbourhood: { addresses: () => to.addresses(), accepts: () => true }, clock: systemClock, rng: systemRng, meter: new CountingMeter() })
  nodes.push(node)
  for (const packet of packets) node.sendPacket(to.peer, packet)
}

/** For this mix itself. */
const packetFor = (host: Host): Uint8Array =>
  wrap(suite, systemRng.bytes(32), [{ publicKey: suite.x25519Base(privateKey), address: addressBlock(host.addresses()[0], host.peer), delay: 0 }], HERE, systemRng.bytes(3968))

const packetsFor = (host: Host, count: number): Uint8Array[] => Array.from({ length: count }, () => packetFor(host))
const onDisk = (): number => [...new SeenLog(dir).load(1, privateKey)].length

describe('a mix', () => {
  test('that was killed refuses what it had taken before', async () => {
    const before = await start()
    const [old, fresh] = packetsFor(before.host, 2)
    await send(before.host, [old])
    await until(() => before.heard.length === 1)
    // Killed: nothing was closed, and another process comes up on the same folder.
    const after = await start()
    await send(after.host, [old, fresh])
    await until(() => after.node.counts().mix.received === 2 && after.heard.length === 1)
    expect(after.node.counts().mix).toMatchObject({ delivered: 1, dropped: { replay: 1 } })
    expect(onDisk()).toBe(2)
  })

  test('lets nothing go on before its tag is on disk, and writes what came meanwhile at once', async () => {
    const { node, host, log, heard } = await start()
    log.disk = 'slow'
    await send(host, packetsFor(host, 1))
    await until(() => log.asked === 1)
    await send(host, packetsFor(host, 5))
    await until(() => node.counts().mix.received === 6)
    expect(node.counts().mix).toMatchObject({ queued: 6, delivered: 0 })
    expect([heard.length, onDisk()]).toEqual([0, 0])
    log.recover()
    await until(() => heard.length === 6)
    expect([log.asked, onDisk()]).toEqual([2, 6])
    expect(node.counts().mix).toMatchObject({ queued: 0, delivered: 6 })
  })

  test('whose disk is full takes nothing, says so, and goes on by itself when there is room', async () => {
    const { node, host, meter, log, heard } = await start()
    log.disk = 'full'
    await send(host, packetsFor(host, 1))
    await until(() => meter.of('mix_seen_log_failed') === 1)
    await send(host, packetsFor(host, 2))
    await until(() => meter.of('mix_shed', { reason: 'seen-log' }) === 2)
    expect(node.counts().mix).toMatchObject({ received: 1, queued: 1 })
    log.recover()
    await until(() => heard.length === 1)
    await send(host, packetsFor(host, 1))
    await until(() => heard.length === 2)
    expect(onDisk()).toBe(2)
  })

  test('whose disk is full at the end abandons what it could not record', async () => {
    const { node, host, meter, log } = await start()
    log.disk = 'full'
    await send(host, packetsFor(host, 1))
    await until(() => meter.of('mix_seen_log_failed') === 1)
    await node.stop(20)
    expect(node.counts().mix).toEqual({ received: 1, forwarded: 0, delivered: 0, queued: 0, dropped: { abandoned: 1 } })
  })

  test('that stops waits for its disk', async () => {
    const { node, host, log, heard } = await start()
    log.disk = 'slow'
    await send(host, packetsFor(host, 1))
    await until(() => log.asked === 1)
    await send(host, packetsFor(host, 2))
    await until(() => node.counts().mix.received === 3)
    const stopped = node.stop(10_000)
    log.recover()
    await stopped
    expect(heard).toHaveLength(3)
    expect(onDisk()).toBe(3)
  })

  test('with as many tags as it may keep sheds what is new, counts it, and still knows what is old', async () => {
    const { node, host, heard } = await start({ replayLimit: 3 })
    const old = packetsFor(host, 3)
    await send(host, [...old, ...packetsFor(host, 2), old[0]])
    await until(() => node.counts().mix.received === 6 && heard.length === 3)
    expect(node.counts().mix).toMatchObject({ delivered: 3, dropped: { 'replay-full': 2, replay: 1 } })
    node.setEpoch(1, { ...PARAMETERS, replayLimit: 4 })
    await send(host, packetsFor(host, 2))
    await until(() => node.counts().mix.received === 8 && heard.length === 4)
    expect(node.counts().mix).toMatchObject({ dropped: { 'replay-full': 3 } })
    expect(onDisk()).toBe(4)
  })

  test('forgets the tags with the key, even those that are being written', async () => {
    const { node, host, log, heard } = await start()
    log.disk = 'slow'
    await send(host, packetsFor(host, 1))
    await until(() => log.asked === 1)
    node.retire(1)
    expect(readdirSync(dir)).toEqual([])
    log.recover()
    await until(() => heard.length === 1)
    expect(readdirSync(dir)).toEqual([])
    // Were there such a key again, it would have tags of its own.
    log.create(1, privateKey)
    node.install({ epoch: 1, privateKey, from: 0, until: Infinity })
    await send(host, packetsFor(host, 1))
    await until(() => heard.length === 2)
    expect(onDisk()).toBe(1)
  })

  test('does not use a key whose tags are lost', async () => {
    const { node, log } = await start()
    expect(() => { node.install({ epoch: 2, privateKey, from: 0, until: Infinity }) }).toThrow(expect.objectContaining({ code: 'seen-log-damaged' }))
    log.create(2, privateKey)
    const before = log.loaded
    for (let i = 0; i < 2; i++) node.install({ epoch: 2, privateKey, from: 0, until: Infinity })
    expect(log.loaded).toBe(before + 1)
  })
})
