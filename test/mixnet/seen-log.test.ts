/** Seen tags on disk: what is on it outlives kills and the loss of power; what is damaged is never taken for whole. */
import { appendFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { concat } from '@mixmint/core/kit/bytes'
import { SeenLog } from '@mixmint/mixnet/wire/seen-log'
import { seededRng } from '../doubles/rng.ts'

let dir: string
beforeEach(() => { dir = mkdtempSync(join(tmpdir(), 'mixmint-seen-')) })
afterEach(() => { rmSync(dir, { recursive: true, force: true }) })

const rng = seededRng('seen')
const KEY = rng.bytes(32)
const RECORD = 36
const HEADER = 32
const tags = (count: number): Uint8Array[] => Array.from({ length: count }, () => rng.bytes(32))
const pathOf = (epoch: number): string => join(dir, `${epoch}.tags`)

/** An open log with a file for each of these epochs. */
function logOf (...epochs: number[]): SeenLog {
  const log = new SeenLog(dir)
  for (const epoch of epochs) {
    log.create(epoch, KEY)
    log.load(epoch, KEY)
  }
  return log
}

/** As another process would find it now; whoever has it open knows nothing of it. */
function found (epoch: number): Uint8Array[] {
  const copy = mkdtempSync(join(tmpdir(), 'mixmint-seen-'))
  try {
    cpSync(dir, copy, { recursive: true })
    return [...new SeenLog(copy).load(epoch, KEY)].map(tag => new Uint8Array(tag))
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

const refused = (code: string, message = /./): object => expect.objectContaining({ code, fault: 'operator', message: expect.stringMatching(message) })

describe('the log', () => {
  test('gives back what was appended, by epoch and in order, to whoever opens it next', async () => {
    const [one, two] = [tags(5), tags(3)]
    const log = logOf(1, 2)
    expect(found(1)).toEqual([])
    await log.append(1, one.slice(0, 2))
    await log.append(2, two)
    await log.append(1, one.slice(2))
    expect([found(1), found(2)]).toEqual([one, two])
    await log.close()
    const next = new SeenLog(dir)
    expect([...next.load(1, KEY)].map(tag => new Uint8Array(tag))).toEqual(one)
    await next.append(1, two)
    await next.close()
    expect(found(1)).toEqual([...one, ...two])
  })

  test('creating a file again changes nothing', async () => {
    const log = logOf(1)
    await log.append(1, tags(2))
    log.create(1, KEY)
    await log.append(1, tags(1))
    expect(found(1)).toHaveLength(3)
  })

  test('takes 36 bytes a tag and 32 a file', async () => {
    const log = logOf(1)
    for (let i = 0; i < 10; i++) await log.append(1, tags(1000))
    await log.close()
    expect(statSync(pathOf(1)).size).toBe(HEADER + 10_000 * RECORD)
    expect(found(1)).toHaveLength(10_000)
  })

  test('is for its owner only, and goes with its key; so does what a crash left of earlier keys', () => {
    const log = logOf(3, 4, 5)
    writeFileSync(join(dir, '2.tags.new'), 'half made')
    writeFileSync(join(dir, 'note'), 'of somebody else')
    expect(statSync(pathOf(3)).mode & 0o777).toBe(0o600)
    log.remove(4)
    log.remove(4)
    expect(readdirSync(dir).sort()).toEqual(['5.tags', 'note'])
    new SeenLog(join(dir, 'none')).remove(4)
  })

  test('what is appended for a key that goes at the same time hinders nobody', async () => {
    const log = logOf(1, 2)
    const late = log.append(1, tags(100))
    log.remove(1)
    await late
    await log.append(1, tags(1))
    await log.append(2, tags(1))
    await log.close()
    expect(readdirSync(dir)).toEqual(['2.tags'])
    expect(found(2)).toHaveLength(1)
  })

  test('that cannot be kept says so', () => {
    writeFileSync(join(dir, 'file'), '')
    expect(() => { new SeenLog(join(dir, 'file')).create(1, KEY) }).toThrow(refused('seen-log-failed'))
  })
})

describe('after a crash', () => {
  test('whatever the machine made of the latest append, nothing before it is lost', async () => {
    const log = logOf(7)
    const [first, second, third] = [tags(4), tags(3), tags(6)]
    await log.append(7, first)
    await log.append(7, second)
    const before = readFileSync(pathOf(7))
    await log.append(7, third)
    const after = readFileSync(pathOf(7))
    await log.close()
    // Pages of a file come to disk in any order, cut short, or as zeros; the header is in one sector.
    const torn = fc.tuple(fc.integer({ min: before.length, max: after.length }), fc.array(fc.tuple(fc.integer({ min: before.length, max: after.length }), fc.nat(200), fc.nat(255)), { maxLength: 4 }), fc.boolean())
    fc.assert(fc.property(torn, ([length, spoiled, header]) => {
      const bytes = after.subarray(0, length).slice()
      for (const [at, count, value] of spoiled) bytes.fill(value, Math.min(at, length), Math.min(at + count, length))
      if (!header) bytes.set(before.subarray(0, HEADER))
      writeFileSync(pathOf(7), bytes)
      const left = found(7)
      expect(left.slice(0, 7)).toEqual([...first, ...second])
      expect([...first, ...second, ...third].slice(0, left.length)).toEqual(left)
    }), { numRuns: 60 })
  })

  test('a tail that was cut off is overwritten', async () => {
    const [first, second] = [tags(3), tags(2)]
    await using (logOf(7), async log => { await log.append(7, first) })
    appendFileSync(pathOf(7), rng.bytes(3 * RECORD + 13))
    const next = new SeenLog(dir)
    expect([...next.load(7, KEY)]).toHaveLength(3)
    await next.append(7, second)
    await next.close()
    expect(statSync(pathOf(7)).size).toBe(HEADER + 5 * RECORD)
    expect(found(7)).toEqual([...first, ...second])
  })
})

describe('a file that is not what it was', () => {
  const all = tags(9)
  beforeEach(async () => { await using (logOf(7), async log => { await log.append(7, all) }) })

  test('is refused when it is missing', () => {
    rmSync(pathOf(7))
    expect(() => found(7)).toThrow(refused('seen-log-damaged', /epoch 7 is missing/))
  })

  test.each([0, 31, HEADER, HEADER + RECORD, HEADER + 9 * RECORD - 1])('is refused when it was cut to %i bytes', length => {
    truncateSync(pathOf(7), length)
    expect(() => found(7)).toThrow(refused('seen-log-damaged', length < HEADER ? /does not begin/ : /has \d good tags, and had 9/))
  })

  test('is refused when any bit of it was changed', () => {
    const bytes = readFileSync(pathOf(7))
    fc.assert(fc.property(fc.nat(bytes.length * 8 - 1), bit => {
      const changed = Buffer.from(bytes)
      changed[bit >> 3] ^= 1 << (bit & 7)
      writeFileSync(pathOf(7), changed)
      expect(() => found(7)).toThrow(refused('seen-log-damaged'))
    }), { numRuns: 200 })
  })

  test('is refused when it is another node\'s, another epoch\'s or no such file', () => {
    expect(() => new SeenLog(dir).load(7, rng.bytes(32))).toThrow(refused('seen-log-damaged', /another key/))
    cpSync(pathOf(7), pathOf(8))
    expect(() => found(8)).toThrow(refused('seen-log-damaged', /another key/))
    const next = readFileSync(pathOf(7))
    next.write('mixtags2')
    next.writeUInt32BE(crc32(next.subarray(0, HEADER - 4)), HEADER - 4)
    writeFileSync(pathOf(7), next)
    expect(() => found(7)).toThrow(refused('seen-log-damaged', /does not begin/))
    writeFileSync(pathOf(7), concat(...all))
    expect(() => found(7)).toThrow(refused('seen-log-damaged', /does not begin/))
  })
})

async function using (log: SeenLog, work: (log: SeenLog) => Promise<void>): Promise<void> {
  await work(log)
  await log.close()
}
