/** The shell of loops, with mixers that are not there: what it sends is peeled at once, at every hop. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { fromHex } from '@mixmint/core/kit/bytes'
import type { Log } from '@mixmint/core/kit/ports'
import { loopPaths } from '@mixmint/mixnet/directory/route'
import { DirectoryView } from '@mixmint/mixnet/directory/view'
import { LoopSender } from '@mixmint/mixnet/wire/loops'
import { peerIdFromBytes } from '@mixmint/mixnet/wire/peers'
import { encodeMessage } from '@mixmint/mixnet/sphinx/message'
import { START, testNode } from '../doubles/directory.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'
import { follow, PACKET_SIZE, suite, view } from './cover-material.ts'

const self = testNode('mix 0').peer

class World {
  readonly meter = new CountingMeter()
  readonly lines: string[] = []
  readonly sender: LoopSender
  view: DirectoryView | null
  /** Is a loop over these nodes lost? */
  loses: (passed: readonly string[]) => boolean = () => false
  isFull = false
  sent = 0

  constructor (loop: number) {
    const { document } = view.signed
    const { parameters } = document
    this.view = new DirectoryView({ ...view.signed, document: { ...document, parameters: { ...parameters, cover: { ...parameters.cover, loop } } } })
    const line = (level: string) => (message: string, fields: object = {}): void => { this.lines.push(`${level} ${message} ${JSON.stringify(fields)}`) }
    const log: Log = { info: line('info'), warn: line('warn'), error: line('error') }
    this.sender = new LoopSender({
      suite, clock: { now: () => Date.now() }, rng: seededRng('loops on the wire'), meter: this.meter, log,
      parameters: () => this.view?.parameters ?? null, path: loopPaths(() => this.view, self), isNode: peer => this.view?.byPeer(fromHex(peer)) !== undefined,
      sendPacket: (to, packet) => {
        this.sent += 1
        if (this.isFull) return 'link-full'
        const end = follow(self, to, packet)
        if (end.is !== 'exit' || end.at !== 'mix 0') throw new Error('not a loop')
        if (!this.loses(end.passed)) setTimeout(() => { expect(this.sender.onDeliver(end.bytes)).toBe(true) }, 100)
        return 'queued'
      }
    })
  }
}

beforeEach(() => { vi.useFakeTimers({ now: START + 1000 }) })
afterEach(() => { vi.useRealTimers() })

test('a node sends loops by the document in force, knows them again, and says when they stay away', () => {
  const world = new World(1000)
  const { sender, lines, meter } = world
  vi.advanceTimersByTime(10_000)
  expect(world.sent).toBe(0)
  sender.onDocument()
  vi.advanceTimersByTime(60_000)
  const home = sender.figures()
  expect(home.returned).toBeGreaterThan(40)
  expect(home).toMatchObject({ sent: world.sent, returned: world.sent - home.pending, lost: 0, alarms: [], delay: { longest: 100 } })
  expect(home.nodes.map(({ node }) => node)).toContain(peerIdFromBytes(testNode('gateway 1').peer).toString())
  world.loses = () => true
  vi.advanceTimersByTime(60_000)
  expect(sender.figures().alarms).toEqual(['all'])
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(/^warn most loops of this node are lost.*\{"loops":12,"lost":12\}$/)
  expect(meter.of('loop_alarms', { about: 'all' })).toBe(1)
  world.loses = () => false
  vi.advanceTimersByTime(100_000)
  expect(lines[1]).toBe('info loops come home again {}')
})

test('an alarm about a node names it by the peer id under which all the world knows it', () => {
  const world = new World(100)
  world.loses = passed => passed.includes('gateway 1')
  world.sender.onDocument()
  vi.advanceTimersByTime(20_000)
  const bad = peerIdFromBytes(testNode('gateway 1').peer).toString()
  expect(world.sender.figures().alarms).toEqual([bad])
  expect(world.lines).toHaveLength(1)
  expect(world.lines[0]).toMatch(new RegExp(`^warn loops through this node are lost.*"node":"${bad}","loops":\\d+,"lost":\\d+,"othersLoops":\\d+,"othersLost":0`))
  expect(world.meter.of('loop_alarms', { about: 'node' })).toBe(1)
})

test('a full link is counted; no document, or the end, stops it', () => {
  const world = new World(100)
  world.sender.onDocument()
  world.isFull = true
  vi.advanceTimersByTime(2_000)
  expect(world.meter.of('cover_unsent', { reason: 'link-full' })).toBe(world.sent)
  const quiet = (): boolean => {
    const before = world.sent
    vi.advanceTimersByTime(3_000)
    return world.sent === before
  }
  expect(quiet()).toBe(false)
  const known = world.view
  world.view = null
  world.sender.onDocument()
  expect(quiet()).toBe(true)
  world.view = known
  world.sender.onDocument()
  expect(quiet()).toBe(false)
  world.sender.stop()
  expect(quiet()).toBe(true)
})

test('messages that are no loops are left to others', () => {
  const { sender } = new World(1000)
  const other = encodeMessage(PACKET_SIZE - 640, { codec: '/other/1', surbs: [], data: new Uint8Array(17).fill(3), sequence: 0 })
  expect([other, new Uint8Array(PACKET_SIZE - 640), new Uint8Array(3)].map(message => sender.onDeliver(message))).toEqual([false, false, false])
})
