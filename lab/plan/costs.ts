/**
 * What operations cost on a machine, as `npm run bench -- costs --costs FILE` measures and writes it. A plan is as good as these:
 * the file says where and when it was made, and is not taken when it is old or of another version, unless somebody says so.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import { bad } from '../scenario/fields.ts'

/** Times in µs of a processor; sizes in bytes. */
export interface Costs {
  readonly machine: string
  /** YYYY-MM-DD. */
  readonly measured: string
  /** Of mixmint. */
  readonly version: string
  readonly node: string
  /** Of the machine, over the minute before: above its cores' number the figures are too high, and too spread out. */
  readonly load: number
  readonly cores: number
  readonly center: {
    /** A new spend checked, and the vote durable, with many in flight. */
    readonly spend_us: Times
    readonly request_bytes: number
    readonly reply_bytes: number
    /** On disk for each spend. */
    readonly disk_bytes: number
  }
  readonly bank: {
    /** A payment of so many certified coins with so many outputs settled, without its signatures, durably, with many in flight. */
    readonly settle_us: Times
    readonly settle_coins: number
    readonly settle_outputs: number
    /** Of an output of a withdrawal, without its signature. */
    readonly withdraw_output_us: number
    /** A blind signature, with its check, on a signing thread. */
    readonly sign_us: number
    readonly request_bytes: number
    readonly reply_bytes: number
    /** On disk for each payment settled, its coins' and outputs' shares of withdrawals not included. */
    readonly disk_bytes: number
    /** With its money in PostgreSQL, as a bank of several processes has it; null: there was no server to measure with. */
    readonly postgres: {
      readonly settle_us: Times
      readonly withdraw_output_us: number
      /** Between two payments settled in one server, by the clock, when several processes ask it as fast as they can: their writers go one after the other. */
      readonly server_us: number
      readonly disk_bytes: number
    } | null
  }
  readonly mix: {
    /** Processor time of a process that forwards a packet: TCP, Noise, Yamux, peeling, seen tags. */
    readonly packet_us: number
    /** Of so many a second: with fewer a process takes longer for each. */
    readonly packets_s: number
    readonly packet_bytes: number
    /** On disk for each packet while its key lives. */
    readonly tag_bytes: number
  }
}

/**
 * How long one takes: spread as gaps between two that are done one after the other while many wait, so that what holds all of them
 * up, a commit or the collection of garbage, is in it; on the mean the processor's time for one.
 */
export interface Times {
  readonly mean: number
  /** The middle of each of so many equal parts of all gaps, in rising order; their mean is `mean`. */
  readonly quantiles: readonly number[]
}

export const PARTS = 200
const DAY: Millis = 86_400_000
const OLD_DAYS = 180
const COSTS = fileURLToPath(new URL('costs/', import.meta.url))

/** @param gaps in any unit @param mean what theirs is to be, µs */
export function timesOf (gaps: readonly number[], mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length): Times {
  const sorted = gaps.toSorted((a, b) => a - b)
  // Of each part its mean, so that the rare long ones are not lost.
  const quantiles = Array.from({ length: PARTS }, (_, i) => {
    const part = sorted.slice(Math.floor(i * sorted.length / PARTS), Math.max(Math.floor(i * sorted.length / PARTS) + 1, Math.floor((i + 1) * sorted.length / PARTS)))
    return part.reduce((sum, gap) => sum + gap, 0) / part.length
  })
  const scale = mean / (quantiles.reduce((sum, value) => sum + value, 0) / PARTS)
  return { mean, quantiles: quantiles.map(value => value * scale) }
}

/** Squared coefficient of variation. */
export function variationOf ({ mean, quantiles }: Times): number {
  return quantiles.reduce((sum, value) => sum + (value - mean) ** 2, 0) / quantiles.length / mean ** 2
}

/** The file of the newest costs that the lab brings. @throws bad-scenario (caller) */
export function newestCosts (): string {
  const files = readdirSync(COSTS).filter(name => name.endsWith('.json')).sort()
  if (files.length === 0) throw bad('--costs', 'the lab brings none: measure with `npm run bench -- costs --costs FILE`')
  // Names begin with the date.
  return join(COSTS, files[files.length - 1])
}

/**
 * @param now Unix ms
 * @param isOldFine take it whatever its age and version
 * @throws bad-scenario (caller), old-costs (operator)
 */
export function readCosts (file: string, now: Millis, version: string, isOldFine: boolean): Costs {
  let costs: Costs
  try {
    const read = JSON.parse(readFileSync(file, 'utf8')) as Costs
    costs = { ...read, bank: { ...read.bank, postgres: read.bank.postgres ?? null } }
    check(costs, file)
  } catch (error) {
    if (isMixmintError(error)) throw error
    throw bad(file, (error as Error).message)
  }
  const days = Math.floor((now - Date.parse(costs.measured)) / DAY)
  if (!isOldFine && (days > OLD_DAYS || costs.version !== version)) {
    throw new MixmintError('old-costs', 'operator', `${file} was measured ${days} days ago with version ${costs.version}, and this is ${version}: measure again with \`npm run bench -- costs --costs FILE\`, or plan with --old-costs`)
  }
  return costs
}

function check ({ machine, measured, center, bank, mix, cores }: Costs, file: string): void {
  const numbers = {
    cores, 'center.request_bytes': center.request_bytes, 'center.reply_bytes': center.reply_bytes, 'center.disk_bytes': center.disk_bytes,
    'bank.settle_coins': bank.settle_coins, 'bank.withdraw_output_us': bank.withdraw_output_us, 'bank.sign_us': bank.sign_us, 'bank.request_bytes': bank.request_bytes,
    'bank.reply_bytes': bank.reply_bytes, 'bank.disk_bytes': bank.disk_bytes, 'mix.packet_us': mix.packet_us, 'mix.packets_s': mix.packets_s, 'mix.packet_bytes': mix.packet_bytes, 'mix.tag_bytes': mix.tag_bytes
  }
  const postgres = bank.postgres === null ? {} : { 'bank.postgres.withdraw_output_us': bank.postgres.withdraw_output_us, 'bank.postgres.server_us': bank.postgres.server_us, 'bank.postgres.disk_bytes': bank.postgres.disk_bytes }
  for (const [name, value] of Object.entries({ ...numbers, ...postgres })) if (!(value > 0)) throw bad(file, `${name}: a number above 0 wanted`)
  for (const [name, times] of Object.entries({ 'center.spend_us': center.spend_us, 'bank.settle_us': bank.settle_us, ...bank.postgres === null ? {} : { 'bank.postgres.settle_us': bank.postgres.settle_us } })) {
    if (!(times.mean > 0) || times.quantiles.length === 0 || !times.quantiles.every(value => value >= 0)) throw bad(file, `${name}: mean and quantiles wanted`)
  }
  if (machine === '' || Number.isNaN(Date.parse(measured))) throw bad(file, 'machine and measured wanted: where and when it was made')
}
