/**
 * The mix layer at work: what wrapping costs beside its primitives; how many packets one node process forwards over real
 * libp2p streams, with generator and sink on the same machine; how much later than drawn they leave; its memory.
 */
import { randomBytes } from 'node:crypto'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import type { Suite } from '@mixmint/core/crypto/suite'
import { createSurb } from '@mixmint/mixnet/sphinx/surb'
import { encodeMessage } from '@mixmint/mixnet/sphinx/message'
import { wrap, type Hop } from '@mixmint/mixnet/sphinx/wrap'
import { atLeast, compareWith, figure, goal, limit, quantile, type Row } from './harness.ts'
import { roundTrips } from './mixnet-round.ts'
import { comparePool } from './peel-pool.ts'
import { Ends, Line, type Made } from './mixnet-line.ts'

const WRAP_GOAL = 1.5
const THROUGHPUT_GOAL = 6000
const LATENESS_GOAL = 10
const MEMORY_GOAL = 256
const ROUND_GOAL = 30
const ROUND_TRIPS = 40
const MEBIBYTE = 2 ** 20

/** Packets of the throughput run, and of those not counted before it. */
const FLOOD = 20_000
const WARM = 4_000
/** Of the run that measures lateness: a process that has just started compiles what it runs, for some seconds. */
const WARM_LATE = 10_000
/** Packets inside at any time of the throughput run: less than any queue on the way holds. */
const IN_FLIGHT = 3_000
/** Seconds of the run that measures memory. */
const STEADY = 8
/** The soak: as long as MIXMINT_SOAK says, in seconds. */
const SOAK_SECONDS = Number(process.env.MIXMINT_SOAK ?? 20)
const SOAK_RATE = 500
const ROTATIONS = 10
/** The mean delay of the other runs, ms. */
const SHORT = 20

export async function mixnetRows (): Promise<Row[]> {
  const suite = await defaultSuite()
  const ends = await Ends.start()
  try {
    const made = ends.make(WARM + FLOOD, SHORT)
    const throughput = await forwarded(ends, made)
    const pool = await comparePool(2)
    const rate = Math.min(throughput, THROUGHPUT_GOAL) * 0.7
    const late = await lateness(ends, made, rate)
    const memory = await memoryAt(ends, 2000, 1000)
    const [round, covered] = [await roundTrips(ROUND_TRIPS, false), await roundTrips(ROUND_TRIPS, true)]
    const soaked = await growth(ends, SOAK_SECONDS)
    return [
      wrapping(suite),
      { ...atLeast('packets/s forwarded by one process, TCP, Noise, Yamux; to a thread that only peels', throughput, 'packets/s', THROUGHPUT_GOAL), ratio: throughput / pool.alone },
      limit(`p99 of the delay beyond the drawn one, at ${Math.round(rate)} packets/s`, quantile(late, 0.99), 'ms', LATENESS_GOAL),
      figure('its median', quantile(late, 0.5), 'ms'),
      figure('peel on the main thread', pool.alone, 'packets/s'),
      figure('peel in two workers', pool.pooled, 'packets/s'),
      figure('what handing over to workers costs the main thread', pool.handing, 'µs/packet'),
      limit('median of a round trip of 5 + 5 hops beyond its drawn delays, mean 50 ms', quantile(round, 0.5), 'ms', ROUND_GOAL),
      figure('the same where answers look like echoes, as the default cover asks (pace 100 ms)', quantile(covered, 0.5), 'ms'),
      limit('anonymous memory at 2000 packets/s, mean delay 1 s', memory / MEBIBYTE, 'MiB', MEMORY_GOAL),
      figure(`its growth in the second half of a soak of ${SOAK_SECONDS} s, ${SOAK_RATE} packets/s, ${ROTATIONS} keys`, soaked / 1024, 'KiB/s')
    ]
  } finally {
    await ends.stop()
  }
}

/** A packet of five hops with one SURB of five, as a wallet makes it. */
function wrapping (suite: Suite): Row {
  const [there, back] = [pathOf(suite), pathOf(suite)]
  const data = random(2000)
  const [ephemeral, other, id, key] = [32, 32, 16, 16].map(random)
  const make = (): void => {
    const { surb } = createSurb(suite, other, back, id, key)
    wrap(suite, ephemeral, there, HERE, encodeMessage(MESSAGE_SIZE, { codec: '/bench/1', surbs: [surb], data, sequence: 0 }))
  }
  const primitives = primitivesOfWrap(suite)
  const base = (): void => { for (const { times, call } of primitives) for (let i = 0; i < times; i++) call() }
  const { ratio, call } = compareWith(make, base)
  return goal(`wrap, 5 hops, with a SURB of 5 hops, to the sum of its primitives (${suite.name})`, ratio, call, 'µs', WRAP_GOAL)
}

/**
 * Of two headers of five hops, and one payload. X25519 clamps its scalars, so they cannot be multiplied with each other:
 * the secret of hop i takes i multiplications, one with the ephemeral key and each blinding before (1 + 2 + 3 + 4 + 5),
 * and each alpha but the first takes one.
 */
function primitivesOfWrap (suite: Suite): Array<{ times: number, call: () => unknown }> {
  const [key16, key32, nonce, labelled, right, beta, padded] = [16, 32, 12, 40, 3952, 576, 688].map(random)
  const point = suite.x25519Base(random(32))
  return [
    { times: 2 * (15 + 4), call: () => suite.x25519(key32, point) },
    { times: 2, call: () => suite.x25519Base(key32) },
    { times: 2 * 5, call: () => suite.aes128ctr(key16, key16, padded) },
    { times: 2 * 5, call: () => suite.hmacSha256(key16, beta) },
    { times: 2 * 5, call: () => suite.chacha20(key32, nonce, right) },
    { times: 2 * 5, call: () => suite.blake2b256(key32, right) },
    { times: 5, call: () => suite.shake128(key32, 128) },
    // Of each hop the header's three keys, of all but the last the blinding, and of those of the payload two keys.
    { times: 2 * (5 * 3 + 4) + 5 * 2, call: () => suite.sha256(labelled) }
  ]
}

/** Packets per second, from the first that arrives after the warming up to the last. */
async function forwarded (ends: Ends, made: readonly Made[]): Promise<number> {
  return await between(ends, SHORT, async line => {
    const arrivals: number[] = []
    const { promise: all, resolve } = Promise.withResolvers<void>()
    line.onArrival = (_name, at) => { if (arrivals.push(at) === made.length) resolve() }
    let next = 0
    const filling = setInterval(() => { while (next < made.length && next - arrivals.length < IN_FLIGHT) line.send(made[next++].packet) }, 1)
    await all
    clearInterval(filling)
    return FLOOD * 1000 / (arrivals[arrivals.length - 1] - arrivals[WARM - 1])
  })
}

/** Resolves when this count has stood still for three seconds. */
async function quiet (count: () => number): Promise<void> {
  for (let before = -1; before < count();) {
    before = count()
    await new Promise(resolve => setTimeout(resolve, 3000))
  }
}

/** Of each packet sent at a steady rate, how long it took beyond the delay that was drawn for it, ms. */
async function lateness (ends: Ends, made: readonly Made[], rate: number): Promise<number[]> {
  return await between(ends, SHORT, async line => {
    const delays = line.delays()
    const expected = new Map<string, number>()
    const late: number[] = []
    const { promise: all, resolve } = Promise.withResolvers<void>()
    line.onArrival = (name, at) => { if (late.push(at - (expected.get(name) ?? at)) === made.length) resolve() }
    await steadily(rate, made.length, i => {
      const { packet, name } = made[i]
      expected.set(name, performance.now() + (delays.next().value as number))
      line.send(packet)
    })
    await Promise.race([all, quiet(() => late.length)])
    // What a machine that is too busy has shed is later than anything.
    while (late.length < made.length) late.push(Infinity)
    return late.slice(WARM_LATE)
  })
}

/** The most anonymous memory of the node during the run, bytes. */
async function memoryAt (ends: Ends, rate: number, mean: number): Promise<number> {
  const made = ends.make(rate * STEADY, mean)
  return await between(ends, mean, async line => {
    let most = 0
    const looking = setInterval(() => { line.report().then(({ anonymous }) => { most = Math.max(most, anonymous) }, () => {}) }, 1000)
    await steadily(rate, made.length, i => { line.send(made[i].packet) })
    clearInterval(looking)
    return most
  })
}

/**
 * How much anonymous memory grows in the second half of a run at a moderate rate, with a new key every few seconds, bytes
 * per second: what only gathers within an epoch is gone again, what leaks is left.
 */
async function growth (ends: Ends, seconds: number): Promise<number> {
  return await between(ends, SHORT, async line => {
    const seen: Array<{ at: number, anonymous: number }> = []
    const looking = setInterval(() => {
      line.report().then(({ anonymous }) => { seen.push({ at: performance.now(), anonymous }) }, () => {})
    }, 500)
    const rotating = setInterval(() => { line.rotate() }, seconds * 1000 / ROTATIONS)
    try {
      await steadily(SOAK_RATE, SOAK_RATE * seconds, () => { for (const { packet } of ends.make(1, SHORT)) line.send(packet) })
    } finally {
      clearInterval(looking)
      clearInterval(rotating)
    }
    return slope(seen.slice(seen.length >> 1))
  })
}

/** By least squares, per second. */
function slope (seen: ReadonlyArray<{ readonly at: number, readonly anonymous: number }>): number {
  const mean = (of: (entry: typeof seen[number]) => number): number => seen.reduce((sum, entry) => sum + of(entry), 0) / seen.length
  const [at, held] = [mean(entry => entry.at / 1000), mean(entry => entry.anonymous)]
  const covariance = mean(entry => (entry.at / 1000 - at) * (entry.anonymous - held))
  return covariance / mean(entry => (entry.at / 1000 - at) ** 2)
}

async function between<T> (ends: Ends, mean: number, run: (line: Line) => Promise<T>): Promise<T> {
  const line = await Line.start(ends, mean)
  try {
    return await run(line)
  } finally {
    await line.stop()
  }
}

/** Call `act` `count` times, `rate` times a second, catching up every few ms. */
async function steadily (rate: number, count: number, act: (i: number) => void): Promise<void> {
  const started = performance.now()
  for (let i = 0; i < count;) {
    const due = Math.min(count, (performance.now() - started) * rate / 1000)
    while (i < due) act(i++)
    await new Promise(resolve => setTimeout(resolve, 1))
  }
}

const HERE = new Uint8Array(94)
const MESSAGE_SIZE = 3968

function pathOf (suite: Suite): Hop[] {
  return Array.from({ length: 5 }, (_, i) => ({ publicKey: suite.x25519Base(random(32)), address: random(94), delay: i === 4 ? 0 : 50 }))
}

function random (length: number): Uint8Array {
  return new Uint8Array(randomBytes(length))
}
