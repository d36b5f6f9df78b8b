/** The SURBs that a requester has given away: each opens one reply, once, until the mix keys it was made for expire. */
import { toHex, wipe } from '@mixmint/core/kit/bytes'
import type { Millis } from '@mixmint/core/kit/ports'
import type { SurbSecrets } from '../sphinx/surb.ts'
import type { Path } from './engines.ts'

interface Given {
  readonly call: number
  readonly secrets: SurbSecrets
  readonly at: Millis
  readonly expires: Millis
  /** The one that it returns by, and the one that the packet with it went. */
  readonly paths: readonly Path[]
}

export class SurbLedger {
  readonly #limit: number
  readonly #given = new Map<string, Given>()
  readonly #ofCall = new Map<number, Set<string>>()

  /** @param limit the most SURBs remembered */
  constructor (limit: number) {
    this.#limit = limit
  }

  get size (): number { return this.#given.size }

  /** Remember a SURB. When full, the oldest of the same call is forgotten for it; false if it has none. */
  give (call: number, secrets: SurbSecrets, now: Millis, expires: Millis, paths: readonly Path[]): boolean {
    if (this.#given.size >= this.#limit) {
      const oldest = this.#ofCall.get(call)?.values().next().value
      if (oldest === undefined) return false
      this.#forget(oldest)
    }
    const name = toHex(secrets.id)
    this.#given.set(name, { call, secrets, at: now, expires, paths })
    const own = this.#ofCall.get(call)
    if (own === undefined) this.#ofCall.set(call, new Set([name]))
    else own.add(name)
    return true
  }

  /** How many of this call's were given away since then and have not come back. */
  givenSince (call: number, since: Millis): number {
    let count = 0
    for (const name of this.#ofCall.get(call) ?? []) if ((this.#given.get(name)?.at ?? -Infinity) >= since) count += 1
    return count
  }

  /** The SURB of this id, which from now on is used; null if there is none, or no longer. The caller wipes the secrets. */
  take (surbId: Uint8Array, now: Millis): Given | null {
    const name = toHex(surbId)
    const given = this.#given.get(name)
    if (given === undefined) return null
    this.#unlist(name, given.call)
    if (given.expires > now) return given
    wipeSecrets(given.secrets)
    return null
  }

  /** Forget the SURBs of this call whose mix keys are no more. */
  prune (call: number, now: Millis): void {
    for (const name of this.#ofCall.get(call) ?? []) {
      if ((this.#given.get(name)?.expires ?? 0) <= now) this.#forget(name)
    }
  }

  forgetCall (call: number): void {
    for (const name of this.#ofCall.get(call) ?? []) this.#forget(name)
  }

  #forget (name: string): void {
    const given = this.#given.get(name)
    if (given === undefined) return
    this.#unlist(name, given.call)
    wipeSecrets(given.secrets)
  }

  #unlist (name: string, call: number): void {
    this.#given.delete(name)
    const own = this.#ofCall.get(call)
    own?.delete(name)
    if (own?.size === 0) this.#ofCall.delete(call)
  }
}

export function wipeSecrets ({ key, secrets }: SurbSecrets): void {
  wipe(key, ...secrets)
}
