/**
 * Which nodes hold packets up, and which lose them, from round trips over paths that are known.
 *
 * Delay: a round trip takes a base and an excess for each visit of a node, least squares (MacKinnon and White 1985: HC3, as
 * spreads differ). Every path passes every layer as often as any other, so that what a whole layer adds is in the base; a node
 * is compared with the others of its layer.
 *
 * Loss: a round trip comes home if no visit loses it, each by chance and by itself (as for links of a tree Cáceres, Duffield,
 * Horowitz, Towsley 1999); the likeliest losses, and tests and intervals by the likelihood's ratio.
 *
 * Named is who is beyond a tolerance with all tests of a kind together being wrong with a chance of ALPHA at most (Holm 1979).
 */

/** Nodes of a kind, of which a path visits as many as any other path. */
export interface Layer { readonly name: string, readonly nodes: readonly string[] }

export interface Trip {
  /** Every visit, so that a node may be there several times. */
  readonly visits: readonly string[]
  /** Null: lost. */
  readonly seconds: number | null
}

export interface NodeEstimate {
  readonly node: string
  readonly layer: string
  readonly visits: number
  /** For each visit, beyond the mean of the others of its layer; with its 95 % interval. Null: there are no others, or too few trips. */
  readonly excess_s: { readonly mean: number, readonly low: number, readonly high: number, readonly p: number } | null
  /** The part of visits at which a packet is lost; with its 95 % interval (likelihood ratio). */
  readonly loss: { readonly mean: number, readonly low: number, readonly high: number, readonly p: number }
  readonly slow: boolean
  readonly lossy: boolean
}

export interface LayerEstimate {
  readonly layer: string
  readonly nodes: number
  /** Between the node with the greatest excess and that with the least, s. */
  readonly range_s: number | null
  /** The chance of what was seen, or more, if all nodes of the layer were as fast (Wald). */
  readonly p: number | null
}

export interface Tolerance {
  /** Of a visit, s. */
  readonly delay: number
  /** Of all visits, a part. */
  readonly loss: number
}

/** Of each kind, delay and loss: the chance that anybody is named wrongly. */
export const ALPHA = 0.01
const Z95 = 1.96
/** Trips beyond the number of unknowns. */
const LEAST_TRIPS = 20

export function estimateNodes (trips: readonly Trip[], layers: readonly Layer[], tolerance: Tolerance): { readonly nodes: NodeEstimate[], readonly layers: LayerEstimate[] } {
  const visits = new Map<string, number>()
  for (const trip of trips) for (const node of trip.visits) visits.set(node, (visits.get(node) ?? 0) + 1)
  const seen = layers.map(({ name, nodes }) => ({ name, nodes: nodes.filter(node => visits.has(node)) }))
  const delays = delaysOf(trips, seen, tolerance.delay)
  const losses = lossesOf(trips, seen.flatMap(({ nodes }) => nodes), tolerance.loss)
  const all = seen.flatMap(({ name, nodes }) => nodes.map(node => ({ node, layer: name })))
  const slow = new Set(holm(all.flatMap(({ node }) => { const p = delays.nodes.get(node)?.p; return p === undefined ? [] : [{ name: node, p }] })))
  const lossy = new Set(holm(all.map(({ node }) => ({ name: node, p: (losses.get(node) as Loss).p }))))
  return {
    nodes: all.map(({ node, layer }) => ({
      node, layer, visits: visits.get(node) as number, excess_s: delays.nodes.get(node) ?? null, loss: losses.get(node) as Loss, slow: slow.has(node), lossy: lossy.has(node)
    })),
    layers: seen.map(({ name, nodes }) => ({ layer: name, nodes: nodes.length, ...delays.layers.get(name) ?? { range_s: null, p: null } }))
  }
}

type Excess = NonNullable<NodeEstimate['excess_s']>
type Loss = NodeEstimate['loss']

function delaysOf (trips: readonly Trip[], layers: readonly Layer[], tolerance: number): { readonly nodes: Map<string, Excess>, readonly layers: Map<string, { readonly range_s: number, readonly p: number }> } {
  const home = trips.filter((trip): trip is Trip & { seconds: number } => trip.seconds !== null)
  const compared = layers.filter(({ nodes }) => nodes.length > 1)
  // Of each layer the last node is minus the sum of the others: excesses of a layer sum to zero.
  const columns = new Map<string, number>()
  for (const { nodes } of compared) for (const node of nodes.slice(0, -1)) columns.set(node, columns.size + 1)
  const width = columns.size + 1
  const found = { nodes: new Map<string, Excess>(), layers: new Map<string, { readonly range_s: number, readonly p: number }>() }
  if (width === 1 || home.length < width + LEAST_TRIPS) return found
  const lastOf = new Map(compared.map(({ nodes }) => [nodes[nodes.length - 1], nodes.slice(0, -1).map(node => columns.get(node) as number)]))
  const rows = home.map(({ visits }) => {
    const row = new Float64Array(width)
    row[0] = 1
    for (const node of visits) {
      const column = columns.get(node)
      if (column !== undefined) row[column] += 1
      for (const other of lastOf.get(node) ?? []) row[other] -= 1
    }
    return row
  })
  const fit = leastSquares(rows, home.map(({ seconds }) => seconds))
  if (fit === null) return found
  for (const { name, nodes } of compared) {
    const own = nodes.slice(0, -1).map(node => columns.get(node) as number)
    const scale = nodes.length / (nodes.length - 1)
    const excesses = nodes.map((node, i) => {
      const weights = own.map((_, j) => i === nodes.length - 1 ? -1 : i === j ? 1 : 0)
      const mean = scale * own.reduce((sum, column, j) => sum + weights[j] * fit.values[column], 0)
      const error = scale * Math.sqrt(own.reduce((sum, a, j) => sum + own.reduce((inner, b, k) => inner + weights[j] * weights[k] * fit.covariance[a][b], 0), 0))
      found.nodes.set(node, { mean, low: mean - Z95 * error, high: mean + Z95 * error, p: 1 - normalCdf((mean - tolerance) / error) })
      return mean / scale
    })
    const block = own.map(a => own.map(b => fit.covariance[a][b]))
    const solved = solve(block, own.map(a => fit.values[a]))
    if (solved !== null) {
      const wald = own.reduce((sum, a, j) => sum + fit.values[a] * solved[j], 0)
      found.layers.set(name, { range_s: Math.max(...excesses) - Math.min(...excesses), p: chiSquareTail(wald, own.length) })
    }
  }
  return found
}

/** Null: the paths do not tell the nodes apart. */
function leastSquares (rows: readonly Float64Array[], values: readonly number[]): { readonly values: number[], readonly covariance: number[][] } | null {
  const width = rows[0].length
  const normal = Array.from({ length: width }, () => Array.from({ length: width }, () => 0))
  const right = Array.from({ length: width }, () => 0)
  rows.forEach((row, i) => {
    for (let a = 0; a < width; a++) {
      if (row[a] === 0) continue
      right[a] += row[a] * values[i]
      for (let b = 0; b < width; b++) normal[a][b] += row[a] * row[b]
    }
  })
  const inverse = invert(normal)
  if (inverse === null) return null
  const times = (row: ArrayLike<number>): number[] => inverse.map(line => line.reduce((sum, value, a) => sum + value * row[a], 0))
  const found = times(right)
  const covariance = Array.from({ length: width }, () => Array.from({ length: width }, () => 0))
  rows.forEach((row, i) => {
    const influence = times(row)
    const [fitted, leverage] = [found, influence].map(column => column.reduce((sum, value, a) => sum + value * row[a], 0))
    const spread = ((values[i] - fitted) / Math.max(1e-9, 1 - leverage)) ** 2
    for (let a = 0; a < width; a++) for (let b = 0; b < width; b++) covariance[a][b] += spread * influence[a] * influence[b]
  })
  return { values: found, covariance }
}

/** Trips over the same nodes count together. */
interface Way { readonly nodes: ReadonlyArray<{ readonly node: number, readonly times: number }>, home: number, lost: number }

function lossesOf (trips: readonly Trip[], nodes: readonly string[], tolerance: number): Map<string, Loss> {
  const index = new Map(nodes.map((node, i) => [node, i]))
  const ways = new Map<string, Way>()
  for (const { visits, seconds } of trips) {
    const counts = new Map<number, number>()
    for (const node of visits) {
      const at = index.get(node)
      if (at !== undefined) counts.set(at, (counts.get(at) ?? 0) + 1)
    }
    const sorted = [...counts].sort(([a], [b]) => a - b)
    const key = sorted.join(' ')
    const way = ways.get(key) ?? { nodes: sorted.map(([node, times]) => ({ node, times })), home: 0, lost: 0 }
    ways.set(key, way)
    way[seconds === null ? 'lost' : 'home'] += 1
  }
  const all = [...ways.values()]
  const best = likeliest(all, nodes.length)
  return new Map(nodes.map((node, i) => {
    const hazard = best.hazards[i]
    /** How many deviations a value is off: the root of twice what the likelihood loses. */
    const off = (value: number): number => Math.sqrt(Math.max(0, 2 * (best.likelihood - likeliest(all, nodes.length, { node: i, value }, best.hazards).likelihood)))
    const tolerated = hazardOf(tolerance)
    return [node, {
      mean: lossOf(hazard),
      low: hazard < 1e-9 ? 0 : lossOf(edge(off, hazard, 0)),
      high: lossOf(edge(off, hazard, HIGHEST)),
      p: hazard <= tolerated ? 1 : 1 - normalCdf(off(tolerated))
    }]
  }))
}

/** A visit survives with e^−hazard: so hazards of a way add up, and the likelihood is concave in them. */
const hazardOf = (loss: number): number => -Math.log(1 - loss)
const lossOf = (hazard: number): number => 1 - Math.exp(-hazard)
/** A loss of 999 of 1000. */
const HIGHEST = hazardOf(0.999)
const ROUNDS = 60
const CONVERGED = 1e-9

/** Newton's method within 0 and HIGHEST, with steps halved until they help. */
function likeliest (ways: readonly Way[], count: number, fixed?: { readonly node: number, readonly value: number }, from?: readonly number[]): { readonly hazards: number[], readonly likelihood: number } {
  const all = ways.reduce((sum, { home, lost }) => sum + home + lost, 0)
  const lost = ways.reduce((sum, way) => sum + way.lost, 0)
  const start = Math.max(1e-6, lost / Math.max(1, all) / 8)
  let hazards = Array.from({ length: count }, (_, i) => i === fixed?.node ? fixed.value : from?.[i] ?? start)
  let likelihood = likelihoodOf(ways, hazards)
  for (let round = 0; round < ROUNDS; round++) {
    const { slope, curve } = slopesOf(ways, hazards)
    const free = hazards.flatMap((hazard, i) => i !== fixed?.node && (hazard > 0 || slope[i] > 0) && (hazard < HIGHEST || slope[i] < 0) ? [i] : [])
    const step = solve(free.map(a => free.map(b => curve[a][b] + (a === b ? 1e-6 + 1e-9 * curve[a][a] : 0))), free.map(i => slope[i]))
    if (step === null) break
    let better: { readonly hazards: number[], readonly likelihood: number } | null = null
    for (let scale = 1; scale > 1e-6 && better === null; scale /= 2) {
      const next = hazards.slice()
      free.forEach((i, at) => { next[i] = Math.min(HIGHEST, Math.max(0, hazards[i] + scale * step[at])) })
      const reached = likelihoodOf(ways, next)
      if (reached > likelihood) better = { hazards: next, likelihood: reached }
    }
    if (better === null) break
    const gain = better.likelihood - likelihood;
    ({ hazards, likelihood } = better)
    if (gain < CONVERGED) break
  }
  return { hazards, likelihood }
}

/** A way that is not known to be possible loses with this hazard at least. */
const LEAST = 1e-12

function hazardOn ({ nodes }: Way, hazards: readonly number[]): number {
  let sum = 0
  for (const { node, times } of nodes) sum += times * hazards[node]
  return Math.max(LEAST, sum)
}

function likelihoodOf (ways: readonly Way[], hazards: readonly number[]): number {
  let sum = 0
  for (const way of ways) {
    const hazard = hazardOn(way, hazards)
    sum -= way.home * hazard
    if (way.lost > 0) sum += way.lost * Math.log(-Math.expm1(-hazard))
  }
  return sum
}

/** The likelihood's slope, and minus its second derivatives. */
function slopesOf (ways: readonly Way[], hazards: readonly number[]): { readonly slope: number[], readonly curve: number[][] } {
  const slope = hazards.map(() => 0)
  const curve = hazards.map(() => hazards.map(() => 0))
  for (const way of ways) {
    const hazard = hazardOn(way, hazards)
    const missed = -Math.expm1(-hazard)
    const first = way.lost === 0 ? 0 : way.lost * (1 - missed) / missed
    const second = first / missed
    for (const { node, times } of way.nodes) {
      slope[node] += times * (first - way.home)
      if (second > 0) for (const other of way.nodes) curve[node][other.node] += second * times * other.times
    }
  }
  return { slope, curve }
}

/** Where, from the likeliest value towards a bound, it is Z95 deviations off; nearly linear, so by secants. */
function edge (off: (value: number) => number, likeliest: number, bound: number): number {
  let [near, far] = [{ value: likeliest, off: 0 }, { value: bound, off: off(bound) }]
  if (far.off <= Z95) return bound
  for (let i = 0; i < 12 && Math.abs(far.value - near.value) > 1e-4; i++) {
    // Not too near to either end, where it is not linear.
    const part = Math.min(0.9, Math.max(0.05, (Z95 - near.off) / (far.off - near.off)))
    const value = near.value + part * (far.value - near.value)
    const reached = { value, off: off(value) }
    if (Math.abs(reached.off - Z95) < 0.01) return value
    if (reached.off > Z95) far = reached
    else near = reached
  }
  return (near.value + far.value) / 2
}

/** Those of these tests that are rejected, when all together are to be wrong with a chance of ALPHA at most. */
function holm (tests: ReadonlyArray<{ readonly name: string, readonly p: number }>): string[] {
  const sorted = tests.toSorted((a, b) => a.p - b.p)
  const first = sorted.findIndex(({ p }, i) => p > ALPHA / (sorted.length - i))
  return sorted.slice(0, first < 0 ? sorted.length : first).map(({ name }) => name)
}

function invert (matrix: ReadonlyArray<readonly number[]>): number[][] | null {
  const columns = matrix.map((_, i) => solve(matrix, matrix.map((_, j) => i === j ? 1 : 0)))
  if (columns.some(column => column === null)) return null
  return matrix.map((_, i) => columns.map(column => (column as number[])[i]))
}

/** Cholesky's, of a symmetric positive matrix; null where it is none. */
function solve (matrix: ReadonlyArray<readonly number[]>, right: readonly number[]): number[] | null {
  const n = matrix.length
  const lower = matrix.map(row => row.map(() => 0))
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i][j]
      for (let k = 0; k < j; k++) sum -= lower[i][k] * lower[j][k]
      if (i !== j) lower[i][j] = sum / lower[j][j]
      else if (sum <= 1e-12 * Math.abs(matrix[i][i])) return null
      else lower[i][i] = Math.sqrt(sum)
    }
  }
  const middle = right.slice()
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) middle[i] -= lower[i][k] * middle[k]
    middle[i] /= lower[i][i]
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) middle[i] -= lower[k][i] * middle[k]
    middle[i] /= lower[i][i]
  }
  return middle
}

/** Hart's approximation in the form of West (2005), to 10⁻¹⁵ relative in the tail too, which Holm's steps need. */
function normalCdf (x: number): number {
  const size = Math.abs(x)
  if (size > 37) return x > 0 ? 1 : 0
  const gauss = Math.exp(-(size ** 2) / 2)
  let tail
  if (size < 7.07106781186547) {
    const above = [3.52624965998911e-2, 0.700383064443688, 6.37396220353165, 33.912866078383, 112.079291497871, 221.213596169931, 220.206867912376].reduce((sum, c) => sum * size + c, 0)
    const below = [8.83883476483184e-2, 1.75566716318264, 16.064177579207, 86.7807322029461, 296.564248779674, 637.333633378831, 793.826512519948, 440.413735824752].reduce((sum, c) => sum * size + c, 0)
    tail = gauss * above / below
  } else {
    tail = gauss / (size + 1 / (size + 2 / (size + 3 / (size + 4 / (size + 0.65))))) / 2.506628274631
  }
  return x > 0 ? 1 - tail : tail
}

/** Wilson and Hilferty's cube root (1931): to some per cent of a p that anybody would act on. */
function chiSquareTail (x: number, k: number): number {
  return 1 - normalCdf((Math.cbrt(x / k) - (1 - 2 / (9 * k))) / Math.sqrt(2 / (9 * k)))
}
