/**
 * A wallet from its words alone (DESIGN §4, restore): which generations there were, what the bank has signed in each of their
 * batches, how every coin stands, what was in flight. Then all that is unspent is in the purse, contracts that are open are
 * completed, and what comes after derives under a generation of its own, so that nothing derives twice.
 *
 * Each question is asked apart, over a path of its own, in random order, after a time that is exponential; what is in one
 * question, the bank knew to belong together before. Decision record: docs/decisions/0035-restore.md
 */
import { toHex } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { isMixmintError, MixmintError } from '../../kit/errors.ts'
import type { Millis } from '../../kit/ports.ts'
import { batch, gather, scanAll, type Saga } from '../../kit/saga.ts'
import { stored } from '../stored.ts'
import { valuesIn } from './copies.ts'
import { announcedGenerations, announceGeneration, drawGeneration } from './generations.ts'
import { inAnyOrder, pauseAbout } from './apart.ts'
import { ASKED, askedAt, COPIED, FOUND, RESTORING } from './keys.ts'
import { batchOf, GAP } from './outputs.ts'
import type { Wallet, WalletEffect } from './parts.ts'
import { finishRestore, forgetQuestions, type Restored } from './restore-finish.ts'
import { askBatch, askContract, lookAt, readCopied, type Contracted } from './restore-questions.ts'
import { Copied, Found, Restoring, restoring } from './restore-state.ts'

export interface Progress {
  /** Questions answered, and those that are known to be needed so far. */
  readonly done: number
  readonly total: number
}

export interface RestoreOptions {
  /** The mean time between two questions. */
  readonly pace: Millis
  readonly onProgress?: (progress: Progress) => void
}

/** Questions that are under way at one time. */
const LANES = 4
/** How often a question that nobody answers is put again before the restore gives up for now. */
const TRIES = 3

type Task =
  | { readonly is: 'batch', readonly generation: number, readonly batch: number }
  | { readonly is: 'coin', readonly id: Uint8Array }
  | { readonly is: 'contract', readonly id: Uint8Array }

/**
 * Begin a restore, or go on with one. When it results, the purse holds what is unspent; `recover` then completes what was in
 * flight.
 * Coins of which too few keepers say how they stand are kept for the bank's refund, or the next restore.
 * @throws restore-incomplete (peer, retry): some questions were not answered; nothing is lost, the same call goes on
 */
export function * restore (wallet: Wallet, options: RestoreOptions): Saga<Restored, WalletEffect> {
  const asking = new Asking(options)
  let state = yield * restoring()
  if (state?.state !== 'running') {
    yield * forgetQuestions()
    state = yield * begin(state)
  }
  // What was announced before is read anew each time: another machine may have come first.
  state = yield * keep(state, { generations: merged(state.generations, yield * announcedGenerations(wallet, asking.pause)) })
  for (let failures = 0; ;) {
    const tasks = yield * tasksOf(wallet, state)
    if (tasks.length === 0) break
    const answered = yield * asking.all(wallet, tasks)
    failures = answered > 0 ? 0 : failures + 1
    // How they stand is not known, as with those that are recorded: a later restore looks at them again.
    if (failures >= TRIES && tasks.every(task => task.is === 'coin' && asking.isSilent(task.id))) break
    if (failures >= TRIES) throw new MixmintError('restore-incomplete', 'peer', 'some questions of this restore find no answer now: run it again later, it goes on where it is', { retry: true })
  }
  // A wallet that never had a coin has none to vouch for it: then its account does, before its first withdrawal.
  if (!state.announced) state = yield * keep(state, { announced: yield * announceGeneration(wallet, state.generation, yield * foundCoins(), asking.pause) })
  return yield * finishRestore(wallet, state)
}

/** See engine.ts. */
export function * expectRestore (): Saga<void> {
  if ((yield * restoring()) === null) yield * begin(null)
}

/** The generation is drawn once, and on disk, before anything is asked. */
function * begin (before: Restoring | null): Saga<Restoring> {
  const generations = before === null ? [0] : [...before.generations, before.generation]
  const state: Restoring = { state: 'running', generation: yield * drawGeneration(), generations, announced: false }
  const was = before === null ? null : encode(Restoring, before)
  yield * batch([{ op: 'swap', key: RESTORING, was, value: encode(Restoring, state) }])
  return (yield * restoring()) ?? state
}

function * keep (state: Restoring, changes: Partial<Restoring>): Saga<Restoring> {
  const next = { ...state, ...changes }
  yield * batch([{ op: 'put', key: RESTORING, value: encode(Restoring, next) }])
  return next
}

function merged (a: readonly number[], b: readonly number[]): number[] {
  return [...new Set([...a, ...b])]
}

export function * foundCoins (): Saga<Array<Found & { readonly id: Uint8Array }>> {
  return (yield * scanAll(FOUND)).map(({ key, value }) => ({ ...stored(Found, value), id: key.slice(FOUND.length) }))
}

/** What is to be asked next, as far as it is known. */
function * tasksOf (wallet: Wallet, { generations, generation: fresh }: Restoring): Saga<Task[]> {
  const coins = yield * foundCoins()
  const copies: Contracted[] = []
  for (const { key, value } of yield * scanAll(COPIED)) copies.push(readCopied(wallet, key.slice(COPIED.length), stored(Copied, value)))
  // The last batch of each generation of which there is a trace.
  const last = new Map(generations.map(generation => [generation, 0]))
  const trace = (generation: number, number: number): void => {
    if (generation !== fresh) last.set(generation, Math.max(last.get(generation) ?? 0, number))
  }
  for (const { place } of coins) trace(place.generation, batchOf(place))
  for (const { copy } of copies) {
    if (valuesIn(copy).length > 0) trace(copy.generation, copy.batch)
    for (const { generation, counter } of copy.coins) trace(generation, batchOf({ generation, counter }))
  }
  const tasks: Task[] = []
  const asked = new Set((yield * scanAll(ASKED)).map(({ key }) => toHex(key)))
  for (const [generation, to] of last) {
    for (let batch = 1; batch <= to + GAP; batch++) if (!asked.has(toHex(askedAt(generation, batch)))) tasks.push({ is: 'batch', generation, batch })
  }
  for (const { id, outcome } of copies) if (outcome === null) tasks.push({ is: 'contract', id })
  // One batch after the other brings copies that spare questions about coins: these come last.
  if (tasks.length > 0) return tasks
  return coins.filter(({ state }) => state === 'found').map(({ id }) => ({ is: 'coin', id }))
}

/** Asks what is to be asked, in its own time. */
class Asking {
  /** Before a question that waits for no other. */
  readonly pause = (): Saga<void> => this.#pause(1)
  readonly #pace: Millis
  readonly #onProgress: (progress: Progress) => void
  readonly #silent = new Set<string>()
  #done = 0
  #total = 0

  constructor ({ pace, onProgress = () => {} }: RestoreOptions) {
    this.#pace = pace
    this.#onProgress = onProgress
  }

  /** Has the bank answered of this coin, and too few of its keepers? */
  isSilent (id: Uint8Array): boolean {
    return this.#silent.has(toHex(id))
  }

  /** Lanes that each wait LANES times as long make one Poisson stream. */
  #pause (lanes: number): Saga<void> {
    return pauseAbout(this.#pace * lanes)
  }

  /** @returns how many were answered */
  * all (wallet: Wallet, tasks: Task[]): Saga<number, WalletEffect> {
    this.#total += tasks.length
    this.#tell()
    const order = yield * inAnyOrder(tasks)
    let answered = 0
    const failures: unknown[] = []
    const lane = function * (this: Asking): Saga<void, WalletEffect> {
      for (let task = order.pop(); task !== undefined; task = order.pop()) {
        try {
          yield * this.#one(wallet, task)
          answered += 1
          this.#done += 1
        } catch (error) {
          if (!isMixmintError(error) || error.fault === 'us' || error.fault === 'operator') failures.push(error)
          else wallet.meter.count('wallet_restore_unanswered', { code: error.code })
          if (task.is === 'coin') this.#silent[isMixmintError(error, 'keepers-silent') ? 'add' : 'delete'](toHex(task.id))
          this.#total -= 1
        }
        this.#tell()
      }
    }
    const lanes = Array.from({ length: Math.min(LANES, tasks.length) }, () => lane.call(this))
    for (const result of yield * gather(lanes)) if (result.state === 'failed') throw result.error
    if (failures.length > 0) throw failures[0]
    return answered
  }

  #one (wallet: Wallet, task: Task): Saga<void, WalletEffect> {
    const pause = (): Saga<void> => this.#pause(LANES)
    switch (task.is) {
      case 'batch': return askBatch(wallet, task.generation, task.batch, pause)
      case 'coin': return lookAt(wallet, task.id, pause)
      case 'contract': return askContract(wallet, task.id, pause)
    }
  }

  #tell (): void {
    this.#onProgress({ done: this.#done, total: this.#total })
  }
}
