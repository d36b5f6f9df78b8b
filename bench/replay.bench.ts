/**
 * What it costs that no packet goes through twice: memory and disk for the seen tags, and how long packets wait for the disk,
 * which they do only when they are due before it has their tag.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SeenTags } from '@mixmint/mixnet/sphinx/replay'
import { SeenLog } from '@mixmint/mixnet/wire/seen-log'
import { TagRecorder } from '@mixmint/mixnet/wire/tag-recorder'
import { figure, quantile, type Row } from './harness.ts'

const MILLION = 1_000_000
const MEBIBYTE = 2 ** 20
const TAG = 32
const EPOCH = 1
const MEAN_DELAY = 50
const SECONDS = 3

export async function replayRows (): Promise<Row[]> {
  // Where the nodes' folders would be, not where temporary files are: that may be memory.
  const dir = mkdtempSync(join(process.env.MIXMINT_BENCH_DIR ?? tmpdir(), 'mixmint-bench-'))
  try {
    return [...memory(), ...await disk(join(dir, 'disk')), ...await waiting(join(dir, '500'), 500), ...await waiting(join(dir, '6000'), 6000)]
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

function memory (): Row[] {
  const bytes = randomBytes(TAG * MILLION)
  const tags = new SeenTags(MILLION, random(16))
  const started = performance.now()
  for (let i = 0; i < MILLION; i++) tags.see(bytes.subarray(i * TAG, (i + 1) * TAG))
  const took = performance.now() - started
  return [
    figure('seen tags: memory of a million', tags.memory / MEBIBYTE, 'MiB'),
    figure('seen tags: check and insert, a million', took * 1000 / MILLION, 'µs')
  ]
}

async function disk (dir: string): Promise<Row[]> {
  const key = random(32)
  const log = open(dir, key)
  const chunk = 10_000
  for (let i = 0; i < MILLION / chunk; i++) await log.append(EPOCH, Array.from({ length: chunk }, () => random(TAG)))
  await log.close()
  const started = performance.now()
  const loaded = new SeenTags(MILLION, random(16))
  const again = new SeenLog(dir)
  for (const tag of again.load(EPOCH, key)) loaded.restore(tag)
  const took = performance.now() - started
  await again.close()
  return [
    figure('seen tags: disk for a million', statSync(join(dir, `${EPOCH}.tags`)).size / MEBIBYTE, 'MiB'),
    figure('seen tags: load a million at the start', took, 'ms')
  ]
}

/** Tags that come at a rate, recorded in groups, beside the delays that packets would have. */
async function waiting (dir: string, rate: number): Promise<Row[]> {
  const key = random(32)
  const log = open(dir, key)
  const came: number[] = []
  const waits: number[] = []
  let commits = 0
  const { promise: done, resolve } = Promise.withResolvers<void>()
  const engine = {
    get tagged () { return came.length },
    seenCount: () => came.length,
    seenSince: (_: number, from: number) => came.slice(from).map(() => random(TAG))
  }
  const recorder = new TagRecorder({
    log, engine, meter: { count: () => {} },
    onRecorded: tags => {
      commits += 1
      while (waits.length < tags) waits.push(performance.now() - came[waits.length])
      if (waits.length === rate * SECONDS) resolve()
    }
  })
  recorder.install({ epoch: EPOCH, privateKey: key, from: 0, until: Infinity }, () => {})
  const started = performance.now()
  while (came.length < rate * SECONDS) {
    while (came.length < Math.min(rate * SECONDS, (performance.now() - started) * rate / 1000)) {
      came.push(performance.now())
      recorder.poke()
    }
    await new Promise(resolve => setTimeout(resolve, 1))
  }
  await done
  await recorder.close()
  // P(delay < wait), and how much longer the packet is inside: E(wait − delay)⁺, for delays of this mean.
  const mean = (of: (wait: number) => number): number => waits.reduce((sum, wait) => sum + of(wait), 0) / waits.length
  return [
    figure(`tags at ${rate}/s: until on disk, median`, quantile(waits, 0.5), 'ms'),
    figure(`tags at ${rate}/s: until on disk, p99`, quantile(waits, 0.99), 'ms'),
    figure(`tags at ${rate}/s: in one commit`, waits.length / commits, 'tags'),
    figure(`tags at ${rate}/s: packets of mean delay ${MEAN_DELAY} ms that wait for the disk`, 100 * mean(wait => 1 - Math.exp(-wait / MEAN_DELAY)), '%'),
    figure(`tags at ${rate}/s: what that adds to the mean delay`, mean(wait => wait - MEAN_DELAY * (1 - Math.exp(-wait / MEAN_DELAY))), 'ms')
  ]
}

function open (dir: string, key: Uint8Array): SeenLog {
  const log = new SeenLog(dir)
  log.create(EPOCH, key)
  for (const tag of log.load(EPOCH, key)) throw new Error(`${tag.length} bytes in an empty log`)
  return log
}

function random (length: number): Uint8Array {
  return new Uint8Array(randomBytes(length))
}
