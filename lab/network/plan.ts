/** Which mixes there are, in which layers, whose they are, and how paths go through them. Mixes are numbers from 0. */
import type { Rng } from '@mixmint/core/kit/ports'
import { below, shuffle } from '@mixmint/core/kit/samplers'
import { drawFrom, layersAround } from '@mixmint/mixnet/directory/way'
import { widths } from '../scenario/read.ts'
import type { Scenario } from '../scenario/schema.ts'

export interface Plan {
  /** Mixes of each layer. */
  readonly layers: ReadonlyArray<readonly number[]>
  readonly mixes: number
  /** The cell in which the observer loses sight of what enters a mix (shares.ts); −1: the mix is his. */
  readonly cells: Int32Array
  readonly cellCount: number
  /** Writes a path into `path` from `at` on. @returns its length */
  readonly draw: (path: Int32Array, at: number, rng: Rng) => number
  /** The way of a loop of this mix, itself not included. @returns its length */
  readonly drawLoop: (mix: number, path: Int32Array, at: number, rng: Rng) => number
}

export function planOf (scenario: Scenario, rng: Rng): Plan {
  const { topology: { kind }, adversary } = scenario
  let mixes = 0
  const layers = widths(scenario).map(width => Array.from({ length: width }, () => mixes++))
  const all = Array.from({ length: mixes }, (_, mix) => mix)
  const corrupt = new Uint8Array(mixes)
  for (const mix of shuffle(rng, all.slice()).slice(0, Math.round(adversary.corrupt_fraction * mixes))) corrupt[mix] = 1
  const seen = adversary.observer === 'partial' ? Math.round(adversary.links_seen * mixes) : mixes
  const unseen = new Set(shuffle(rng, all.slice()).slice(seen))
  const cells = Int32Array.from(all, mix => corrupt[mix] === 1 ? -1 : unseen.has(mix) ? mixes : mix)
  const layerOf = new Int32Array(mixes)
  layers.forEach((layer, i) => { for (const mix of layer) layerOf[mix] = i })
  const last = layers.length - 1
  const around = layers.map((_, layer) => layersAround(layer, last))
  const base = { layers, mixes, cells, cellCount: mixes + 1 }
  switch (kind) {
    case 'stratified': return {
      ...base,
      draw: (path, at, rng) => {
        for (let i = 0; i < layers.length; i++) path[at + i] = drawFrom(layers[i], rng)
        return layers.length
      },
      drawLoop: (mix, path, at, rng) => {
        around[layerOf[mix]].forEach((layer, i) => { path[at + i] = drawFrom(layers[layer], rng) })
        return last
      }
    }
    case 'cascade': return {
      ...base,
      draw: (path, at, rng) => {
        const cascade = below(rng, layers[0].length)
        for (let i = 0; i < layers.length; i++) path[at + i] = layers[i][cascade]
        return layers.length
      },
      drawLoop: (mix, path, at) => {
        const cascade = layers[layerOf[mix]].indexOf(mix)
        around[layerOf[mix]].forEach((layer, i) => { path[at + i] = layers[layer][cascade] })
        return last
      }
    }
    case 'free-route': return {
      ...base,
      draw: (path, at, rng) => drawDifferent(layers.length, -1, mixes, path, at, rng),
      drawLoop: (mix, path, at, rng) => drawDifferent(last, mix, mixes, path, at, rng)
    }
  }
}

/** So many different mixes, none of them `not`, in any order. */
function drawDifferent (length: number, not: number, mixes: number, path: Int32Array, at: number, rng: Rng): number {
  for (let i = 0; i < length;) {
    const mix = below(rng, mixes)
    if (mix === not || path.subarray(at, at + i).includes(mix)) continue
    path[at + i++] = mix
  }
  return length
}
