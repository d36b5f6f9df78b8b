/**
 * A directory authority that lies with its own, real key: it has several faces, each an authority that is right by itself,
 * shows each asker another of them, and signs whatever else it is in the mood for.
 */
import { toHex } from '@mixmint/core/kit/bytes'
import { isMixmintError } from '@mixmint/core/kit/errors'
import type { Log } from '@mixmint/core/kit/ports'
import { drive, type Saga } from '@mixmint/core/kit/saga'
import { Authority } from '@mixmint/mixnet/directory/authority'
import { documentStatement } from '@mixmint/mixnet/directory/document'
import type { AuthorityEffect } from '@mixmint/mixnet/directory/exchange'
import type { DirectoryReply, DirectoryRequest } from '@mixmint/mixnet/directory/messages'
import { signStatement, type SignedStatement, type Statement } from '@mixmint/mixnet/directory/statement'
import type { Council } from './council.ts'
import type { Placed } from './directory.ts'
import { MemoryStore } from './memory-store.ts'
import { CountingMeter } from './meter.ts'
import { seededRng } from './rng.ts'

interface Face { readonly authority: Authority, readonly store: MemoryStore }

export class Liar {
  readonly #council: Council
  readonly #index: number
  readonly #random: (below: number) => number
  readonly #faces: Face[] = []
  /** Hashes of documents that it has heard of. */
  readonly #heard = new Map<string, Uint8Array>()

  /** @param random a number below another; decides which face is shown to whom, and what is signed besides */
  private constructor (council: Council, index: number, random: (below: number) => number) {
    this.#council = council
    this.#index = index
    this.#random = random
  }

  /** Take a seat. @param views the nodes that each face knows */
  static async seat (council: Council, index: number, views: ReadonlyArray<readonly Placed[]>, random: (below: number) => number): Promise<Liar> {
    const liar = new Liar(council, index, random)
    const { config } = council.seats[index]
    const quiet: Log = { info: () => {}, warn: () => {}, error: () => {} }
    for (const view of views) {
      const face = { authority: new Authority(council.suite, config, new CountingMeter(), quiet), store: new MemoryStore() }
      liar.#faces.push(face)
      await liar.#run(face, face.authority.open())
      for (const key of council.keys) if (key !== config.key) await liar.#run(face, face.authority.pull(key.publicKey))
      for (const node of view) await liar.#run(face, face.authority.handle({ op: 'publish', signed: council.descriptor(node, council.seats[index].clock.now()) }))
    }
    council.liars.set(toHex(council.keys[index].publicKey), async (asker, request) => await liar.#answer(asker, request))
    return liar
  }

  /** Each face hears an honest one and speaks. */
  async act (): Promise<void> {
    const { honest, keys } = this.#council
    for (const face of this.#faces) {
      await this.#run(face, face.authority.pull(keys[honest[this.#random(honest.length)]].publicKey))
      try {
        await this.#run(face, face.authority.tick())
      } catch (error) {
        if (!isMixmintError(error, 'authority-forgot')) throw error // it has heard of what it signed with another face
      }
    }
  }

  async #answer (asker: Uint8Array, request: DirectoryRequest): Promise<DirectoryReply | null> {
    if (this.#random(8) === 0) return null
    // Mostly the same face for the same asker.
    const which = this.#random(6) === 0 ? this.#random(this.#faces.length) : asker.reduce((sum, byte) => sum + byte, 0) % this.#faces.length
    const face = this.#faces[which]
    const reply = await this.#run(face, face.authority.handle(request))
    if (reply.is === 'vote' || reply.is === 'descriptors' || reply.is === 'document') return reply
    if (request.op === 'agreement' && reply.is === 'agreement') return this.#bend(request.epoch, reply)
    // What one face does not have, another may.
    for (const other of this.#faces) {
      const second = await this.#run(other, other.authority.handle(request))
      if (second.is !== 'refused') return second
    }
    return reply
  }

  #bend (epoch: number, reply: Extract<DirectoryReply, { is: 'agreement' }>): DirectoryReply {
    for (const { proposal: { choice } } of reply.proposals) this.#heard.set(toHex(choice.document), choice.document)
    for (const { statement: { what, value } } of reply.statements) if ((what === 'prevote' || what === 'precommit') && value.length > 0) this.#heard.set(toHex(value), value)
    const values = [new Uint8Array(0), ...this.#heard.values()]
    const round = reply.statements.reduce((most, { statement }) => statement.what === 'vote' ? most : Math.max(most, statement.round), 0)
    const forged = Array.from({ length: this.#random(4) }, () =>
      this.#sign(epoch, this.#random(2) === 0 ? 'prevote' : 'precommit', Math.max(0, round + 1 - this.#random(3)), values[this.#random(values.length)]))
    const known = [...this.#heard.values()]
    const hash = known[this.#random(known.length)]
    const document = hash === undefined || this.#random(2) === 0
      ? reply.document
      : { hash, signatures: [signatureOf(this.#sign(epoch, 'document', 0, hash)), ...reply.document?.signatures ?? []] }
    return { ...reply, statements: [...forged, ...reply.statements], document }
  }

  #sign (epoch: number, what: Statement['what'], round: number, value: Uint8Array): SignedStatement {
    const { suite, keys, trust } = this.#council
    const statement = what === 'document' ? documentStatement(trust.network, epoch, value) : { network: trust.network, epoch, what, round, value }
    return signStatement(suite, keys[this.#index], statement)
  }

  async #run<T> (face: Face, saga: Saga<T, AuthorityEffect>): Promise<T> {
    const { clock } = this.#council.seats[this.#index]
    return await drive(saga, { clock, rng: seededRng(2), store: face.store, wait: clock.wait }, async ({ authority, request }) => {
      const j = this.#council.keys.findIndex(({ publicKey }) => toHex(publicKey) === toHex(authority))
      return j === this.#index ? null : await this.#council.answer(j, request, this.#council.keys[this.#index].publicKey)
    })
  }
}

function signatureOf ({ authority, signature }: SignedStatement): { authority: Uint8Array, signature: Uint8Array } {
  return { authority, signature }
}
