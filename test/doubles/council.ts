/**
 * Directory authorities around one table: each with a disk, a clock, and links that a test can cut; some may be liars. Every
 * word that an honest one lets out is written down, so that a test can ask whether it ever said two things in one place.
 */
import { equal, toHex } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import type { BatchResult, Log, Millis, Op, Store } from '@mixmint/core/kit/ports'
import { drive, type Saga } from '@mixmint/core/kit/saga'
import type { Ed25519KeyPair, Suite } from '@mixmint/core/crypto/suite'
import { Authority, type AuthorityConfig } from '@mixmint/mixnet/directory/authority'
import { documentHash, documentStatement, trustOf, verifyTimeless, type Term, type Trust } from '@mixmint/mixnet/directory/document'
import type { AuthorityEffect } from '@mixmint/mixnet/directory/exchange'
import type { SignedDescriptor, SignedDocument } from '@mixmint/mixnet/directory/formats'
import { DirectoryReply, DirectoryRequest } from '@mixmint/mixnet/directory/messages'
import { isSigned } from '@mixmint/mixnet/directory/statement'
import { VirtualClock } from './clock.ts'
import { admissionOf, authorityKeys, keysOf, NETWORK, PARAMETERS, signed, START, testNetwork, type Placed } from './directory.ts'
import { MemoryStore } from './memory-store.ts'
import { CountingMeter } from './meter.ts'
import { seededRng } from './rng.ts'

export const NOW = START + 600_000

/** The fewest nodes that make a document: what takes the time is their signatures. */
export const TINY = {
  nodes: testNetwork(1, 3).filter(({ node: { name } }) => ['gateway 0', 'mix 0', 'bank'].includes(name)),
  config: (): Partial<AuthorityConfig> => ({ parameters: { ...PARAMETERS, pathLength: 3 } })
}

/** The power fails at a batch: before it, nothing of it is kept; after it, all is, but nobody hears so. */
export class PowerStore implements Store {
  readonly inner: MemoryStore
  /** In how many batches, and on which side of that one; 0: not at all. */
  fails: { inBatches: number, kept: boolean } = { inBatches: 0, kept: false }

  constructor (inner: MemoryStore) { this.inner = inner }
  get = async (key: Uint8Array): Promise<Uint8Array | null> => await this.inner.get(key)
  scan: Store['scan'] = async range => await this.inner.scan(range)
  close = async (): Promise<void> => {}
  batch = async (ops: readonly Op[]): Promise<BatchResult> => {
    const fails = this.fails.inBatches === 1
    this.fails.inBatches -= Math.min(1, this.fails.inBatches)
    if (fails && !this.fails.kept) throw new Error('power lost')
    const result = await this.inner.batch(ops)
    if (fails) throw new Error('power lost')
    return result
  }
}

/** How a liar answers: to whom, what; null: not at all. */
export type Answer = (asker: Uint8Array, request: DirectoryRequest) => Promise<DirectoryReply | null>

export interface Seat {
  readonly key: Ed25519KeyPair
  readonly clock: VirtualClock
  readonly meter: CountingMeter
  readonly log: string[]
  config: AuthorityConfig
  store: PowerStore
  authority: Authority
}

export class Council {
  readonly suite: Suite
  readonly keys: readonly Ed25519KeyPair[]
  readonly nodes: readonly Placed[]
  readonly seats: Seat[] = []
  /** By public key in hexadecimal; a liar's own seat stays empty. */
  readonly liars = new Map<string, Answer>()
  /** `asker asked`, both by index. */
  readonly cut = new Set<string>()
  /** Asked for each request and each reply: is it lost on its way? */
  loses: () => boolean = () => false
  /** What honest authorities have let out, by author and place. */
  readonly words = new Map<string, string>()
  /** Every signature on a document that anybody has shown, by epoch and document. */
  readonly signatures = new Map<string, Set<string>>()
  readonly trust: Trust
  readonly #descriptors = new Map<string, SignedDescriptor>()

  private constructor (suite: Suite, n: number, nodes: readonly Placed[], terms: ReadonlyArray<Partial<Term>>) {
    this.suite = suite
    this.keys = authorityKeys(suite, n)
    this.trust = trustOf(NETWORK, this.keys.map(({ publicKey }, i) => ({ key: publicKey, ...terms[i] })))
    this.nodes = nodes
  }

  static async of (suite: Suite, n: number, { nodes = testNetwork(1), config = () => ({}), at = NOW, terms = [] }: {
    nodes?: readonly Placed[], config?: (i: number) => Partial<AuthorityConfig>, at?: Millis, terms?: ReadonlyArray<Partial<Term>>
  } = {}): Promise<Council> {
    const council = new Council(suite, n, nodes, terms)
    for (const [i, key] of council.keys.entries()) {
      const own: AuthorityConfig = {
        key, trust: council.trust, parameters: PARAMETERS, admitted: nodes.map(node => admissionOf(node)), bootstrapWait: 3_000, ...config(i)
      }
      const seat = { key, clock: new VirtualClock(at), meter: new CountingMeter(), log: [], config: own, store: new PowerStore(new MemoryStore()) }
      council.seats.push({ ...seat, authority: council.#make(own, seat.meter, seat.log) })
      await council.run(i, council.seats[i].authority.open())
    }
    return council
  }

  get honest (): number[] {
    return this.seats.flatMap(({ key }, i) => this.liars.has(toHex(key.publicKey)) ? [] : [i])
  }

  /** The process ends, and starts again from what is on its disk. */
  async restart (i: number, config: Partial<AuthorityConfig> = {}): Promise<void> {
    const seat = this.seats[i]
    seat.store = new PowerStore(seat.store.inner.crash())
    seat.config = { ...seat.config, ...config }
    seat.authority = this.#make(seat.config, seat.meter, seat.log)
    await this.run(i, seat.authority.open())
  }

  async tick (i: number): Promise<Millis> {
    return await this.run(i, this.seats[i].authority.tick())
  }

  async pull (i: number, j: number): Promise<boolean> {
    return (await this.run(i, this.seats[i].authority.pull(this.keys[j].publicKey))).news
  }

  /** Each asks each once: before that nobody votes. */
  async acquaint (): Promise<void> {
    for (const i of this.seats.keys()) for (const j of this.seats.keys()) if (i !== j) await this.pull(i, j)
  }

  /** As a process would: at a loss of power it starts again. */
  async crashing (i: number, step: () => Promise<unknown>): Promise<void> {
    const { authority } = this.seats[i]
    try {
      await step()
    } catch (error) {
      if (!(error instanceof Error) || error.message !== 'power lost') throw error
      if (this.seats[i].authority === authority) await this.restart(i)
    }
  }

  /** Everyone hears everyone and speaks, again and again, while time passes. @returns the number of rounds that it took */
  async settle (isDone: () => boolean, { rounds = 200, step = 50 } = {}): Promise<number> {
    for (let k = 0; k < rounds; k++) {
      if (isDone()) return k
      for (const i of this.honest) {
        for (let j = 0; j < this.seats.length; j++) if (i !== j) await this.pull(i, j)
        await this.tick(i)
      }
      this.advance(step)
    }
    if (!isDone()) throw new Error(`not settled: ${JSON.stringify(this.honest.map(i => ({ ...this.seats[i].authority.status, colleagues: undefined })))}`)
    return rounds
  }

  advance (ms: Millis): void {
    for (const { clock } of this.seats) clock.advance(ms)
  }

  async publish (i: number, descriptor: SignedDescriptor): Promise<string> {
    const reply = await this.run(i, this.seats[i].authority.handle({ op: 'publish', signed: descriptor }))
    return reply.is === 'refused' ? reply.code : reply.is
  }

  /** Every node to every honest authority, or these to those. */
  async publishAll (which: readonly Placed[] = this.nodes, to: readonly number[] = this.honest): Promise<void> {
    for (const node of which) {
      const descriptor = this.descriptor(node, this.seats[to[0] ?? 0].clock.now())
      for (const i of to) await this.publish(i, descriptor)
    }
  }

  /** The node's descriptor as of now, with keys of this epoch and the two after. */
  descriptor ({ node, change }: Placed, now: Millis): SignedDescriptor {
    const name = `${node.name} ${now}`
    const known = this.#descriptors.get(name) ?? signed(this.suite, node, { mixKeys: keysOf(this.suite, node, Math.floor(now / PARAMETERS.epochLength)), ...change, published: now })
    this.#descriptors.set(name, known)
    return known
  }

  async get (i: number, epoch: number | null = null): Promise<SignedDocument | null> {
    const reply = await this.answer(i, { op: 'get', epoch })
    return reply?.is === 'document' ? reply.signed : null
  }

  /** What i answers whoever asks; written down. */
  async answer (i: number, request: DirectoryRequest, asker: Uint8Array = new Uint8Array(0)): Promise<DirectoryReply | null> {
    const { key, authority } = this.seats[i]
    const liar = this.liars.get(toHex(key.publicKey))
    const reply = liar === undefined ? await this.run(i, authority.handle(request)) : await liar(asker, request)
    // As over the wire.
    const parsed = reply === null ? null : decode(DirectoryReply, encode(DirectoryReply, reply))
    if (parsed !== null) this.#note(request, parsed, liar === undefined ? key.publicKey : null)
    return parsed
  }

  async run<T> (i: number, saga: Saga<T, AuthorityEffect>): Promise<T> {
    const { clock, store } = this.seats[i]
    return await drive(saga, { clock, rng: seededRng(1), store, wait: clock.wait }, async ({ authority, request }) => {
      const j = this.keys.findIndex(({ publicKey }) => equal(publicKey, authority))
      if (this.cut.has(`${i} ${j}`) || this.loses()) return null
      const reply = await this.answer(j, decode(DirectoryRequest, encode(DirectoryRequest, request)), this.keys[i].publicKey)
      return this.loses() ? null : reply
    })
  }

  /** Documents of an epoch that a quorum has signed, as far as anybody has shown signatures. */
  valid (epoch: number, quorum: number): string[] {
    return [...this.signatures].filter(([name, by]) => name.startsWith(`${epoch} `) && by.size >= quorum).map(([name]) => name)
  }

  #make (config: AuthorityConfig, meter: CountingMeter, lines: string[]): Authority {
    const log: Log = { info: () => {}, warn: message => { lines.push(message) }, error: message => { lines.push(message) } }
    return new Authority(this.suite, config, meter, log)
  }

  #note (request: DirectoryRequest, reply: DirectoryReply, author: Uint8Array | null): void {
    if (reply.is === 'document') {
      verifyTimeless(this.suite, reply.signed, this.trust)
      const { document: { epoch }, signatures } = reply.signed
      this.#sign(epoch, documentHash(this.suite, reply.signed.document), signatures, author)
    } else if (reply.is === 'agreement' && request.op === 'agreement') {
      for (const { statement: { what, epoch, round, value }, authority } of [...reply.statements, ...reply.proposals.map(({ signed: each }) => each)]) {
        if (author !== null && equal(authority, author)) this.#word(author, `${what} ${epoch} ${round}`, value)
      }
      if (reply.document !== null) this.#sign(request.epoch, reply.document.hash, this.#verified(request.epoch, reply.document), author)
    }
  }

  #sign (epoch: number, hash: Uint8Array, signatures: SignedDocument['signatures'], author: Uint8Array | null): void {
    const name = `${epoch} ${toHex(hash)}`
    const by = this.signatures.get(name) ?? new Set()
    this.signatures.set(name, by)
    for (const { authority } of signatures) {
      by.add(toHex(authority))
      if (author !== null && equal(authority, author)) this.#word(author, `document ${epoch}`, hash)
    }
  }

  #verified (epoch: number, { hash, signatures }: { hash: Uint8Array, signatures: SignedDocument['signatures'] }): SignedDocument['signatures'] {
    const statement = documentStatement(NETWORK, epoch, hash)
    return signatures.filter(entry => isSigned(this.suite, { statement, ...entry }))
  }

  #word (author: Uint8Array, place: string, value: Uint8Array): void {
    const name = `${toHex(author)} ${place}`
    const before = this.words.get(name)
    if (before !== undefined && before !== toHex(value)) throw new Error(`an honest authority said two things in one place: ${name}`)
    this.words.set(name, toHex(value))
  }
}
