/**
 * Keys that the processes of one bank share, in the store of its money: whichever of them makes the key for a slot first,
 * theirs it is. They lie there encrypted under a key from the bank's own (bank.key), which every process has in its folder.
 */
import { utf8 } from '@mixmint/core/kit/bytes'
import { tagged } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Store } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { seal, unseal } from './aead.ts'

export class KeyShelf {
  readonly #store: Store
  readonly #key: Uint8Array

  /** @param secret of the bank's identity */
  constructor (suite: Suite, secret: Uint8Array, store: Store) {
    this.#store = store
    this.#key = suite.hkdfSha256(secret, new Uint8Array(0), tagged('key-shelf'), 32)
  }

  /** @returns null while the slot is empty @throws key-shelf-broken (operator) */
  async read (slot: string): Promise<string | null> {
    const found = await this.#store.get(at(slot))
    return found === null ? null : this.#open(slot, found)
  }

  /** @returns what the slot holds from now on: this content, or that of whoever came first @throws key-shelf-broken */
  async claim (slot: string, content: string): Promise<string> {
    const taken = await this.#store.batch([{ op: 'insert', key: at(slot), value: seal(this.#key, at(slot), utf8(content)) }])
    return taken.done ? content : this.#open(slot, taken.found ?? new Uint8Array(0))
  }

  #open (slot: string, sealed: Uint8Array): string {
    const content = unseal(this.#key, at(slot), sealed)
    if (content === null) throw new MixmintError('key-shelf-broken', 'operator', `the bank's key does not open ${slot} in the store of its money: the store is another bank's, or damaged`)
    return new TextDecoder().decode(content)
  }
}

function at (slot: string): Uint8Array {
  return utf8(`shelf/${slot}`)
}
