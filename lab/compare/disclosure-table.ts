/** Statistical disclosure over batches and cover, beside the estimate. */
import { digits } from '../report/html.ts'
import { bad } from '../scenario/fields.ts'
import { estimatedRounds, measuredRounds, type Disclosure } from './disclosure.ts'

export interface DisclosureRow extends Disclosure { readonly measured: number, readonly estimated: number }

/** @throws bad-scenario (caller) */
export function sweepDisclosure ({ people, friends, batches, reals, runs, seed }: {
  readonly people: number, readonly friends: number, readonly batches: readonly number[], readonly reals: readonly number[], readonly runs: number, readonly seed: number
}): DisclosureRow[] {
  if (friends >= people) throw bad('--friends', 'fewer friends than people wanted')
  if (reals.some(real => real > 1)) throw bad('--real', 'a part from 0 to 1 wanted')
  return reals.flatMap(real => batches.map(batch => {
    const attack = { people, friends, batch, real }
    return { ...attack, measured: measuredRounds(attack, seed, runs), estimated: estimatedRounds(attack) }
  }))
}

/** The slope of log y over log x, by least squares. */
export function slope (points: ReadonlyArray<readonly [number, number]>): number {
  const logs = points.map(([x, y]) => [Math.log(x), Math.log(y)])
  const mean = (i: number): number => logs.reduce((sum, point) => sum + point[i], 0) / logs.length
  const [x, y] = [mean(0), mean(1)]
  return logs.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0) / logs.reduce((sum, point) => sum + (point[0] - x) ** 2, 0)
}

export function disclosureLines (rows: readonly DisclosureRow[]): string[][] {
  return [
    ['PEOPLE', 'FRIENDS', 'BATCH', 'REAL', 'ROUNDS', 'ESTIMATED'],
    ...rows.map(({ people, friends, batch, real, measured, estimated }) => [people, friends, batch, real, Math.round(measured), Math.round(estimated)].map(digits))
  ]
}
