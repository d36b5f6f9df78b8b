/** The agreement alone, thousands of times: liars, lost messages, crashes, clocks apart. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { Agreement, type AgreementState, type Certificate, type Choice, type Proposal, type SignedProposal } from '@mixmint/mixnet/directory/agreement'
import { tolerated, quorum } from '@mixmint/mixnet/directory/document'
import type { SignedStatement, Statement } from '@mixmint/mixnet/directory/statement'
import { randomOf } from '../doubles/rng.ts'

const PATIENCE = 100
const NOTHING = new Uint8Array(0)
const keyOf = (i: number): Uint8Array => new Uint8Array(32).fill(i + 1)
/** What authority i would propose by itself. */
const choiceOf = (i: number): Choice => ({ document: new Uint8Array(32).fill(100 + i), votes: [] })

function said (author: number, what: Statement['what'], round: number, value: Uint8Array): SignedStatement {
  return { statement: { network: 'n', epoch: 0, what, round, value }, authority: keyOf(author), signature: new Uint8Array(64) }
}

function proposed (author: number, round: number, proposal: Proposal): SignedProposal {
  return { signed: said(author, 'proposal', round, new Uint8Array(32).fill(proposal.choice.document[0])), proposal }
}

/** What one shows to whoever asks. */
interface Shown { statements: SignedStatement[], proposals: SignedProposal[], lock: Certificate | null, decision: Certificate | null }

/** Authorities of which the last `liars` say anything to anyone. They keep what they said on disks that survive them. */
class World {
  readonly n: number
  readonly honest: number[]
  readonly liars: number[]
  readonly engines: Agreement[] = []
  readonly disks: Array<AgreementState | undefined> = []
  readonly shown: Shown[] = []
  /** Off the true time, for good. */
  readonly clocks: number[]
  readonly decided = new Map<number, Set<string>>()
  /** What the honest have said where, for all to hear. */
  readonly words = new Map<string, string>()
  readonly random: (below: number) => number
  /** Decides who leads first. */
  readonly epoch: number
  /** Of 8 messages so many are lost, and of 8 links so many are cut, anew from time to time. */
  #lost = 0
  #cut = new Set<string>()
  now = 0

  constructor (n: number, liars: number, seed: number) {
    this.n = n
    this.random = randomOf(seed)
    this.honest = Array.from({ length: n - liars }, (_, i) => i)
    this.liars = Array.from({ length: liars }, (_, i) => n - liars + i)
    this.clocks = this.honest.map(() => this.random(PATIENCE))
    this.epoch = this.random(n)
    for (const i of this.honest) this.start(i)
  }

  start (i: number): void {
    this.engines[i] = new Agreement({ epoch: this.epoch, self: keyOf(i), authorities: Array.from({ length: this.n }, (_, a) => keyOf(a)), patience: PATIENCE }, this.disks[i])
    this.show(i)
  }

  /** Say what there is to say. @param crash 1: before what is said is on disk; 2: after, before anybody has seen it */
  step (i: number, crash = 0): void {
    const engine = this.engines[i]
    for (;;) {
      const say = engine.next(this.now + this.clocks[i], () => choiceOf(i))
      if (say === null) break
      if (say.what === 'proposal') engine.hearProposal(proposed(i, say.round, say.proposal), true)
      else engine.hear(said(i, say.what, say.round, say.value))
      if (crash === 1) return this.start(i)
      this.disks[i] = engine.state()
      if (crash === 2) return this.start(i)
    }
    if (engine.decision !== null) this.decided.set(i, (this.decided.get(i) ?? new Set()).add(toHex(engine.decision.choice.document)))
    this.show(i)
  }

  show (i: number): void {
    const { engines: { [i]: engine } } = this
    this.shown[i] = { statements: engine.statements(), proposals: engine.proposals(), lock: engine.lock, decision: engine.decision }
    for (const { statement: { what, round, value }, authority } of [...this.shown[i].statements, ...this.shown[i].proposals.map(({ signed }) => signed)]) {
      if (authority[0] !== keyOf(i)[0]) continue
      const place = `${i} ${what} ${round}`
      const before = this.words.get(place)
      if (before !== undefined && before !== toHex(value)) throw new Error(`an honest authority contradicts itself: ${place}`)
      this.words.set(place, toHex(value))
    }
  }

  /** i asks j and hears some of what it shows. */
  pull (i: number, j: number, some: (n: number) => boolean = () => true): void {
    const engine = this.engines[i]
    const { statements, proposals, lock, decision } = this.liars.includes(j) ? this.lie(j) : this.shown[j]
    for (const one of proposals) if (some(1)) engine.hearProposal(one, true)
    if (lock !== null && some(1)) engine.adopt(lock)
    if (decision !== null && some(1)) engine.conclude(decision)
    for (const one of statements) if (some(1)) engine.hear(one)
  }

  /** Whatever serves: for any choice, in any round, and twice the same under another signature; each asker hears something else. */
  lie (j: number): Shown {
    const top = Math.max(...this.honest.map(k => this.engines[k].round)) + this.random(3)
    const some = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make)
    const value = (): Uint8Array => this.random(3) === 0 ? NOTHING : choiceOf(this.random(this.n)).document
    const round = (): number => Math.max(0, top - this.random(3))
    const statements = some(8, () => ({ ...said(j, this.random(2) === 0 ? 'prevote' : 'precommit', round(), value()), signature: new Uint8Array(64).fill(this.random(3)) }))
    const proposals = some(2, () => {
      const [at, choice] = [round(), choiceOf(this.random(this.n))]
      return proposed(j, at, { choice, lock: this.lockOf(choice, at) })
    })
    const heard = this.shown[this.honest[this.random(this.honest.length)]]
    return { ...heard, statements: [...statements, ...heard.statements], proposals: [...proposals, ...heard.proposals] }
  }

  /** The newest lock that can be made of what was said and what liars add. */
  lockOf (choice: Choice, before: number): Certificate | null {
    for (let round = before - 1; round >= 0; round--) {
      const by = new Set(this.honest.flatMap(k => this.shown[k].statements)
        .filter(({ statement }) => statement.what === 'prevote' && statement.round === round && toHex(statement.value) === toHex(choice.document))
        .map(({ authority }) => toHex(authority)))
      for (const liar of this.liars) by.add(toHex(keyOf(liar)))
      if (by.size >= quorum(this.n)) return { choice, round, signatures: [] }
    }
    return null
  }

  shuffled<T> (items: readonly T[]): T[] {
    const left = [...items]
    return items.map(() => left.splice(this.random(left.length), 1)[0])
  }

  get documents (): Set<string> {
    return new Set([...this.decided.values()].flatMap(each => [...each]))
  }

  chaos (steps: number): void {
    for (let k = 0; k < steps; k++) {
      if (k % 40 === 0) this.#disturb()
      const [i, j] = [this.honest[this.random(this.honest.length)], this.random(this.n)]
      if (this.random(3) === 0) this.step(i, this.random(12) < 10 ? 0 : 1 + this.random(2))
      else if (!this.#cut.has(`${i} ${j}`)) this.pull(i, j, () => this.random(8) >= this.#lost)
      if (this.random(4) === 0) this.now += this.random(PATIENCE)
    }
  }

  #disturb (): void {
    this.#lost = this.random(8)
    const cut = this.random(8)
    this.#cut = new Set(this.honest.flatMap(i => Array.from({ length: this.n }, (_, j) => `${i} ${j}`)).filter(() => this.random(8) < cut))
  }

  /** All hear each other again, often; the liars go on. */
  heal (most: number): void {
    for (let k = 0; k < most && this.honest.some(i => this.engines[i].decision === null); k++) {
      for (const i of this.shuffled(this.honest)) {
        for (const j of this.shuffled([...this.honest, ...this.liars])) if (i !== j) this.pull(i, j)
        this.step(i)
      }
      this.now += PATIENCE / 8
    }
  }
}

describe.each([[1, 0, 10], [2, 0, 30], [3, 0, 30], [4, 0, 30], [4, 1, 100], [5, 1, 20], [6, 1, 20], [7, 2, 10]])('of %i authorities of which %i lie', (n, liars, numRuns) => {
  it('no two decide differently, whatever is lost, and all decide once they hear each other', () => {
    expect(tolerated(n)).toBeGreaterThanOrEqual(liars)
    fc.assert(fc.property(fc.nat(), fc.integer({ min: 0, max: 300 }), (seed, steps) => {
      const world = new World(n, liars, seed)
      world.chaos(steps)
      expect(world.documents.size).toBeLessThanOrEqual(1)
      world.heal(2_000)
      expect(world.documents.size).toBe(1)
      for (const i of world.honest) expect(world.engines[i].decision).not.toBeNull()
    }), { numRuns })
  })
})

describe('one of four', () => {
  const [a, b] = [choiceOf(0), choiceOf(1)]
  const lockOf = (choice: Choice, round: number): Certificate => ({ choice, round, signatures: [] })
  const make = (self = 3, state?: AgreementState): Agreement =>
    new Agreement({ epoch: 0, self: keyOf(self), authorities: [0, 1, 2, 3].map(keyOf), patience: PATIENCE }, state)
  const nobody = (): null => null
  /** What it says until it is silent: what, in which round, for which choice (-: nothing). */
  const speak = (engine: Agreement, now = 0, candidate: () => Choice | null = nobody): string[] => {
    const words: string[] = []
    for (let say = engine.next(now, candidate); say !== null; say = engine.next(now, candidate)) {
      const value = say.what === 'proposal' ? say.proposal.choice.document : say.value
      words.push(`${say.what} ${say.round} ${value.length === 0 ? '-' : 'abcd'[value[0] - 100]}`)
      if (say.what === 'proposal') engine.hearProposal(proposed(3, say.round, say.proposal), true)
      else engine.hear(said(3, say.what, say.round, say.value))
    }
    return words
  }
  const hear = (engine: Agreement, what: 'prevote' | 'precommit', round: number, value: Uint8Array, ...authors: number[]): void => {
    for (const author of authors) engine.hear(said(author, what, round, value))
  }
  /** Locked on a in round 0, and now in round 1. */
  const locked = (): Agreement => {
    const engine = make()
    engine.hearProposal(proposed(0, 0, { choice: a, lock: null }), true)
    hear(engine, 'prevote', 0, a.document, 0, 1)
    expect(speak(engine)).toEqual(['prevote 0 a', 'precommit 0 a'])
    hear(engine, 'precommit', 1, NOTHING, 1, 2)
    return engine
  }

  it('prevotes for nothing when no proposal came in time, or a wrong one came', () => {
    const engine = make()
    expect(speak(engine, 0, () => a)).toEqual([])
    expect(engine.deadline).toBe(PATIENCE)
    expect(speak(engine, PATIENCE - 1, () => a)).toEqual([])
    expect(speak(engine, PATIENCE, () => a)).toEqual(['prevote 0 -'])
    const other = make()
    other.hearProposal(proposed(0, 0, { choice: a, lock: null }), false)
    expect(speak(other)).toEqual(['prevote 0 -'])
  })

  it('does not take a proposal from another than the leader of its round', () => {
    const engine = make()
    const stranger = proposed(1, 0, { choice: b, lock: null })
    expect(engine.wants(stranger.signed)).toBe(false)
    engine.hearProposal(stranger, true)
    expect(engine.proposals()).toEqual([])
    expect(speak(engine)).toEqual([])
    engine.hearProposal(proposed(0, 0, { choice: a, lock: null }), true)
    expect(speak(engine)).toEqual(['prevote 0 a'])
  })

  it('begins round 0 only when there is something to propose, later rounds at once', () => {
    const engine = make()
    expect(speak(engine, 10 * PATIENCE)).toEqual([])
    expect(engine.deadline).toBeNull()
    hear(engine, 'prevote', 2, NOTHING, 0, 1)
    expect(speak(engine, 20 * PATIENCE)).toEqual([])
    expect(engine.deadline).toBe(20 * PATIENCE + 3 * PATIENCE)
    expect(speak(engine, 23 * PATIENCE)).toEqual(['prevote 2 -', 'precommit 2 -'])
  })

  it('that is locked prevotes for another only with a later lock of a quorum, and for the same always', () => {
    for (const [choice, lock, word] of [
      [b, null, '-'], [a, null, 'a'], [b, lockOf(b, 0), 'b'], [b, lockOf(b, 1), '-'], [b, lockOf(b, 2), '-']
    ] as const) {
      const engine = locked()
      engine.hearProposal(proposed(1, 1, { choice, lock }), true)
      expect(speak(engine)).toEqual([`prevote 1 ${word}`])
    }
    const later = make()
    hear(later, 'prevote', 1, NOTHING, 0, 1)
    later.hearProposal(proposed(1, 1, { choice: a, lock: null }), true)
    hear(later, 'prevote', 1, a.document, 1, 2)
    expect(speak(later)).toEqual(['prevote 1 a', 'precommit 1 a'])
    hear(later, 'precommit', 2, NOTHING, 1, 2)
    later.hearProposal(proposed(2, 2, { choice: b, lock: lockOf(b, 0) }), true)
    expect(speak(later)).toEqual(['prevote 2 -'])
  })

  it('keeps its lock over rounds and restarts', () => {
    const engine = locked()
    speak(engine)
    hear(engine, 'precommit', 5, NOTHING, 1, 2)
    expect(speak(engine)).toEqual([])
    const again = make(3, engine.state())
    expect(again.lock).toEqual(engine.lock)
    hear(again, 'precommit', 5, NOTHING, 1, 2)
    again.hearProposal(proposed(1, 5, { choice: b, lock: null }), true)
    expect(speak(again)).toEqual(['prevote 5 -'])
    expect(speak(make(3, again.state()))).toEqual([])
    // Its own words, heard from others, because its disk had forgotten them.
    const echo = make()
    hear(echo, 'precommit', 4, NOTHING, 1, 2)
    echo.next(0, nobody)
    hear(echo, 'precommit', 4, b.document, 3)
    hear(echo, 'precommit', 3, a.document, 3)
    hear(echo, 'precommit', 5, NOTHING, 1, 2)
    echo.hearProposal(proposed(1, 5, { choice: a, lock: null }), true)
    expect(speak(echo)).toEqual(['prevote 5 -'])
  })

  it('proposes what a quorum once prevoted for rather than its own', () => {
    const engine = locked()
    hear(engine, 'precommit', 3, NOTHING, 1, 2)
    expect(speak(engine, 0, () => b)).toEqual(['proposal 3 a', 'prevote 3 a'])
    expect(engine.proposals().find(({ signed }) => signed.statement.round === 3)?.proposal.lock?.round).toBe(0)
    const told = make()
    hear(told, 'precommit', 3, NOTHING, 1, 2)
    told.next(0, nobody)
    told.adopt(lockOf(b, 7))
    expect(told.lock).toBeNull()
    told.adopt(lockOf(a, 2))
    told.adopt(lockOf(b, 1))
    expect(speak(told, 0, () => b)).toEqual(['proposal 3 a', 'prevote 3 a'])
  })

  it('says after a restart what it had said, proposals too', () => {
    const engine = make()
    hear(engine, 'precommit', 3, NOTHING, 1, 2)
    engine.next(0, nobody)
    engine.hearProposal(proposed(3, 3, { choice: b, lock: null }), true)
    const again = make(3, engine.state())
    expect(again.round).toBe(3)
    expect(again.proposals()).toHaveLength(1)
    expect(speak(again, 0, () => a)).toEqual(['prevote 3 b'])
    expect(speak(make(3, again.state()), 0, () => a)).toEqual([])
  })

  it('precommits to nothing when a quorum prevoted for nothing, or for different things and no more came', () => {
    const engine = make()
    hear(engine, 'prevote', 0, NOTHING, 0, 1, 2)
    expect(speak(engine)).toEqual([])
    expect(speak(engine, 0, () => a)).toEqual([])
    expect(speak(engine, PATIENCE, () => a)).toEqual(['prevote 0 -', 'precommit 0 -'])
    const split = make()
    split.hearProposal(proposed(0, 0, { choice: a, lock: null }), true)
    hear(split, 'prevote', 0, NOTHING, 0, 1)
    expect(speak(split)).toEqual(['prevote 0 a'])
    expect(speak(split, PATIENCE - 1)).toEqual([])
    expect(speak(split, PATIENCE)).toEqual(['precommit 0 -'])
  })

  it('counts an author once, whatever it says, and keeps two things of it', () => {
    const engine = make()
    engine.hearProposal(proposed(0, 0, { choice: a, lock: null }), true)
    hear(engine, 'prevote', 0, a.document, 0)
    const twin = { ...said(0, 'prevote', 0, a.document), signature: new Uint8Array(64).fill(9) }
    expect(engine.wants(twin)).toBe(false)
    expect(engine.hear(twin)).toBeNull()
    expect(speak(engine)).toEqual(['prevote 0 a'])
    expect(engine.hear(said(0, 'prevote', 0, b.document))).toEqual(said(0, 'prevote', 0, a.document))
    expect(engine.wants(said(0, 'prevote', 0, NOTHING))).toBe(false)
    expect(engine.hearProposal(proposed(0, 0, { choice: b, lock: null }), true)).toEqual(proposed(0, 0, { choice: a, lock: null }).signed)
    hear(engine, 'prevote', 0, b.document, 1, 2)
    expect(speak(engine)).toEqual(['precommit 0 b'])
  })

  it('goes on to the next round when a quorum has precommitted and nothing is decided, in growing times', () => {
    const engine = make()
    hear(engine, 'precommit', 0, NOTHING, 0, 1)
    hear(engine, 'precommit', 0, a.document, 2)
    expect(speak(engine)).toEqual([])
    expect(speak(engine, PATIENCE - 1)).toEqual([])
    expect(engine.round).toBe(0)
    speak(engine, PATIENCE)
    expect(engine.round).toBe(1)
    // Others may need these to come after us.
    expect(engine.statements().filter(({ statement }) => statement.round === 0)).toHaveLength(3)
    expect(speak(engine, 3 * PATIENCE - 1)).toEqual([])
    expect(speak(engine, 3 * PATIENCE)).toEqual(['prevote 1 -'])
  })

  it('follows to a round that one honest has come to, and forgets all but the last', () => {
    const engine = make()
    hear(engine, 'prevote', 7, NOTHING, 0)
    expect(speak(engine)).toEqual([])
    expect(engine.round).toBe(0)
    hear(engine, 'prevote', 4, NOTHING, 1)
    expect(speak(engine)).toEqual([])
    expect(engine.round).toBe(4)
    for (let round = 100; round < 200; round++) hear(engine, 'prevote', round, NOTHING, 0)
    hear(engine, 'prevote', 150, NOTHING, 0)
    expect(engine.statements().map(({ statement }) => statement.round).sort()).toEqual([199, 4])
    expect(engine.wants(said(2, 'prevote', 3, NOTHING))).toBe(true)
    expect(engine.wants(said(2, 'prevote', 2, NOTHING))).toBe(false)
  })

  it('decides on a quorum of precommits in any round that it knows to be right, and says nothing more', () => {
    const engine = make()
    hear(engine, 'precommit', 0, a.document, 0, 1, 2)
    speak(engine)
    expect(engine.decision).toBeNull()
    engine.hearProposal(proposed(0, 0, { choice: a, lock: null }), true)
    expect(speak(engine)).toEqual([])
    expect(engine.decision?.choice).toEqual(a)
    expect(engine.decision?.signatures).toHaveLength(3)
    engine.conclude(lockOf(b, 9))
    expect(engine.decision?.choice).toEqual(a)
    const short = make()
    short.hearProposal(proposed(0, 0, { choice: a, lock: null }), true)
    hear(short, 'precommit', 0, a.document, 0, 1)
    speak(short)
    expect(short.decision).toBeNull()
  })
})
