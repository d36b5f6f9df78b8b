/**
 * Sagas: engines whose handlers have several steps (ask the store, ask a peer, sign, answer) are generator functions
 * that yield effects and are resumed with their results. They hold no clock, chance, disk or socket; whoever drives
 * them supplies those: `drive` with real ports in a daemon, with virtual ones in a simulation, and a crash test simply
 * stops driving. Decision record: docs/decisions/0002-engines-as-sagas.md
 */
import { MixmintError } from './errors.ts'
import type { BatchResult, Clock, Entry, Millis, Op, Range, Rng, Store } from './ports.ts'

/** What every driver provides. An engine adds its own effects (asking a center, signing) as type `E`. */
export type BaseEffect =
  | { readonly do: 'now' }
  | { readonly do: 'random', readonly length: number }
  | { readonly do: 'get', readonly key: Uint8Array }
  | { readonly do: 'scan', readonly range: Range }
  | { readonly do: 'batch', readonly ops: readonly Op[] }
  /** Run all at once. Resolves when all have ended, or as soon as `enough` says so; the rest then runs on unheard. */
  | { readonly do: 'gather', readonly sagas: ReadonlyArray<Saga<unknown, never>>, readonly enough?: (results: ReadonlyArray<Settled<unknown>>) => boolean }
  /** Wait this long. */
  | { readonly do: 'wait', readonly ms: number }

/** How a gathered saga stands. */
export type Settled<T> =
  | { readonly state: 'running' }
  | { readonly state: 'done', readonly value: T }
  | { readonly state: 'failed', readonly error: unknown }

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the driver resumes each effect with its own type
export type Saga<T, E = never> = Generator<BaseEffect | E, T, any>

export function * now (): Saga<Millis> { return yield { do: 'now' } }
export function * random (length: number): Saga<Uint8Array> { return yield { do: 'random', length } }
export function * get (key: Uint8Array): Saga<Uint8Array | null> { return yield { do: 'get', key } }
export function * scan (range: Range): Saga<Entry[]> { return yield { do: 'scan', range } }
export function * batch (ops: readonly Op[]): Saga<BatchResult> { return yield { do: 'batch', ops } }
export function * wait (ms: number): Saga<void> { yield { do: 'wait', ms } }

/**
 * Every entry under a prefix, in order, read in pages.
 * @param visit may yield, and change what it was given; the rest is not read once it says `enough`
 */
export function * eachEntry<E = never> (
  prefix: Uint8Array, visit: (entry: Entry) => Visited | Saga<Visited, E>, { after, page = 256 }: { readonly after?: Uint8Array, readonly page?: number } = {}
): Saga<void, E> {
  for (let last = after; ;) {
    const entries = yield * scan(last === undefined ? { prefix, limit: page } : { prefix, after: last, limit: page })
    for (const entry of entries) {
      const said = visit(entry)
      if ((typeof said === 'object' ? yield * said : said) === 'enough') return
    }
    if (entries.length < page) return
    last = entries[entries.length - 1].key
  }
}

type Visited = 'enough' | void

/** Every entry under a prefix, read in pages. */
export function * scanAll (prefix: Uint8Array): Saga<Entry[]> {
  const all: Entry[] = []
  yield * eachEntry(prefix, entry => { all.push(entry) })
  return all
}

/** Run sagas side by side; see the effect `gather`. */
export function * gather<T, E> (sagas: ReadonlyArray<Saga<T, E>>, enough?: (results: ReadonlyArray<Settled<T>>) => boolean): Saga<Array<Settled<T>>, E> {
  return yield { do: 'gather', sagas, enough } as unknown as BaseEffect
}

export interface BasePorts {
  readonly clock: Clock
  readonly rng: Rng
  readonly store: Store
  /** Resolves after this many milliseconds of the same time that `clock` tells. */
  readonly wait: (ms: number) => Promise<void>
}

/**
 * Drive a saga to its end.
 * @param perform carries out the engine's own effects; its rejection is thrown into the saga at the yield
 */
export async function drive<T, E extends { readonly do: string }> (saga: Saga<T, E>, ports: BasePorts, perform: (effect: E) => Promise<unknown>): Promise<T> {
  let step = saga.next()
  while (step.done !== true) {
    let result: unknown
    try {
      result = await carryOut(step.value, ports, perform)
    } catch (error) {
      step = saga.throw(error)
      continue
    }
    step = saga.next(result)
  }
  return step.value
}

async function carryOut<E extends { readonly do: string }> (effect: BaseEffect | E, ports: BasePorts, perform: (effect: E) => Promise<unknown>): Promise<unknown> {
  const base = effect as BaseEffect
  switch (base.do) {
    case 'now': return ports.clock.now()
    case 'random': return ports.rng.bytes(base.length)
    case 'get': return await ports.store.get(base.key)
    case 'scan': return await ports.store.scan(base.range)
    case 'batch': return await ports.store.batch(base.ops)
    case 'wait': return await ports.wait(base.ms)
    case 'gather': return await gatherAll(base.sagas as unknown as ReadonlyArray<Saga<unknown, E>>, base.enough, ports, perform)
    default: return await perform(effect as E)
  }
}

async function gatherAll<E extends { readonly do: string }> (
  sagas: ReadonlyArray<Saga<unknown, E>>, enough: ((results: ReadonlyArray<Settled<unknown>>) => boolean) | undefined,
  ports: BasePorts, perform: (effect: E) => Promise<unknown>
): Promise<Array<Settled<unknown>>> {
  const results: Array<Settled<unknown>> = sagas.map(() => ({ state: 'running' }))
  return await new Promise((resolve, reject) => {
    let left = sagas.length
    const settle = (i: number, result: Settled<unknown>): void => {
      results[i] = result
      left -= 1
      try {
        if (left === 0 || enough?.(results) === true) resolve(results.slice())
      } catch (error) {
        reject(error)
      }
    }
    if (left === 0) resolve(results)
    sagas.forEach((saga, i) => {
      drive(saga, ports, perform).then(
        value => { settle(i, { state: 'done', value }) },
        (error: unknown) => { settle(i, { state: 'failed', error }) })
    })
  })
}

/** The typed error of something settled as failed, or a generic one of ours. */
export function asMixmintError (error: unknown): MixmintError {
  return error instanceof MixmintError ? error : new MixmintError('internal', 'us', error instanceof Error ? error.message : String(error), { cause: error })
}
