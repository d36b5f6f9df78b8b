/**
 * Whom an authority's operator admitted, and what they published last. A saga engine, part of authority.ts.
 *
 *   store   directory/node/<peer 39>    the newest signed descriptor of an admitted node
 */
import { compare, concat, equal, toHex, utf8 } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import { batch, get, scanAll, type Saga } from '@mixmint/core/kit/saga'
import type { Suite } from '@mixmint/core/crypto/suite'
import { verifyDescriptor } from './descriptor.ts'
import { descriptorRules, earliestListed, hasKey } from './document.ts'
import { epochAt } from './epoch.ts'
import { SignedDescriptor, type Descriptor, type Parameters } from './formats.ts'
import type { CheckService } from './merge.ts'

/** One line of the operator's list. */
export interface Admission {
  readonly peer: Uint8Array
  readonly role: Descriptor['role']
  /** For a service its kind, else ''. */
  readonly kind: string
  /** Where this mix shall stand, from 1; without it the authorities choose. */
  readonly layer?: number
}

export interface RegisterRules {
  readonly network: string
  readonly parameters: Parameters
  readonly admitted: readonly Admission[]
  readonly checkService?: CheckService
}

/** Who would be listed. `layer`: where the operator wants this mix, or 0. */
export type Listing = ReadonlyArray<{ readonly signed: SignedDescriptor, readonly layer: number }>

const NODES = utf8('directory/node/')

export class Register {
  readonly #suite: Suite
  readonly #rules: RegisterRules
  #admitted: ReadonlyMap<string, Admission> = new Map()
  /** By peer id in hexadecimal. */
  readonly #nodes = new Map<string, SignedDescriptor>()
  /** Of those who are admitted no more. */
  readonly #former = new Map<string, SignedDescriptor>()

  /** @throws authority-admission (operator) */
  constructor (suite: Suite, rules: RegisterRules) {
    this.#suite = suite
    this.#rules = rules
    this.admit(rules.admitted)
  }

  /** From now on these are admitted, and nobody else. @throws authority-admission (operator): then all is as before */
  admit (admitted: readonly Admission[]): void {
    const layers = this.#rules.parameters.pathLength - 2
    const byPeer = new Map(admitted.map(entry => [toHex(entry.peer), entry]))
    if (byPeer.size !== admitted.length) {
      throw new MixmintError('authority-admission', 'operator', 'the admission list names a peer twice')
    }
    for (const { role, layer } of admitted) {
      if (layer !== undefined && (role !== 'mix' || layer < 1 || layer > layers)) {
        throw new MixmintError('authority-admission', 'operator', `only a mix can be given a layer, 1 to ${layers}`)
      }
    }
    this.#admitted = byPeer
    for (const [peer, signed] of this.#nodes) {
      if (this.isAdmitted(signed.descriptor)) continue
      this.#nodes.delete(peer)
      this.#former.set(peer, signed)
    }
  }

  /** Load what the store holds. Once, before anything else. */
  * open (): Saga<void> {
    for (const { value } of yield * scanAll(NODES)) {
      const signed = decode(SignedDescriptor, value)
      const known = this.isAdmitted(signed.descriptor) ? this.#nodes : this.#former
      known.set(toHex(signed.descriptor.peer), signed)
    }
  }

  isAdmitted ({ peer, role, kind }: Descriptor): boolean {
    const entry = this.#admitted.get(toHex(peer))
    return entry !== undefined && entry.role === role && entry.kind === kind
  }

  /** Is this the newest word of an admitted node? */
  isNews ({ descriptor }: SignedDescriptor): boolean {
    const known = this.#nodes.get(toHex(descriptor.peer))
    return this.isAdmitted(descriptor) && (known === undefined || known.descriptor.published < descriptor.published)
  }

  /**
   * Keep a descriptor, durably.
   * @throws not-admitted, descriptor-epochs, descriptor-older, the codes of `checkService`, those of verifyDescriptor (all peer)
   */
  * publish (signed: SignedDescriptor, now: Millis): Saga<void> {
    const { descriptor } = signed
    const { network, parameters } = this.#rules
    const epoch = epochAt(parameters, now)
    if (!this.isAdmitted(descriptor)) {
      throw new MixmintError('not-admitted', 'peer', 'this peer is not on the authority\'s list in this role: ask its operator')
    }
    verifyDescriptor(this.#suite, signed, { network, latest: now + parameters.clockSkew, earliest: earliestListed(parameters, epoch) })
    if (descriptor.mixKeys.length > 0 && !descriptor.mixKeys.some(key => key.epoch === epoch || key.epoch === epoch + 1)) {
      throw new MixmintError('descriptor-epochs', 'peer', `no mix key is for epoch ${epoch} or the next: set the node's clock`)
    }
    const key = concat(NODES, descriptor.peer)
    const value = encode(SignedDescriptor, signed)
    for (;;) {
      const was: Uint8Array | null = yield * get(key)
      if (was !== null && equal(was, value)) break
      const before = was === null ? null : decode(SignedDescriptor, was).descriptor
      if (before !== null && before.published >= descriptor.published) {
        throw new MixmintError('descriptor-older', 'peer', 'a newer descriptor of this node is known: sign a fresh one')
      }
      this.#checkService(descriptor, now)
      const result = yield * batch([{ op: 'swap', key, was, value }])
      if (result.done) break
    }
    // Of two at once the store took the newer one last, but this may run first.
    if (this.isNews(signed)) this.#nodes.set(toHex(descriptor.peer), signed)
  }

  /** Whom this authority would list in the document of an epoch: those were verified when they came, and are still fresh. */
  listing (epoch: number): Listing {
    const { earliest, latest } = descriptorRules(this.#rules.network, this.#rules.parameters, epoch)
    return [...this.#nodes]
      .filter(([, { descriptor }]) => descriptor.published >= earliest && descriptor.published <= latest && hasKey(descriptor, epoch))
      .map(([peer, signed]) => ({ signed, layer: this.#admitted.get(peer)?.layer ?? 0 }))
  }

  /** What services of a kind said last, however long ago, also those who are admitted no more: in order of peer id, those after this one. */
  recall (kind: string, after: Uint8Array | null): SignedDescriptor[] {
    return this.#remembered()
      .filter(({ descriptor: { role, kind: own, peer } }) => role === 'service' && own === kind && (after === null || compare(peer, after) > 0))
      .sort((a, b) => compare(a.descriptor.peer, b.descriptor.peer))
  }

  /** Are all there who are admitted? */
  isComplete (listing: Listing): boolean {
    return listing.length === this.#admitted.size
  }

  /** What a path through it lacks, for people; '' where there is one. Mixes without a layer go where they are wanted. */
  lacking (listing: Listing): string {
    const layers = this.#rules.parameters.pathLength - 2
    const mixes = listing.filter(({ signed }) => signed.descriptor.role === 'mix')
    const free = mixes.filter(({ layer }) => layer === 0).length
    const empty = Array.from({ length: layers }, (_, i) => i + 1).filter(layer => !mixes.some(mix => mix.layer === layer))
    const mixesWanted = Math.max(0, empty.length - free)
    return [
      listing.some(({ signed }) => signed.descriptor.role === 'gateway') ? '' : 'a gateway',
      mixesWanted === 0 ? '' : mixesWanted === 1 ? 'a mix' : `${mixesWanted} mixes`
    ].filter(part => part !== '').join(' and ')
  }

  /** The newest word of each peer that was ever admitted. */
  #remembered (): SignedDescriptor[] {
    return [...new Map([...this.#former, ...this.#nodes]).values()]
  }

  #checkService ({ role, peer, kind, body }: Descriptor, now: Millis): void {
    const { checkService, parameters } = this.#rules
    if (role !== 'service' || checkService === undefined) return
    const services = (all: Iterable<SignedDescriptor>): Descriptor[] => [...all].map(({ descriptor }) => descriptor).filter(other => other.role === 'service')
    const before = services(this.#remembered())
    // What is too old to be listed stands in nobody's way.
    const earliest = earliestListed(parameters, epochAt(parameters, now))
    const others = services(this.#nodes.values()).filter(other => !equal(other.peer, peer) && other.published >= earliest)
    const code = checkService(kind, body, others, { peer, before, now })
    if (code !== null) throw new MixmintError(code, 'peer', `what this ${kind} says about itself breaks the network's rules (${code})`)
  }
}
