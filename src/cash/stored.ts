/** Reading back what an engine itself has written: bytes that do not parse are damage, nobody's request is to blame. */
import { decode, type Codec } from '../kit/codec.ts'
import { MixmintError } from '../kit/errors.ts'

/** The longest record: a contract with all its inputs and outputs stays well below the 1 MiB of a store's value. */
const LONGEST = 1 << 20

/** @param value of a record that must be there: null is damage, too @throws store-damaged (operator) */
export function stored<T> (codec: Codec<T>, value: Uint8Array | null): T {
  try {
    return decode(codec, value ?? new Uint8Array(0), LONGEST)
  } catch (error) {
    throw new MixmintError('store-damaged', 'operator', 'a record in the store does not parse: stop this program, keep its store as it is, and have somebody look at the record; an older copy in its place would forget what was paid, and pay twice', { cause: error })
  }
}
