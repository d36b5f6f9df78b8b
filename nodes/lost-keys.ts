/**
 * What the directory has listed for this bank and its folder does not hold, on disk. The directory names it only while the bank is
 * listed: without this a bank that was down for an hour would forget it again, and make other keys for a time that has some.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fromHex, toHex } from '@mixmint/core/kit/bytes'
import { decode, encode, type Codec } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import { createSecret, readSecret, removeSecret } from './secrets.ts'

/** Of one kind of them, a file each. */
export class LostKeys<T> {
  readonly #dir: string
  readonly #kind: 'keyset' | 'sealed'
  readonly #codec: Codec<T>

  constructor (dir: string, kind: 'keyset' | 'sealed', codec: Codec<T>) {
    this.#dir = dir
    this.#kind = kind
    this.#codec = codec
  }

  /** @throws key-file-broken, and those of readSecret (operator) */
  read (): T[] {
    const pattern = new RegExp(`^lost-${this.#kind}-[0-9a-f]+\\.json$`)
    return readdirSync(this.#dir).filter(name => pattern.test(name)).sort().map(name => {
      const file = join(this.#dir, name)
      const content = readSecret(file) ?? ''
      try {
        return decode(this.#codec, fromHex((JSON.parse(content) as { listed: string }).listed))
      } catch (error) {
        throw new MixmintError('key-file-broken', 'operator', `${file} does not hold what the directory listed for this bank: restore it from a backup`, { cause: error })
      }
    })
  }

  /** Durable when it returns. @param id of what is lost */
  keep (id: Uint8Array, listed: T): void {
    createSecret(this.#fileOf(id), `${JSON.stringify({ listed: toHex(encode(this.#codec, listed)) })}\n`)
  }

  forget (id: Uint8Array): void {
    removeSecret(this.#fileOf(id))
  }

  #fileOf (id: Uint8Array): string {
    return join(this.#dir, `lost-${this.#kind}-${toHex(id).slice(0, 16)}.json`)
  }
}
