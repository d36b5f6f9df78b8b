/** Seen tags on disk: a packet that was taken before a crash is refused after it. */
import { appendFileSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MixEngine } from '@mixmint/mixnet/mixing/engine'
import { addressBlock } from '@mixmint/mixnet/sphinx/address'
import { wrap } from '@mixmint/mixnet/sphinx/wrap'
import { MixNode } from '@mixmint/mixnet/wire/mix-node'
import { SeenLog } from '@mixmint/mixnet/wire/seen-log'
import { systemClock, systemRng } from '../../nodes/clock.ts'
import type { Host } from '../../nodes/host.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { startHost, until } from './hosts.ts'
import { HERE, suite } from './mix-material.ts'

let dir: string
beforeEach(() => { dir = mkdtempSync(join(tmpdir(), 'mixmint-seen-')) })
afterEach(() => { rmSync(dir, { recursive: true, force: true }) })

const tags = (count: number): Uint8Array[] => Array.from({ length: count }, () => systemRng.bytes(32))

describe('the log', () => {
  test('gives back what was appended, by epoch and in order, to whoever opens it next', () => {
    const [one, two] = [tags(5), tags(3)]
    const log = new SeenLog(dir)
    expect(log.load(1)).toEqual([])
    log.append(1, one.slice(0, 2))
    log.append(2, two)
    log.append(1, one.slice(2))
    const next = new SeenLog(dir)
    expect(next.load(1)).toEqual(one)
    expect(next.load(2)).toEqual(two)
    next.append(1, two)
    expect(new SeenLog(dir).load(1)).toEqual([...one, ...two])
    for (const each of [log, next]) each.close()
  })

  test('a tag that a crash cut short goes, and nothing else', () => {
    const all = tags(3)
    const log = new SeenLog(dir)
    log.append(7, all)
    log.close()
    appendFileSync(join(dir, '7.tags'), new Uint8Array(13))
    const next = new SeenLog(dir)
    expect(next.load(7)).toEqual(all)
    next.append(7, all)
    next.close()
    expect(statSync(join(dir, '7.tags')).size).toBe(6 * 32)
  })

  test('is for its owner only, and goes with its key', () => {
    const log = new SeenLog(join(dir, 'seen'))
    log.append(1, tags(1))
    log.append(2, tags(1))
    expect(statSync(join(dir, 'seen', '1.tags')).mode & 0o777).toBe(0o600)
    log.remove(1)
    log.remove(1)
    expect(readdirSync(join(dir, 'seen'))).toEqual(['2.tags'])
    log.close()
  })

  test('that cannot be kept says so', () => {
    writeFileSync(join(dir, 'file'), '')
    expect(() => new SeenLog(join(dir, 'file')).load(1)).toThrow(expect.objectContaining({ code: 'seen-log-failed', fault: 'operator' }))
  })
})

describe('a mix', () => {
  const privateKey = systemRng.bytes(32)
  const nodes: MixNode[] = []
  afterEach(async () => { await Promise.all(nodes.splice(0).map(async node => { await node.stop(50) })) })

  async function start (seenLog: SeenLog): Promise<{ node: MixNode, host: Host, meter: CountingMeter }> {
    const host = await startHost()
    const meter = new CountingMeter()
    const engine = new MixEngine({ suite, self: host.peer, parameters: { strategy: { kind: 'poisson' }, meanDelay: 1, packetSize: 4608, queueLimit: 10, replayLimit: 1000 }, topology: { mayForward: () => true, mayReachWallet: () => true } })
    const node = new MixNode({ node: host.node, engine, neighbourhood: { addresses: () => [], accepts: () => true }, clock: systemClock, rng: systemRng, meter, seenLog })
    node.install({ epoch: 1, privateKey, from: 0, until: Infinity })
    await node.start()
    nodes.push(node)
    return { node, host, meter }
  }

  async function send (to: Host, packets: readonly Uint8Array[]): Promise<void> {
    const host = await startHost()
    const engine = new MixEngine({ suite, self: host.peer, parameters: { strategy: { kind: 'poisson' }, meanDelay: 1, packetSize: 4608, queueLimit: 10, replayLimit: 10 }, topology: { mayForward: () => true, mayReachWallet: () => true } })
    const node = new MixNode({ node: host.node, engine, neighbourhood: { addresses: () => to.addresses(), accepts: () => true }, clock: systemClock, rng: systemRng, meter: new CountingMeter() })
    nodes.push(node)
    for (const packet of packets) node.sendPacket(to.peer, packet)
  }

  const packetFor = (host: Host): Uint8Array =>
    wrap(suite, systemRng.bytes(32), [{ publicKey: suite.x25519Base(privateKey), address: addressBlock(host.addresses()[0], host.peer), delay: 0 }], HERE, systemRng.bytes(3968))

  test('that was killed refuses what it had taken before', async () => {
    const before = await start(new SeenLog(dir))
    const [old, fresh] = [packetFor(before.host), packetFor(before.host)]
    await send(before.host, [old])
    await until(() => before.node.counts().mix.delivered === 1)
    // Killed: nothing was closed, and another process comes up on the same folder.
    const after = await start(new SeenLog(dir))
    await send(after.host, [old, fresh])
    await until(() => after.node.counts().mix.received === 2)
    expect(after.node.counts().mix).toMatchObject({ delivered: 1, dropped: { replay: 1 } })
  })

  test('whose disk is full takes nothing, and goes on when there is room', async () => {
    const log = new SeenLog(dir)
    const append = log.append.bind(log)
    let full = false
    log.append = (epoch, tags) => {
      if (full) throw new Error('full')
      append(epoch, tags)
    }
    const mix = await start(log)
    full = true
    await send(mix.host, [packetFor(mix.host), packetFor(mix.host)])
    await until(() => mix.meter.of('mix_shed', { reason: 'seen-log' }) === 1)
    expect(mix.node.counts().mix.received).toBe(1)
    full = false
    await send(mix.host, [packetFor(mix.host)])
    await until(() => mix.node.counts().mix.received === 2)
    expect(new SeenLog(dir).load(1)).toHaveLength(2)
  })

  test('forgets the tags with the key', async () => {
    const mix = await start(new SeenLog(dir))
    await send(mix.host, [packetFor(mix.host)])
    await until(() => mix.node.counts().mix.delivered === 1)
    expect(readdirSync(dir)).toEqual(['1.tags'])
    mix.node.retire(1)
    expect(readdirSync(dir)).toEqual([])
  })
})
