/** What the echoes of a wallet do beside hiding its requests: they keep its budget of replies, and show who drops packets. */
import { describe, expect, test } from 'vitest'
import { coverPaths } from '@mixmint/mixnet/directory/route'
import { readCover, writeCover } from '@mixmint/mixnet/cover/message'
import { CoverSender, type CoverSenderEffect, type CoverSenderEvent } from '@mixmint/mixnet/cover/sender'
import { useSurb } from '@mixmint/mixnet/sphinx/surb'
import { toHex } from '@mixmint/core/kit/bytes'
import { EngineClock } from '../doubles/engine-clock.ts'
import { testNode } from '../doubles/directory.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'
import { toySuite } from '../doubles/toy-suite.ts'
import { ends, follow, gateway, nameOf, now, PACKET_SIZE, suite, view, wallet } from './cover-material.ts'

const BANK = view.services('bank')[0].peer

/** A wallet whose packets are followed at once, whose echoes the bank answers; or, with toy ciphers, are only counted. */
class Wallet {
  readonly meter = new CountingMeter()
  readonly clock = new EngineClock(now)
  readonly told: CoverSenderEffect[] = []
  readonly sender: CoverSender
  /** Is a packet lost on a path over these nodes, or back over these? */
  loses: (passed: readonly string[]) => boolean = () => false
  echoes: number
  send = 100
  sent = 0
  readonly #isFollowed
  readonly #rng

  constructor (echoes: number, seed: string, ciphers = suite) {
    this.echoes = echoes
    this.#isFollowed = ciphers === suite
    this.#rng = seededRng(seed)
    this.sender = new CoverSender({
      suite: ciphers, meter: this.meter, parameters: () => ({ send: this.send, echoes: this.echoes, packetSize: PACKET_SIZE }),
      paths: coverPaths(() => view, { gateway, peer: ends.walletPeer, mixKey: ends.walletKey }), ready: () => true, queueLimit: 1000, homeWithin: () => 5000
    })
    this.step({ is: 'timer' })
  }

  get echoed (): number {
    return this.meter.of('cover_sent', { kind: 'echo' })
  }

  step (event: CoverSenderEvent): void {
    for (const effect of this.sender.step(event, this.clock.now, this.#rng)) {
      if (effect.do !== 'send') this.told.push(effect)
      else this.#follow(effect)
    }
  }

  /** A packet of a request. */
  ask (): void {
    this.step({ is: 'packet', owner: 1, firstHop: new Uint8Array(94), packet: new Uint8Array(PACKET_SIZE) })
  }

  run (slots: number): this {
    for (const end = this.sent + slots; this.sent < end;) this.clock.run(this.clock.now + 50, this.sender, () => { this.step({ is: 'timer' }) })
    return this
  }

  get alarms (): readonly string[] {
    return this.sender.figures().alarms.map(about => about === 'all' ? about : nameOf(about))
  }

  #follow ({ owner, firstHop, packet }: CoverSenderEffect & { do: 'send' }): void {
    this.sent += 1
    if (owner !== null || !this.#isFollowed) return
    const there = follow(wallet.peer, firstHop, packet)
    const cover = there.is === 'exit' ? readCover(there.message) : null
    if (cover?.is !== 'echo' || this.loses(there.passed)) return
    const answer = useSurb(suite, cover.surb, writeCover(PACKET_SIZE - 640, { is: 'answer' }))
    const back = answer === null ? null : follow(BANK, answer.firstHop, answer.packet)
    if (back?.is !== 'reply') throw new Error('no reply')
    if (!this.loses(back.passed)) this.step({ is: 'reply', surbId: back.surbId, payload: back.payload })
  }
}

describe('of replies a wallet has a budget, one for each slot with the chance of an echo', () => {
  const SLOTS = 3000
  const off = (replies: number, slots = SLOTS): number => (replies - 0.2 * slots) / Math.sqrt(0.16 * slots)

  test('which requests share with echoes: there are as many replies as without requests', () => {
    expect(Math.abs(off(new Wallet(200, 'none', toySuite).run(SLOTS).echoed))).toBeLessThan(3)
    const busy = new Wallet(200, 'some', toySuite)
    let replies = 0
    // Requests of one packet and one reply, in a tenth of the slots: a quarter as many replies more, if nothing made up for them.
    for (let i = 0; i < SLOTS / 10; i++) {
      busy.ask()
      busy.run(8)
      busy.step({ is: 'answered' })
      replies += 1
      busy.run((i + 1) * 10 - busy.sent)
    }
    expect(replies).toBe(300)
    expect(Math.abs(off(busy.echoed + replies, busy.sent))).toBeLessThan(3)
    expect(Math.abs(off(busy.echoed, busy.sent))).toBeGreaterThan(6)
  })

  test('what long requests did not use, echoes use later, and the other way round: in the end as many', () => {
    const there = new Wallet(200, 'long request', toySuite)
    for (let i = 0; i < 800; i++) there.ask()
    there.run(800)
    expect(there.echoed).toBe(0)
    expect(Math.abs(off(there.run(SLOTS - 800).echoed, there.sent))).toBeLessThan(3)
    const back = new Wallet(200, 'long answer', toySuite)
    for (let i = 0; i < 100; i++) back.step({ is: 'answered' })
    back.run(500)
    // Half as many meanwhile, so that losses are still seen.
    expect(Math.abs(back.echoed - 50)).toBeLessThan(3 * Math.sqrt(500 * 0.1 * 0.9))
    expect(Math.abs(off(back.run(SLOTS - 500).echoed + 100, back.sent))).toBeLessThan(3)
  })

  test('that is bounded: nobody whose answers are long stops the echoes', () => {
    const flooded = new Wallet(200, 'flooded', toySuite)
    for (let i = 0; i < 100_000; i++) flooded.step({ is: 'answered' })
    expect(flooded.run(400).echoed).toBeGreaterThan(20)
    flooded.run(2600)
    const before = [flooded.echoed, flooded.sent]
    flooded.run(1000)
    expect(Math.abs(off(flooded.echoed - before[0], flooded.sent - before[1]))).toBeLessThan(3)
  })

  test('that begins with the cover: what was answered before it does not count', () => {
    const late = new Wallet(200, 'late', toySuite)
    late.send = 0
    late.step({ is: 'timer' })
    for (let i = 0; i < 250; i++) late.step({ is: 'answered' })
    late.send = 100
    late.step({ is: 'timer' })
    expect(Math.abs(off(late.run(1000).echoed, late.sent))).toBeLessThan(3)
  })
})

describe('a wallet sees by its echoes', () => {
  test('which node drops packets, on the way there or back: its gateway, a mix; and names no other', () => {
    for (const bad of ['mix 1', 'mix 3', 'mix 5']) {
      const seen = new Wallet(1000, `bad ${bad}`).run(200)
      expect(seen.alarms).toEqual([])
      seen.loses = passed => passed.includes(bad)
      seen.run(200)
      expect(seen.alarms, bad).toEqual([bad])
      expect(seen.told).toContainEqual(expect.objectContaining({ do: 'alarm', about: toHex(testNode(bad).peer) }))
      const { nodes, paths } = seen.sender.figures()
      expect(nodes.find(({ node }) => nameOf(node) === bad)?.lost).toBeGreaterThan(10)
      expect(paths[0].nodes.map(nameOf)).toContain(bad)
    }
  })

  test('that it is cut off: when its gateway lets nothing through but what it is after, within a dozen echoes; and that it is over', () => {
    const cut = new Wallet(1000, 'cut off').run(200)
    cut.loses = () => true
    cut.run(12 + 70)
    expect(cut.alarms).toContain('all')
    cut.loses = () => false
    cut.run(200)
    expect(cut.alarms).toEqual([])
    expect(cut.told.filter(({ do: what }) => what === 'clear').length).toBeGreaterThan(0)
  })
})
