/** What a node of the service says of itself in a directory, as the `body` of its descriptor. */
import { decode, encode, list, record, text, type Of } from '@mixmint/core/kit/codec'

const protocols = list(text(256), 256)

export const Listing = record({
  /** Protocols that it answers itself, where it says so. */
  serves: protocols,
  /** Protocols that it carries, as an exit, to nodes that know nothing of mixing. */
  exits: protocols
})
export type Listing = Of<typeof Listing>

const NONE: Listing = { serves: [], exits: [] }

export function writeListing (listing: Listing): Uint8Array {
  return encode(Listing, listing)
}

/** Of another kind of service, nothing. */
export function readListing (body: Uint8Array): Listing {
  try {
    return decode(Listing, body)
  } catch {
    return NONE
  }
}
