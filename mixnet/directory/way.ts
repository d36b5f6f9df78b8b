/** Which layers packets pass, and which mix of each: what paths of all kinds have in common, whatever stands for a mix. */
import type { Rng } from '@mixmint/core/kit/ports'
import { below } from '@mixmint/core/kit/samplers'

/** Every one of a layer is as likely as any other. @param layer not empty */
export function drawFrom<N> (layer: readonly N[], rng: Rng): N {
  return layer[below(rng, layer.length)]
}

/**
 * The layers that a loop of a node of layer `layer` passes, in this order, before it is home: all others, those behind first,
 * round over the gateways (0).
 * @param last the last layer
 */
export function layersAround (layer: number, last: number): number[] {
  return Array.from({ length: last }, (_, i) => (layer + 1 + i) % (last + 1))
}
