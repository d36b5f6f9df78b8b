/**
 * Movements of one account that are under way at the same time. Each names in its batch what the account holds before it; were
 * that always what the store shows, one of them would be done and all others would have to begin again. So each builds on what
 * the one before it will leave. This is a guess: the store holds it against what is there, and where one fails, those behind it
 * do, too, and read the account anew. Nothing here has to survive, and nothing is wrong when it is lost.
 */
import { toHex } from '../../kit/bytes.ts'
import { isMixmintError } from '../../kit/errors.ts'
import type { Millis } from '../../kit/ports.ts'
import { get, wait, type Saga } from '../../kit/saga.ts'
import { accountAt } from './keys.ts'
import { commit, type AccountStep, type Step } from './steps.ts'

/**
 * Other processes do not see a chain, and where one follows the other find the account changed whenever they come to it. So after this
 * many movements there are none for a while: long enough for them to read and write.
 */
const LONGEST = 512
const REST: Millis = 20
/** So often those who wait for that look again. */
const LOOK: Millis = 5
/** Of so many accounts it is known how long they have not rested. */
const MOST = 10_000

/** The movements of an account since it rested. */
interface Chain {
  /** What the account holds once those under way are done. */
  last: Uint8Array | null
  length: number
  /** How many have no answer yet. */
  flying: number
  /** Does somebody wait on behalf of all? */
  resting: boolean
}

/** A part in a movement: the account, and the step on it. May throw (peer), where the account does not allow it. */
export interface Side {
  readonly account: Uint8Array
  readonly step: (was: Uint8Array | null) => AccountStep
}

export class Chains {
  readonly #chains = new Map<string, Chain>()

  /** On which another movement may build. */
  #underWay (account: Uint8Array): Chain | undefined {
    const chain = this.#chains.get(toHex(account))
    return chain === undefined || chain.flying === 0 ? undefined : chain
  }

  /** Wait until the account has rested, when it is to. */
  * #turn (account: Uint8Array): Saga<void> {
    const find = (): Chain | undefined => this.#chains.get(toHex(account))
    for (let chain = find(); chain !== undefined && chain.length >= LONGEST; chain = find()) {
      if (chain.flying > 0 || chain.resting) {
        yield * wait(LOOK)
      } else {
        chain.resting = true
        yield * wait(REST)
        this.#forget(toHex(account), chain)
      }
    }
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
    if (!anew) for (const { account } of sides) yield * this.#turn(account)
    for (const { account } of sides) if (anew || this.#underWay(account) === undefined) read.set(toHex(account), yield * get(accountAt(account)))
    for (const { account } of sides) if (!read.has(toHex(account)) && this.#underWay(account) === undefined) read.set(toHex(account), yield * get(accountAt(account)))
    // From here to the batch nothing comes between.
    const on = sides.map(({ account, step }) => {
      const chain = anew ? undefined : this.#underWay(account)
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

  /** @returns the chain that the step is part of */
  #join (step: AccountStep): Chain {
    const name = toHex(step.account)
    let chain = this.#chains.get(name)
    if (chain === undefined) {
      if (this.#chains.size >= MOST) for (const [idle, { flying, resting }] of this.#chains) if (flying === 0 && !resting) this.#chains.delete(idle)
      chain = { last: null, length: 0, flying: 0, resting: false }
      this.#chains.set(name, chain)
    }
    chain.last = step.op.op === 'swap' ? step.op.value : null
    chain.length += 1
    chain.flying += 1
    return chain
  }

  #leave (name: string, chain: Chain, done: boolean): void {
    chain.flying -= 1
    // Somebody else has changed the account: those behind will see it, too, and who comes now reads it.
    if (!done) this.#forget(name, chain)
  }

  #forget (name: string, chain: Chain): void {
    if (this.#chains.get(name) === chain) this.#chains.delete(name)
  }
}
