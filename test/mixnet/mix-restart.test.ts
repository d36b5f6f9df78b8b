/** Mixes under traffic that are stopped and come back: every packet arrives, and none twice. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Secp256k1PrivateKey } from '@libp2p/interface'
import { toHex } from '@mixmint/core/kit/bytes'
import type { Strategy } from '@mixmint/mixnet/directory/formats'
import { MixEngine } from '@mixmint/mixnet/mixing/engine'
import { addressBlock } from '@mixmint/mixnet/sphinx/address'
import { wrap, type Hop } from '@mixmint/mixnet/sphinx/wrap'
import { HandoverFile } from '@mixmint/mixnet/wire/handover'
import { MixNode } from '@mixmint/mixnet/wire/mix-node'
import { SeenLog } from '@mixmint/mixnet/wire/seen-log'
import { systemClock, systemRng } from '../../nodes/clock.ts'
import type { Host } from '../../nodes/host.ts'
import { freshIdentity } from '../../nodes/identity.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { startHost, stopHost, until } from './hosts.ts'
import { HERE, suite } from './mix-material.ts'

const MEAN = 15
const SIZE = 4608

let dir: string
let places: Place[] = []

beforeEach(() => { dir = mkdtempSync(join(tmpdir(), 'mixmint-restart-')) })
afterEach(async () => {
  await Promise.all(places.map(async place => { if (place.isRunning) await place.stop(50) }))
  places = []
  rmSync(dir, { recursive: true, force: true })
})

/** A node of the chain, over its restarts. */
class Place {
  readonly #identity: Secp256k1PrivateKey
  readonly #privateKey = systemRng.bytes(32)
  readonly #dir: string
  readonly #strategy: Strategy
  readonly #onDeliver: (message: Uint8Array) => void
  #running: { host: Host, mix: MixNode } | null = null
  peer: Uint8Array = new Uint8Array(0)
  addresses: string[] = []
  /** Packets that some run of it has dropped, lost over a stop, or had to hand over. */
  dropped = 0
  lost = 0
  handedOver = 0

  private constructor (identity: Secp256k1PrivateKey, name: string, strategy: Strategy, onDeliver: (message: Uint8Array) => void) {
    this.#identity = identity
    this.#dir = join(dir, name)
    this.#strategy = strategy
    this.#onDeliver = onDeliver
  }

  static async at (name: string, strategy: Strategy, onDeliver: (message: Uint8Array) => void = () => {}): Promise<Place> {
    const place = new Place(await freshIdentity(), name, strategy, onDeliver)
    await place.start()
    places.push(place)
    return place
  }

  get isRunning (): boolean { return this.#running !== null }
  get mix (): MixNode {
    if (this.#running === null) throw new Error('not running')
    return this.#running.mix
  }

  hop (delay: number): Hop {
    return { publicKey: suite.x25519Base(this.#privateKey), address: addressBlock(this.addresses[0], this.peer), delay }
  }

  async start (): Promise<void> {
    const host = await startHost({ privateKey: this.#identity, ...(this.addresses.length > 0 ? { listen: this.addresses } : {}) })
    this.addresses = host.addresses()
    this.peer = host.peer
    const meter = new CountingMeter()
    const engine = new MixEngine({
      suite, self: host.peer, topology: { mayForward: () => true, mayReachWallet: () => false },
      parameters: { strategy: this.#strategy, meanDelay: MEAN, packetSize: SIZE, queueLimit: 10_000, replayLimit: 100_000 }
    })
    const seenLog = new SeenLog(join(this.#dir, 'seen'))
    seenLog.create(1, this.#privateKey)
    const mix = new MixNode({
      node: host.node, engine, clock: systemClock, rng: systemRng, meter,
      neighbourhood: { addresses: peer => places.find(other => toHex(other.peer) === peer)?.addresses ?? [], accepts: () => true },
      limits: { backoff: { first: 20, most: 100 } },
      seenLog, handover: new HandoverFile(join(this.#dir, 'handover'), SIZE),
      onDeliver: this.#onDeliver
    })
    mix.install({ epoch: 1, privateKey: this.#privateKey, from: 0, until: Infinity })
    this.#running = { host, mix }
    this.#count = () => {
      const sum = (dropped: object): number => Object.values(dropped).reduce((sum: number, n: number) => sum + n, 0)
      this.dropped += sum(mix.counts().mix.dropped)
      this.lost += sum(mix.counts().links.dropped) + meter.of('mix_stop_dropped') + meter.of('mix_handover_failed')
      this.handedOver += meter.of('mix_handed_over')
    }
    await mix.start()
  }

  #count = (): void => {}

  async stop (ms = 20_000): Promise<void> {
    const { mix, host } = this.#running as { host: Host, mix: MixNode }
    await mix.stop(ms)
    this.#running = null
    this.#count()
    await stopHost(host)
  }

  async restart (): Promise<void> {
    await this.stop()
    await this.start()
  }
}

/** Restart as told, under traffic through a chain of three mixes; then count. */
async function underTraffic (strategy: Strategy, restart: (mixes: Place[]) => Promise<void>): Promise<void> {
  const arrived = new Map<number, number>()
  const source = await Place.at('source', { kind: 'poisson' })
  const mixes = [await Place.at('one', strategy), await Place.at('two', strategy), await Place.at('three', strategy)]
  const sink = await Place.at('sink', { kind: 'poisson' }, message => {
    const id = new DataView(message.buffer, message.byteOffset).getUint32(0)
    arrived.set(id, (arrived.get(id) ?? 0) + 1)
  })
  let sent = 0
  const message = systemRng.bytes(3968)
  const feeding = setInterval(() => {
    new DataView(message.buffer).setUint32(0, sent)
    const packet = wrap(suite, systemRng.bytes(32), [...mixes.map(mix => mix.hop(MEAN)), sink.hop(0)], HERE, message)
    expect(source.mix.sendPacket(mixes[0].peer, packet)).toBe('queued')
    sent += 1
  }, 5)
  try {
    await until(() => arrived.size > 20)
    await restart(mixes)
    const soFar = sent
    await until(() => sent > soFar + 20)
  } finally {
    clearInterval(feeding)
  }
  // Where packets wait for others, the last ones are brought out by stopping. A mix that is stopped again before a neighbour
  // has found it back could never be reached: so between the rounds all links send what they have.
  const isQuiet = (): boolean => [source, ...mixes].every(({ mix }) => mix.counts().links.queued === 0)
  while (arrived.size < sent) {
    for (const mix of mixes) await mix.restart()
    await until(isQuiet)
  }
  for (const place of [source, ...mixes, sink]) await place.stop()
  expect([...arrived.values()].every(times => times === 1)).toBe(true)
  expect(mixes.map(({ dropped, lost }) => [dropped, lost])).toEqual([[0, 0], [0, 0], [0, 0]])
}

test('each in turn, twice', async () => {
  await underTraffic({ kind: 'poisson' }, async mixes => { for (const mix of [...mixes, ...mixes]) await mix.restart() })
})

test('neighbours at one time, and all at one time: what they have for each other waits in files', async () => {
  await underTraffic({ kind: 'poisson' }, async mixes => {
    const [one, two, three] = mixes
    await Promise.all([one.restart(), two.restart()])
    await Promise.all([two.restart(), three.restart()])
    await Promise.all(mixes.map(async mix => { await mix.restart() }))
    await two.stop()
    await until(() => one.mix.counts().links.queued > 10)
    await one.stop()
    expect(one.handedOver).toBeGreaterThan(10)
    await three.restart()
    await one.start()
    await two.start()
  })
})

test.each<Strategy>([{ kind: 'threshold', batch: 7 }, { kind: 'timed', interval: 50 }, { kind: 'pool', interval: 60_000, threshold: 10, pool: 5 }])(
  'with $kind mixing, what waits for others leaves at the stop', async strategy => {
    await underTraffic(strategy, async mixes => { for (const mix of mixes) await mix.restart() })
  })
