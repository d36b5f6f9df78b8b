/** What links take on the mean where a matrix says it: by the places at which nodes and clients stand, which the seed draws. */
import { seededRng } from '../kernel/rng.ts'
import { placesOf } from '../network/links.ts'
import { widths } from '../scenario/read.ts'
import type { Scenario } from '../scenario/schema.ts'

/** How many stand at each place. */
type Crowd = Float64Array

/**
 * Of all links of a path together, over all paths, senders and receivers, in seconds; null where a file says who writes whom.
 * @throws bad-scenario (caller)
 */
export function matrixMean (scenario: Scenario): number | null {
  const { topology: { kind }, clients, link, run: { seed } } = scenario
  if (clients.behaviour === 'trace') return null
  const all = widths(scenario)
  const mixes = all.reduce((sum, width) => sum + width, 0)
  const { matrix, place } = placesOf(link.file, mixes + clients.count, seededRng(seed, 'links'))
  const crowd = (from: number, to: number): Crowd => {
    const at = new Float64Array(matrix.length)
    for (let end = from; end < to; end++) at[place[end]] += 1
    return at
  }
  const between = (a: Crowd, b: Crowd): number => mean(a, b, matrix)
  const people = crowd(mixes, mixes + clients.count)
  if (kind === 'free-route') {
    const nodes = crowd(0, mixes)
    // Of two different mixes: without the pairs of each with itself.
    const own = Array.from({ length: mixes }, (_, mix) => matrix[place[mix]][place[mix]]).reduce((sum, delay) => sum + delay, 0)
    const apart = mixes === 1 ? 0 : (between(nodes, nodes) * mixes ** 2 - own) / (mixes * (mixes - 1))
    return between(people, nodes) + (all.length - 1) * apart + between(nodes, people)
  }
  const firsts = all.map((_, layer) => all.slice(0, layer).reduce((sum, width) => sum + width, 0))
  const layers = all.map((width, layer) => crowd(firsts[layer], firsts[layer] + width))
  const inside = layers.slice(1).map((layer, before) => {
    if (kind === 'stratified') return between(layers[before], layer)
    const [from, to] = [firsts[before], firsts[before + 1]]
    return Array.from({ length: all[0] }, (_, cascade) => matrix[place[from + cascade]][place[to + cascade]]).reduce((sum, delay) => sum + delay, 0) / all[0]
  })
  return between(people, layers[0]) + inside.reduce((sum, delay) => sum + delay, 0) + between(layers[layers.length - 1], people)
}

/** From any of these to any of those. */
function mean (from: Crowd, to: Crowd, matrix: ReadonlyArray<readonly number[]>): number {
  let [sum, pairs] = [0, 0]
  from.forEach((many, i) => {
    to.forEach((others, j) => {
      sum += many * others * matrix[i][j]
      pairs += many * others
    })
  })
  return sum / pairs
}
