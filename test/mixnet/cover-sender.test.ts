import { describe, expect, test } from 'vitest'
import { coverPaths } from '@mixmint/mixnet/directory/route'
import { isCover, readCover, writeCover } from '@mixmint/mixnet/cover/message'
import { CoverSender, type CoverSenderConfig, type CoverSenderEffect, type CoverSenderEvent } from '@mixmint/mixnet/cover/sender'
import { useSurb } from '@mixmint/mixnet/sphinx/surb'
import { EngineClock } from '../doubles/engine-clock.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'
import { ksOneSample } from '../reference/statistics.ts'
import { ends, follow, gateway, now, PACKET_SIZE, suite, view, wallet, type Arrival } from './cover-material.ts'

type Sent = CoverSenderEffect & { readonly do: 'send', readonly at: number }

const MESSAGE = PACKET_SIZE - 640
const HOME: number = 1000

class Wallet {
  readonly meter = new CountingMeter()
  readonly clock = new EngineClock(now)
  readonly sent: Sent[] = []
  readonly others: CoverSenderEffect[] = []
  readonly sender: CoverSender
  send = 100
  echoes = 0
  isReady = true
  hasPaths = true
  /** How long the mix keys of paths live at most. */
  lives = Infinity
  expiring: 'there' | 'back' = 'there'
  /** Timers at which a drop packet was made. */
  madeAt: number[] = []
  readonly #rng = seededRng('sender')

  constructor (changes: Partial<CoverSenderConfig> = {}) {
    const { forward, back } = coverPaths(() => this.hasPaths ? view : null, { gateway, peer: ends.walletPeer, mixKey: ends.walletKey })
    this.sender = new CoverSender({
      suite, meter: this.meter, parameters: () => ({ send: this.send, echoes: this.echoes, packetSize: PACKET_SIZE }),
      paths: {
        forward: (at, rng) => {
          const path = forward(at, rng)
          if (path !== null) this.madeAt.push(at)
          return path === null ? null : { ...path, expires: this.expiring === 'there' ? Math.min(path.expires, at + this.lives) : path.expires }
        },
        back: (at, rng) => {
          const path = back(at, rng)
          return path === null || this.expiring === 'there' ? path : { ...path, expires: Math.min(path.expires, at + this.lives) }
        }
      },
      ready: () => this.isReady, queueLimit: 4, homeWithin: () => HOME, ...changes
    })
  }

  step (event: CoverSenderEvent): void {
    for (const effect of this.sender.step(event, this.clock.now, this.#rng)) {
      if (effect.do === 'send') this.sent.push({ ...effect, at: this.clock.now })
      else this.others.push(effect)
    }
  }

  packet (owner: number): void {
    this.step({ is: 'packet', owner, firstHop: Uint8Array.of(owner), packet: new Uint8Array(PACKET_SIZE).fill(owner) })
  }

  run (ms: number): this {
    this.step({ is: 'timer' })
    this.clock.run(this.clock.now + ms, this.sender, () => { this.step({ is: 'timer' }) })
    return this
  }

  get owners (): Array<number | null> {
    return this.sent.map(({ owner }) => owner)
  }
}

const arrival = ({ firstHop, packet }: Sent): Arrival => follow(wallet.peer, firstHop, packet)

describe('the sender of a wallet', () => {
  test('sends at exponential distances, whether or not there is something to say, packets of one size', () => {
    const quiet = new Wallet().run(60_000)
    const busy = new Wallet()
    for (let i = 0; i < 300; i++) {
      busy.packet(1)
      busy.run(200)
    }
    const gaps = ({ sent }: Wallet): number[] => sent.slice(1).map(({ at }, i) => at - sent[i].at)
    for (const wallet of [quiet, busy]) expect(ksOneSample(gaps(wallet), x => 1 - Math.exp(-x / 100))).toBeGreaterThan(0.001)
    expect(busy.owners.filter(owner => owner === 1).length).toBeGreaterThan(280)
    expect(new Set([...quiet.sent, ...busy.sent].map(({ packet }) => packet.length))).toEqual(new Set([PACKET_SIZE]))
  })

  test('what waits leaves first, in its order; what is too much is unsent, and said so', () => {
    const wallet = new Wallet()
    for (const owner of [1, 2, 1, 3, 4, 5]) wallet.packet(owner)
    expect(wallet.others).toEqual([{ do: 'unsent', owner: 4 }, { do: 'unsent', owner: 5 }])
    expect(wallet.sender.waiting).toBe(4)
    wallet.run(3000)
    expect(wallet.owners.slice(0, 5)).toEqual([1, 2, 1, 3, null])
    expect(wallet.meter.of('cover_unsent', { reason: 'queue-full' })).toBe(2)
  })

  test('drop packets go over paths of their own to every service that can be reached, and say nothing', () => {
    const wallet = new Wallet().run(10_000)
    const arrivals = wallet.sent.map(arrival)
    expect(new Set(arrivals.map(({ at }) => at))).toEqual(new Set(['bank']))
    expect(new Set(arrivals.map(({ passed }) => passed.join())).size).toBe(8)
    for (const each of arrivals) expect(each.is === 'exit' && isCover(each.message) && readCover(each.message)).toEqual({ is: 'drop' })
    expect(wallet.meter.of('cover_sent', { kind: 'drop' })).toBe(wallet.sent.length)
  })

  test('so many of a thousand are echoes, which come home or are lost', () => {
    const wallet = new Wallet()
    wallet.echoes = 300
    const answered: Sent[] = []
    wallet.step({ is: 'timer' })
    for (let i = 0; i < 200; i++) {
      const before = wallet.sent.length
      wallet.run(100)
      for (const sent of wallet.sent.slice(before)) {
        const end = arrival(sent)
        const cover = end.is === 'exit' ? readCover(end.message) : null
        if (cover?.is !== 'echo') continue
        answered.push(sent)
        if (answered.length % 4 === 0) continue
        const used = useSurb(suite, cover.surb, writeCover(MESSAGE, { is: 'answer' }))
        const back = used === null ? null : follow(view.services('bank')[0].peer, used.firstHop, used.packet)
        if (back?.is !== 'reply') throw new Error('no reply')
        expect(wallet.sender.awaits(back.surbId)).toBe(true)
        if (answered.length % 4 === 1) back.payload[100] ^= 1
        wallet.step({ is: 'reply', surbId: back.surbId, payload: back.payload })
        expect(wallet.sender.awaits(back.surbId)).toBe(answered.length % 4 === 1)
      }
    }
    expect(Math.abs(answered.length / wallet.sent.length - 0.3)).toBeLessThan(0.1)
    wallet.send = 0
    wallet.run(HOME + 1)
    const { sent, returned, lost, pending, nodes } = wallet.sender.figures()
    expect([sent, pending]).toEqual([answered.length, 0])
    expect(Math.abs(returned - answered.length / 2)).toBeLessThan(2)
    expect(returned + lost).toBe(sent)
    // The gateway, all mixes, the bank.
    expect(nodes).toHaveLength(8)
    expect(wallet.meter.of('cover_dropped', { reason: 'changed' })).toBeGreaterThan(0)
  })

  test('what comes through a SURB of an echo and is no answer is as good as lost', () => {
    const wallet = new Wallet()
    wallet.echoes = 1000
    wallet.run(500)
    const end = arrival(wallet.sent[0])
    const cover = end.is === 'exit' ? readCover(end.message) : null
    const used = cover?.is === 'echo' ? useSurb(suite, cover.surb, writeCover(MESSAGE, { is: 'drop' })) : null
    const back = used === null ? null : follow(view.services('bank')[0].peer, used.firstHop, used.packet)
    if (back?.is !== 'reply') throw new Error('no reply')
    wallet.step({ is: 'reply', surbId: back.surbId, payload: back.payload })
    expect(wallet.sender.figures().returned).toBe(0)
    wallet.step({ is: 'reply', surbId: new Uint8Array(16), payload: back.payload })
    wallet.run(HOME)
    expect(wallet.sender.awaits(back.surbId)).toBe(false)
    expect(wallet.sender.figures()).toMatchObject({ returned: 0 })
  })

  test('makes the next packets ahead, in a turn of their own after the tick', () => {
    const wallet = new Wallet().run(3000)
    const ticks = wallet.sent.map(({ at }) => at)
    expect(wallet.madeAt.slice(1)).toEqual(ticks)
    // Room for a packet of a request is offered as often, and before the first tick.
    expect(wallet.others).toHaveLength(ticks.length + 1)
    expect(new Set(wallet.others.map(effect => effect.do))).toEqual(new Set(['slot']))
    wallet.clock.now = wallet.sender.due as number
    wallet.step({ is: 'timer' })
    // At the tick it only leaves.
    expect([wallet.sent.length, wallet.madeAt.length, wallet.others.length]).toEqual([ticks.length + 1, ticks.length + 1, ticks.length + 1])
    expect(wallet.sender.due).toBe(wallet.clock.now)
    wallet.step({ is: 'timer' })
    expect([wallet.sent.length, wallet.madeAt.length, wallet.others.length]).toEqual([ticks.length + 1, ticks.length + 2, ticks.length + 2])
    expect(wallet.sender.due).toBeGreaterThan(wallet.clock.now)
  })

  test('makes no drop packet while it has one, and offers no room while a packet waits', () => {
    const wallet = new Wallet().run(1000)
    const [made, offered] = [wallet.madeAt.length, wallet.others.length]
    const before = wallet.sent.length
    wallet.packet(1)
    wallet.packet(2)
    while (wallet.sender.waiting > 0) wallet.run(10)
    expect(wallet.owners.slice(before)).toEqual([1, 2])
    expect(wallet.madeAt).toHaveLength(made)
    // After the first left the second still waited.
    expect(wallet.others).toHaveLength(offered + 1)
  })

  test.each(['there', 'back'] as const)('a drop packet whose keys have expired is made again: those of the way %s', way => {
    const wallet = new Wallet()
    wallet.echoes = 1000
    wallet.lives = 50
    wallet.expiring = way
    wallet.run(3000)
    expect(wallet.madeAt.length).toBeGreaterThan(wallet.sent.length + 5)
    for (const { at } of wallet.sent) expect(at - Math.max(...wallet.madeAt.filter(made => made <= at && made > at - 1000))).toBeLessThan(50)
  })

  test('without send, packets leave at once and there is no cover; both change with the document', () => {
    const wallet = new Wallet()
    wallet.send = 0
    wallet.run(1000)
    expect(wallet.sender.due).toBeNull()
    wallet.packet(7)
    expect(wallet.owners).toEqual([7])
    wallet.send = 50
    wallet.packet(8)
    expect(wallet.run(5_000).sent.length).toBeGreaterThan(60)
    expect(wallet.owners.slice(0, 3)).toEqual([7, 8, null])
    wallet.packet(9)
    wallet.send = 0
    wallet.step({ is: 'timer' })
    expect([wallet.owners.at(-1), wallet.sender.due]).toEqual([9, null])
  })

  test('while the link takes nothing, nothing leaves and what is real is kept; without paths, only real packets leave', () => {
    const wallet = new Wallet()
    wallet.isReady = false
    wallet.packet(1)
    wallet.run(2000)
    expect(wallet.sent).toEqual([])
    expect(wallet.meter.of('cover_unsent', { reason: 'link' })).toBeGreaterThan(5)
    wallet.isReady = true
    expect(wallet.run(1000).owners.slice(0, 2)).toEqual([1, null])
    const lonely = new Wallet()
    lonely.hasPaths = false
    lonely.packet(1)
    lonely.run(2000)
    expect(lonely.owners).toEqual([1])
    const failed = lonely.meter.of('cover_unsent', { reason: 'no-path' })
    expect(failed).toBeGreaterThan(10)
    // Tried at the ticks, not all the time.
    expect(failed).toBeLessThan(60)
    lonely.hasPaths = true
    expect(lonely.run(1000).owners.length).toBeGreaterThan(2)
  })
})
