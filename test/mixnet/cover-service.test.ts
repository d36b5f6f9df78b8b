import { describe, expect, test } from 'vitest'
import { chooseReturnPath } from '@mixmint/mixnet/directory/route'
import { isCover, readCover, writeCover, type CoverMessage } from '@mixmint/mixnet/cover/message'
import { ServiceCover, type ServiceCoverEffect, type ServiceCoverEvent } from '@mixmint/mixnet/cover/service'
import { decodeMessage, encodeMessage, type Message } from '@mixmint/mixnet/sphinx/message'
import { createSurb, openReply } from '@mixmint/mixnet/sphinx/surb'
import { EngineClock } from '../doubles/engine-clock.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'
import { ksOneSample, ksTwoSample } from '../reference/statistics.ts'
import { ends, follow, now, PACKET_SIZE, suite, view } from './cover-material.ts'

const MESSAGE = PACKET_SIZE - 640
const rng = seededRng('service cover')
const { surb, secrets } = createSurb(suite, rng.bytes(32), chooseReturnPath(view, rng, now, ends).hops, rng.bytes(16), rng.bytes(16))

class Service {
  readonly meter = new CountingMeter()
  readonly clock = new EngineClock(now)
  readonly sent: Array<ServiceCoverEffect & { readonly at: number }> = []
  readonly cover: ServiceCover
  pace = 100
  readonly #rng = seededRng('service')

  constructor (echoLimit = 1000, queueLimit = 1000) {
    this.cover = new ServiceCover({ suite, meter: this.meter, parameters: () => ({ pace: this.pace, packetSize: PACKET_SIZE }), echoLimit, queueLimit })
  }

  step (event: ServiceCoverEvent): void {
    for (const effect of this.cover.step(event, this.clock.now, this.#rng)) this.sent.push({ ...effect, at: this.clock.now })
  }

  arrives (cover: CoverMessage): void {
    this.step({ is: 'cover', message: decodeMessage(writeCover(MESSAGE, cover)) as Message })
  }

  /** `age`: how long ago they were asked for. */
  answers (count: number, age = 0): void {
    this.step({ is: 'answer', asked: this.clock.now - age, packets: Array.from({ length: count }, () => ({ firstHop: new Uint8Array(94), packet: new Uint8Array(PACKET_SIZE) })) })
  }

  run (ms: number): this {
    this.clock.run(this.clock.now + ms, this.cover, () => { this.step({ is: 'timer' }) })
    return this
  }

  received (kind: string): number {
    return this.meter.of('cover_received', { kind })
  }
}

describe('cover at a service', () => {
  test('an echo is answered through its SURB; a drop packet is not', () => {
    const service = new Service()
    service.arrives({ is: 'echo', surb })
    service.arrives({ is: 'drop' })
    expect(service.sent).toEqual([])
    service.run(5000)
    expect(service.sent).toHaveLength(1)
    const end = follow(view.services('bank')[0].peer, service.sent[0].firstHop, service.sent[0].packet)
    const message = end.is === 'reply' ? decodeMessage(openReply(suite, secrets, end.payload) ?? new Uint8Array(0)) : null
    expect(message !== null && isCover(message) && readCover(message)).toEqual({ is: 'answer' })
    expect([service.received('echo'), service.received('drop')]).toEqual([1, 1])
  })

  test('what is neither is counted', () => {
    const service = new Service()
    service.arrives({ is: 'answer' })
    service.arrives({ is: 'loop', nonce: new Uint8Array(16) })
    service.arrives({ is: 'echo', surb: new Uint8Array(734) })
    service.run(5000)
    expect([service.received('malformed'), service.sent.length]).toEqual([3, 0])
  })

  test('echoes and answers wait alike, and the packets of an answer do not leave together', () => {
    const service = new Service()
    const waits = (send: () => void): number[] => Array.from({ length: 400 }, () => {
      const [from, before] = [service.clock.now, service.sent.length]
      send()
      service.run(20_000)
      return service.sent[before].at - from
    })
    // Of what a handler worked on for 60 ms it is counted from when it was asked.
    const [echoes, answers, worked] = [
      waits(() => { service.arrives({ is: 'echo', surb }) }), waits(() => { service.answers(1) }), waits(() => { service.answers(1, 60) }).map(wait => wait + 60)
    ]
    for (const sample of [echoes, answers, worked]) expect(ksOneSample(sample, x => x < 100 ? 0 : 1 - Math.exp(-(x - 100) / 100))).toBeGreaterThan(0.001)
    for (const sample of [answers, worked]) expect(ksTwoSample(echoes, sample)).toBeGreaterThan(0.01)
    // A handler that works for longer than a pace, or a clock that was set back or ahead meanwhile, waits for nobody.
    const slow = waits(() => { service.answers(1, 5000) })
    expect(ksOneSample(slow, x => 1 - Math.exp(-x / 100))).toBeGreaterThan(0.001)
    const ahead = waits(() => { service.answers(1, -3_600_000) })
    expect(ksTwoSample(ahead, echoes)).toBeGreaterThan(0.001)
    const before = service.sent.length
    service.answers(500)
    service.run(200_000)
    const times = service.sent.slice(before).map(({ at }) => at)
    expect(times).toHaveLength(500)
    expect(ksOneSample(times.slice(1).map((at, i) => at - times[i]), x => 1 - Math.exp(-x / 100))).toBeGreaterThan(0.001)
  })

  test('without pace they leave at once; and at a stop, what waits', () => {
    const service = new Service()
    service.answers(3)
    service.step({ is: 'drain' })
    expect(service.sent).toHaveLength(3)
    service.answers(1)
    expect(service.sent).toHaveLength(4)
    expect(service.cover.due).toBeNull()
    const other = new Service()
    other.pace = 0
    other.answers(2)
    other.arrives({ is: 'echo', surb })
    expect(other.sent).toHaveLength(3)
  })

  test('echoes are answered at a bounded rate, and so much waits at most', () => {
    const service = new Service(10, 25)
    for (let i = 0; i < 12; i++) service.arrives({ is: 'echo', surb })
    expect([service.received('echo'), service.received('echo-refused')]).toEqual([10, 2])
    service.run(500)
    for (let i = 0; i < 12; i++) service.arrives({ is: 'echo', surb })
    expect(service.received('echo')).toBe(15)
    service.clock.now += 3_600_000
    for (let i = 0; i < 30; i++) service.arrives({ is: 'echo', surb })
    expect(service.received('echo')).toBe(25)
    service.run(60_000)
    service.answers(30)
    expect(service.meter.of('cover_dropped', { reason: 'queue-full' })).toBe(5)
  })

  test.each([['ahead', 3_600_000], ['back', -3_600_000]])('nothing is held up, or all let go, when the clock is set %s', (_what, jump) => {
    const service = new Service()
    service.pace = 1000
    for (let i = 0; i < 100; i++) service.answers(1)
    service.run(500)
    const before = service.sent.length
    service.clock.now += jump
    service.step({ is: 'timer' })
    expect(service.sent.length - before).toBeLessThan(90)
    service.run(20_000)
    expect(service.sent).toHaveLength(100)
  })
})

describe('cover messages', () => {
  const codec = '/mixmint/cover/1'
  const read = (message: Message): CoverMessage | null => readCover(decodeMessage(encodeMessage(MESSAGE, message)) as Message)

  test('are read as they were written, and in no other form', () => {
    const all: CoverMessage[] = [{ is: 'drop' }, { is: 'echo', surb }, { is: 'answer' }, { is: 'loop', nonce: new Uint8Array(16).fill(3) }]
    for (const cover of all) expect(readCover(decodeMessage(writeCover(MESSAGE, cover)) as Message)).toEqual(cover)
    const bad: Message[] = [
      { codec, surbs: [], data: new Uint8Array(0), sequence: 0 },
      { codec, surbs: [], data: Uint8Array.of(4), sequence: 0 },
      { codec, surbs: [], data: Uint8Array.of(0, 0), sequence: 0 },
      { codec, surbs: [], data: Uint8Array.of(0), sequence: 1 },
      { codec, surbs: [surb], data: Uint8Array.of(0), sequence: 0 },
      { codec, surbs: [], data: Uint8Array.of(1), sequence: 0 },
      { codec, surbs: [surb, surb], data: Uint8Array.of(1), sequence: 0 },
      { codec, surbs: [], data: new Uint8Array(16).fill(3), sequence: 0 },
      { codec, surbs: [], data: new Uint8Array(18).fill(3), sequence: 0 }
    ]
    for (const message of bad) expect(read(message)).toBeNull()
    expect(isCover({ codec: '/mixmint/cover/2', surbs: [], data: Uint8Array.of(0), sequence: 0 })).toBe(false)
  })
})
