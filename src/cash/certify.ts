/**
 * The collector: asks the keepers of coins for their votes, all at once, and stops when the answer is known (DESIGN §5).
 * Used by whoever is paid: a merchant before it ships, the bank before it settles. What a keeper says is believed only
 * as far as its signature, or the proof it shows, goes.
 */
import { equal, toHex } from '../kit/bytes.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Meter } from '../kit/ports.ts'
import { gather, type Saga, type Settled } from '../kit/saga.ts'
import type { Suite } from '../crypto/suite.ts'
import { coinId } from './coin.ts'
import { twoFaced, verifyCenterFault } from './center-proof.ts'
import type { CenterFault, Input, Spend, Vote } from './formats.ts'
import type { CenterReply, CenterRequest, InputState } from './messages.ts'
import type { KnownKeyset } from './known-keyset.ts'
import type { Registry } from './registry.ts'
import type { Keeper } from './ring.ts'
import { verifyDoubleSpend, verifySpend, verifyVote } from './spend.ts'

/**
 * The effect: ask this center. Results in its reply; throws a MixmintError (with `retry`) when the center cannot be
 * reached or has not answered within `timeout` ms. The shell keeps that time, for asks that nobody waits for any more too.
 */
export interface AskCenter {
  readonly do: 'ask-center'
  /** The center's id on the ring. */
  readonly center: Uint8Array
  readonly request: CenterRequest
  readonly timeout: number
}

/** Who asks. A bank counts every keeper's vote; a payee not those of keys that are revoked, or that it can convict itself. */
export interface Collector {
  readonly suite: Suite
  readonly registry: Registry
  readonly meter: Meter
  readonly isDistrusted?: (voteKey: Uint8Array) => boolean
  /** Of a coin that finds no certificate hear every keeper: for who takes such coins all the same, and must not miss a conflict. */
  readonly hearAll?: boolean
}

export interface Collected {
  /** The inputs as given, each with the valid votes of distinct keepers that are known now, nearest keeper first. */
  readonly inputs: Input[]
  /** How each stands, in the same order. */
  readonly states: InputState[]
  /** What centers have convicted themselves of. */
  readonly faults: CenterFault[]
}

/**
 * Gather certificates for these inputs. Openings, sums and the dates of contracts are the caller's to check.
 *
 * Of each input: `certified` with a quorum of votes; else `conflict` when a keeper showed an earlier spend that proves a
 * double spend (`first`); else `refused` when the input itself is bad, a coin is there a second time (`duplicate-coin`),
 * or more keepers than may lie refuse it under one code (`code`); else `unavailable`: try again later. Where it is a
 * conflict, those who voted for this spend are asked for the other one too: who votes for both is convicted.
 */
export function * certify (collector: Collector, inputs: readonly Input[]): Saga<Collected, AskCenter> {
  const { suite } = collector
  const seen = new Set<string>()
  const sagas = inputs.map(input => {
    const coin = coinId(suite, input.spend.coin)
    const name = toHex(coin)
    const repeated = seen.has(name)
    seen.add(name)
    return repeated ? refuse(input, coin, 'duplicate-coin') : certifyOne(collector, input, coin)
  })
  const results = yield * gather(sagas)
  const collected = results.map(valueOf)
  return { inputs: collected.map(one => one.input), states: collected.map(one => one.state), faults: collected.flatMap(one => one.faults) }
}

interface One { readonly input: Input, readonly state: InputState, readonly faults: CenterFault[] }

/** What an ask came to. */
type Answer =
  | { readonly is: 'vote', readonly vote: Vote }
  | { readonly is: 'conflict', readonly first: Spend }
  | { readonly is: 'refused', readonly code: string }
  | { readonly is: 'none' }

function * refuse (input: Input, coin: Uint8Array, code: string): Saga<One, AskCenter> {
  return { input: { ...input, votes: [] }, state: { coin, state: 'refused', first: null, code }, faults: [] }
}

function * certifyOne (collector: Collector, input: Input, coin: Uint8Array): Saga<One, AskCenter> {
  const { suite, registry, isDistrusted = () => false, hearAll = false } = collector
  const { spend } = input
  let known: KnownKeyset
  try {
    known = registry.keyset(spend.coin.keyset)
    verifySpend(suite, known, spend)
  } catch (error) {
    if (!(error instanceof MixmintError)) throw error
    return yield * refuse(input, coin, error.code)
  }
  const { quorum, faults } = known.ring.ring
  const all = known.ring.keepers(coin, spend.coin.signature)
  const keepers = all.filter(({ voteKey }) => !isDistrusted(voteKey))
  const held = keepers.map(keeper => input.votes.find(vote => equal(vote.center, keeper.id) && isValid(suite, known, spend, vote)))
  const missing = keepers.filter((_, i) => held[i] === undefined)
  const wanted = quorum - (keepers.length - missing.length)

  let answers: Array<Settled<Answer>> = []
  if (wanted > 0) {
    const timeout = registry.parameters.keeperTimeout
    answers = yield * gather(missing.map(keeper => ask(collector, known, spend, keeper, timeout)), results => {
      const votes = count(results, 'vote')
      const hopeless = votes + results.filter(result => result.state === 'running').length < wanted
      // Of a coin spent twice all are heard: who votes for the second spend may have voted for the first.
      return votes >= wanted || (hopeless && !hearAll && count(results, 'conflict') === 0)
    })
  }

  const heard = answers.flatMap(answer => answer.state === 'running' ? [] : [valueOf(answer)])
  const gained = heard.flatMap(answer => answer.is === 'vote' ? [answer.vote] : [])
  const votes = keepers.flatMap((keeper, i) => held[i] ?? gained.find(vote => equal(vote.center, keeper.id)) ?? [])
  const foreign = strangers(suite, known, input, all)
  const state = (state: InputState['state'], first: Spend | null = null, code = '', twice: CenterFault[] = []): One =>
    ({ input: { ...input, votes }, state: { coin, state, first, code }, faults: [...foreign, ...twice] })
  if (votes.length >= quorum) return state('certified')
  for (const answer of heard) if (answer.is === 'conflict') return state('conflict', answer.first, '', yield * confront(collector, known, { spend, votes }, answer.first))
  const codes = heard.flatMap(answer => answer.is === 'refused' ? [answer.code] : [])
  const believed = codes.find(code => codes.filter(other => other === code).length > faults)
  return believed === undefined ? state('unavailable') : state('refused', null, believed)
}

/** Those whose votes the input brings, and who do not keep the coin. */
function strangers (suite: Suite, known: KnownKeyset, { spend, votes }: Input, keepers: readonly Keeper[]): CenterFault[] {
  return votes.flatMap(({ center, signature }) => {
    if (keepers.some(({ id }) => equal(id, center))) return []
    const fault: CenterFault = { is: 'foreign', ring: known.ring.id, center, coin: spend.coin, vote: { d: spend.d, signature } }
    return holds(suite, known, fault) ? [fault] : []
  })
}

function holds (suite: Suite, known: KnownKeyset, fault: CenterFault): boolean {
  try {
    verifyCenterFault(suite, known.ring, () => ({ keys: known, ringId: known.ring.id }), fault)
    return true
  } catch (error) {
    if (error instanceof MixmintError) return false
    throw error
  }
}

/** Who voted for this spend has stored it, or should have: to ask him for the other one makes no honest keeper vote anew. */
function * confront (collector: Collector, known: KnownKeyset, ours: { spend: Spend, votes: readonly Vote[] }, first: Spend): Saga<CenterFault[], AskCenter> {
  const { suite, registry } = collector
  const voters = ours.votes.flatMap(({ center }) => known.ring.center(center) ?? [])
  const answers = yield * gather(voters.map(keeper => ask(collector, known, first, keeper, registry.parameters.keeperTimeout)))
  const votes = answers.map(valueOf).flatMap(answer => answer.is === 'vote' ? [answer.vote] : [])
  return twoFaced(suite, known, ours, { d: first.d, votes })
}

/** One keeper's answer, checked. Counts `keeper_answer` by kind, and `keeper_bad` by center where it is none. */
function * ask ({ suite, meter }: Collector, known: KnownKeyset, spend: Spend, keeper: Keeper, timeout: number): Saga<Answer, AskCenter> {
  let answer: Answer
  let kind: string
  try {
    const reply: CenterReply = yield { do: 'ask-center', center: keeper.id, request: { op: 'spend', spend }, timeout }
    answer = checked(suite, known, spend, keeper, reply)
    kind = answer.is === 'none' ? 'failing' : answer.is
  } catch (error) {
    if (!(error instanceof MixmintError)) throw error
    answer = { is: 'none' }
    kind = error.fault === 'peer' && !error.retry ? 'garbage' : 'silent'
  }
  meter.count('keeper_answer', { kind })
  if (answer.is === 'none') meter.count('keeper_bad', { kind, center: toHex(keeper.id).slice(0, 16) })
  return answer
}

/** @throws when the keeper shows something that does not verify */
function checked (suite: Suite, known: KnownKeyset, spend: Spend, keeper: Keeper, reply: CenterReply): Answer {
  switch (reply.is) {
    case 'vote':
      if (!equal(reply.vote.center, keeper.id)) throw new MixmintError('bad-vote', 'peer', 'a center answered with the vote of another')
      verifyVote(suite, known, spend, reply.vote)
      return { is: 'vote', vote: reply.vote }
    case 'conflict':
      verifyDoubleSpend(suite, known, { first: reply.first, second: spend })
      return { is: 'conflict', first: reply.first }
    case 'recorded':
      throw new MixmintError('bad-reply', 'peer', 'a center answered something else than was asked')
    case 'refused':
      // Only a refusal of the spend itself speaks about the coin; a center with a fault of its own is as good as silent.
      return reply.fault === 'peer' && !reply.retry ? { is: 'refused', code: reply.code } : { is: 'none' }
  }
}

function isValid (suite: Suite, known: KnownKeyset, spend: Spend, vote: Vote): boolean {
  try {
    verifyVote(suite, known, spend, vote)
    return true
  } catch (error) {
    if (error instanceof MixmintError) return false
    throw error
  }
}

function count (results: ReadonlyArray<Settled<Answer>>, kind: Answer['is']): number {
  return results.filter(result => result.state === 'done' && result.value.is === kind).length
}

/** @throws what a gathered saga failed with: never a peer's doing, those are answers */
function valueOf<T> (result: Settled<T>): T {
  if (result.state === 'done') return result.value
  throw result.state === 'failed' ? result.error : new MixmintError('internal', 'us', 'a gathered saga is still running')
}
