/** How long packets are on links, and which are lost there. Ends are mixes, numbered from 0, and clients, behind them. */
import { readFileSync } from 'node:fs'
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import { below, unit } from '@mixmint/core/kit/samplers'
import { AnyAgenda, RisingAgenda, type Agenda } from '../kernel/agenda.ts'
import { bad } from '../scenario/fields.ts'
import type { Scenario } from '../scenario/schema.ts'

export interface Links {
  /** A fresh queue for what is on links: of constant delays it need not sort. */
  readonly agenda: () => Agenda
  readonly delay: (from: number, to: number) => Millis
}

/** @param ends how many there are; in a matrix each stands at a place of its own choosing */
export function linksOf ({ link }: Scenario, ends: number, rng: Rng): Links {
  const mean = link.delay_s * 1000
  const any = (): Agenda => new AnyAgenda()
  switch (link.kind) {
    case 'constant': return { agenda: () => new RisingAgenda(), delay: () => mean }
    case 'uniform': {
      const spread = link.spread_s * 1000
      return { agenda: any, delay: () => mean + spread * (2 * unit(rng) - 1) }
    }
    case 'log-normal': {
      // E exp(μ + σZ) = exp(μ + σ²/2).
      const mu = Math.log(mean) - link.sigma ** 2 / 2
      return { agenda: any, delay: () => Math.exp(mu + link.sigma * normal(rng)) }
    }
    case 'matrix': {
      const { matrix, place } = placesOf(link.file, ends, rng)
      return { agenda: any, delay: (from, to) => matrix[place[from]][place[to]] * 1000 }
    }
  }
}

/** Where each end stands, by its row and column. @throws bad-scenario (caller) */
export function placesOf (file: string, ends: number, rng: Rng): { readonly matrix: ReadonlyArray<readonly number[]>, readonly place: Int32Array } {
  const matrix = readMatrix(file)
  return { matrix, place: Int32Array.from({ length: ends }, () => below(rng, matrix.length)) }
}

/** Box and Muller; of the two one is used. */
function normal (rng: Rng): number {
  return Math.sqrt(-2 * Math.log(unit(rng))) * Math.cos(2 * Math.PI * unit(rng))
}

/** @throws bad-scenario (caller) */
function readMatrix (file: string): number[][] {
  let text
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw bad(file, (error as Error).message)
  }
  const rows = text.split('\n').filter(line => line.trim() !== '').map(line => line.split(',').map(Number))
  if (rows.length === 0) throw bad(file, 'the matrix of delays is empty')
  rows.forEach((row, i) => {
    if (row.length !== rows.length) throw bad(file, `line ${i + 1}: ${rows.length} delays wanted, as there are so many lines`)
    if (!row.every(delay => delay >= 0 && delay < Infinity)) throw bad(file, `line ${i + 1}: delays in seconds wanted`)
  })
  return rows
}
