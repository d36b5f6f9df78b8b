/**
 * Movements of one account that are under way at the same time. Each names in its batch what the account holds before it; were
 * that always what the store shows, one of them would be done and all others would have to begin again. So each builds on what
 * the one before it will leave. This is a guess: the store holds it against what is there, and where one fails, those behind it
 * do, too, and read the account anew. Nothing here has to survive, and nothing is wrong when it is lost.
 */
import { toHex } from '../../kit/bytes.ts'
import { isMixmintError } from '../../kit/errors.ts'
import { get, type Saga } from '../../kit/saga.ts'
import { accountAt } from './keys.ts'
import { commit, type AccountStep, type Step } from './steps.ts'

/** Movements after which a chain takes no more until it has ended: other processes, which do not see it, must have their turn. */
const LONGEST = 512

interface Chain {
  /** What the account holds once all of it is done. */
  last: Uint8Array | null
  length: number
  /** How many of it have no answer yet. */
  flying: number
}

/** A part in a movement: the account, and the step on it. May throw (peer), where the account does not allow it. */
export interface Side {
  readonly account: Uint8Array
  readonly step: (was: Uint8Array | null) => AccountStep
}

export class Chains {
  readonly #open = new Map<string, Chain>()

  /** That which another movement may join. */
  #chain (account: Uint8Array): Chain | undefined {
    const chain = this.#open.get(toHex(account))
    return chain === undefined || chain.length >= LONGEST ? undefined : chain
  }

  /**
   * Try once. Results in null when done, else in the first step whose condition failed: if that is on an account, try again.
   * @param sides one for each account @param steps of the whole batch, from those on the accounts, in the order of `sides`
   * @throws what a side throws for what the store holds
   */
  * commit (sides: readonly Side[], steps: (on: readonly AccountStep[]) => readonly Step[]): Saga<Step | null> {
    try {
      return yield * this.#try(sides, steps, false)
    } catch (error) {
      // Perhaps because of one under way that will not be done.
      if (!isMixmintError(error) || error.fault !== 'peer') throw error
      return yield * this.#try(sides, steps, true)
    }
  }

  * #try (sides: readonly Side[], steps: (on: readonly AccountStep[]) => readonly Step[], anew: boolean): Saga<Step | null> {
    const read = new Map<string, Uint8Array | null>()
    for (const { account } of sides) if (anew || this.#chain(account) === undefined) read.set(toHex(account), yield * get(accountAt(account)))
    for (const { account } of sides) if (!read.has(toHex(account)) && this.#chain(account) === undefined) read.set(toHex(account), yield * get(accountAt(account)))
    // From here to the batch nothing comes between.
    const on = sides.map(({ account, step }) => {
      const chain = anew ? undefined : this.#chain(account)
      return step(chain === undefined ? read.get(toHex(account)) ?? null : chain.last)
    })
    const all = steps(on)
    const links = anew ? [] : on.map(step => this.#join(step))
    let done = false
    try {
      const clash = yield * commit(all)
      done = clash === null
      return clash
    } finally {
      for (const [i, chain] of links.entries()) this.#leave(toHex(on[i].account), chain, done)
    }
  }

  /** @returns the chain that the step is part of, or undefined: a full one is still under way */
  #join (step: AccountStep): Chain | undefined {
    const name = toHex(step.account)
    const last = step.op.op === 'swap' ? step.op.value : null
    const there = this.#open.get(name)
    if (there === undefined) {
      const chain = { last, length: 1, flying: 1 }
      this.#open.set(name, chain)
      return chain
    }
    if (there.length >= LONGEST) return undefined
    there.last = last
    there.length += 1
    there.flying += 1
    return there
  }

  #leave (name: string, chain: Chain | undefined, done: boolean): void {
    if (chain === undefined) return
    chain.flying -= 1
    if ((!done || chain.flying === 0) && this.#open.get(name) === chain) this.#open.delete(name)
  }
}
