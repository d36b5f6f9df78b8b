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
import type { Input, Spend, Vote } from './formats.ts'
import type { CenterReply, CenterRequest, InputState } from './messages.ts'
import type { KnownKeyset, Registry } from './registry.ts'
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

export interface Collected {
  /** The inputs as given, each with the valid votes of distinct keepers that are known now, nearest keeper first. */
  readonly inputs: Input[]
  /** How each stands, in the same order. */
  readonly states: InputState[]
}

/**
 * Gather certificates for these inputs. Openings, sums and the dates of contracts are the caller's to check.
 *
 * Of each input: `certified` with a quorum of votes; else `conflict` when a keeper showed an earlier spend that proves a
 * double spend (`first`); else `refused` when the input itself is bad, a coin is there a second time (`duplicate-coin`),
 * or more keepers than may lie refuse it under one code (`code`); else `unavailable`: try again later.
 */
export function * certify (suite: Suite, registry: Registry, meter: Meter, inputs: readonly Input[]): Saga<Collected, AskCenter> {
  const seen = new Set<string>()
  const sagas = inputs.map(input => {
    const coin = coinId(suite, input.spend.coin)
    const name = toHex(coin)
    const repeated = seen.has(name)
    seen.add(name)
    return repeated ? refuse(input, coin, 'duplicate-coin') : certifyOne(suite, registry, meter, input, coin)
  })
  const results = yield * gather(sagas)
  const collected = results.map(valueOf)
  return { inputs: collected.map(one => one.input), states: collected.map(one => one.state) }
}

interface One { readonly input: Input, readonly state: InputState }

/** What an ask came to. */
type Answer =
  | { readonly is: 'vote', readonly vote: Vote }
  | { readonly is: 'conflict', readonly first: Spend }
  | { readonly is: 'refused', readonly code: string }
  | { readonly is: 'none' }

function * refuse (input: Input, coin: Uint8Array, code: string): Saga<One, AskCenter> {
  return { input: { ...input, votes: [] }, state: { coin, state: 'refused', first: null, code } }
}

function * certifyOne (suite: Suite, registry: Registry, meter: Meter, input: Input, coin: Uint8Array): Saga<One, AskCenter> {
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
  const keepers = known.ring.keepers(coin, spend.coin.signature)
  const held = keepers.map(keeper => input.votes.find(vote => equal(vote.center, keeper.id) && isValid(suite, known, spend, vote)))
  const missing = keepers.filter((_, i) => held[i] === undefined)
  const wanted = quorum - (keepers.length - missing.length)

  let answers: Array<Settled<Answer>> = []
  if (wanted > 0) {
    const timeout = registry.parameters.keeperTimeout
    answers = yield * gather(missing.map(keeper => ask(suite, known, meter, spend, keeper, timeout)), results => {
      const votes = count(results, 'vote')
      return votes >= wanted || votes + results.filter(result => result.state === 'running').length < wanted
    })
  }

  const heard = answers.flatMap(answer => answer.state === 'running' ? [] : [valueOf(answer)])
  const gained = heard.flatMap(answer => answer.is === 'vote' ? [answer.vote] : [])
  const votes = keepers.flatMap((keeper, i) => held[i] ?? gained.find(vote => equal(vote.center, keeper.id)) ?? [])
  const state = (state: InputState['state'], first: Spend | null = null, code = ''): One =>
    ({ input: { ...input, votes }, state: { coin, state, first, code } })
  if (votes.length >= quorum) return state('certified')
  for (const answer of heard) if (answer.is === 'conflict') return state('conflict', answer.first)
  const codes = heard.flatMap(answer => answer.is === 'refused' ? [answer.code] : [])
  const believed = codes.find(code => codes.filter(other => other === code).length > faults)
  return believed === undefined ? state('unavailable') : state('refused', null, believed)
}

/** One keeper's answer, checked. Counts `keeper_answer` by kind. */
function * ask (suite: Suite, known: KnownKeyset, meter: Meter, spend: Spend, keeper: Keeper, timeout: number): Saga<Answer, AskCenter> {
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
