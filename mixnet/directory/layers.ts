/**
 * Stratified topology (Díaz, Murdoch, Troncoso, PETS 2010): which mix stands in which layer. Layers are as even as can be
 * (their sizes differ by at most one, unless the operator fixed more), and a mix keeps its layer unless that would make
 * them uneven: each move changes the paths that an observer can tell apart.
 */
import { compare, toHex } from '@mixmint/core/kit/bytes'

/** A mix to be placed; `fixed` is the layer its operator gave it. */
export interface MixToPlace { readonly peer: Uint8Array, readonly fixed?: number }

/**
 * Deterministic, whatever the order of the mixes.
 * @param previous layers of the last document, by peer id in hexadecimal
 * @param count of layers; they are numbered from 1
 * @returns layer by peer id in hexadecimal
 */
export function assignLayers (mixes: readonly MixToPlace[], previous: ReadonlyMap<string, number>, count: number): Map<string, number> {
  const layers = Array.from({ length: count }, (): string[] => [])
  const sorted = mixes.toSorted((a, b) => compare(a.peer, b.peer))
  const isLayer = (layer: number | undefined): layer is number => layer !== undefined && layer >= 1 && layer <= count
  const fixed = new Set<string>()
  const fresh: string[] = []
  for (const mix of sorted) {
    const peer = toHex(mix.peer)
    const layer = mix.fixed ?? previous.get(peer)
    if (mix.fixed !== undefined) fixed.add(peer)
    if (isLayer(layer)) layers[layer - 1].push(peer)
    else fresh.push(peer)
  }
  for (const peer of fresh) smallest(layers).push(peer)
  even(layers, fixed)
  return new Map(layers.flatMap((peers, i) => peers.map((peer): [string, number] => [peer, i + 1])))
}

/** Move mixes that are not fixed from the largest layers to the smallest while that evens them out. */
function even (layers: string[][], fixed: ReadonlySet<string>): void {
  for (;;) {
    const to = smallest(layers)
    const from = layers.filter(layer => layer.some(peer => !fixed.has(peer)))
      .reduce<string[]>((most, layer) => layer.length > most.length ? layer : most, [])
    if (from.length - to.length < 2) return
    const at = from.findLastIndex(peer => !fixed.has(peer))
    to.push(...from.splice(at, 1))
  }
}

function smallest (layers: string[][]): string[] {
  return layers.reduce((least, layer) => layer.length < least.length ? layer : least)
}
