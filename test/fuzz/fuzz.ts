/**
 * Rounds of a target, each with chance of its own, named so that a failing one can be run alone:
 *
 *   npm run slow -- test/slow/fuzz.test.ts                            every target for 20 s
 *   FUZZ_SECONDS=3600 npm run slow -- … -t peel                       one of them for an hour
 *   FUZZ_ROUND=peel/1a2b3c/417 npm run slow -- … -t peel              the round that a failure names
 */
import { isMixmintError } from '@mixmint/core/kit/errors'
import { Chance } from './chance.ts'

export interface Target {
  readonly name: string
  /** Throws when something is not as it must be. */
  readonly round: (chance: Chance) => void | Promise<void>
}

/** @returns how many rounds were run */
export async function fuzz (target: Target, run: { readonly seed: string, readonly rounds?: number, readonly seconds?: number }): Promise<number> {
  const end = performance.now() + (run.seconds ?? Infinity) * 1000
  const rounds = run.rounds ?? Infinity
  let i = 0
  for (; i < rounds && performance.now() < end; i++) await once(target, `${target.name}/${run.seed}/${i}`)
  return i
}

/** The round of this name. */
export async function once (target: Target, name: string): Promise<void> {
  try {
    await target.round(new Chance(name))
  } catch (error) {
    throw new Error(`FUZZ_ROUND=${name}`, { cause: error })
  }
}

/** Runs it; an error is fine if it is ours and documented. @returns what it returned, or undefined after such an error */
export function documented<T> (codes: RegExp, act: () => T): T | undefined {
  try {
    return act()
  } catch (error) {
    if (isMixmintError(error) && codes.test(error.code)) return undefined
    throw error
  }
}

export function must (condition: boolean, what: string): void {
  if (!condition) throw new Error(what)
}
