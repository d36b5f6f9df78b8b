/**
 * What an authority knows of the others from asking them: whether they answer, how far their clocks are off, and in which
 * parameters they are configured otherwise. None of it is proof; it is for the operator, who has to act on it.
 */
import { toHex } from '@mixmint/core/kit/bytes'
import type { Log, Meter, Millis } from '@mixmint/core/kit/ports'
import { tolerated } from './document.ts'
import type { Parameters } from './formats.ts'
import { differingParameters } from './vote.ts'

export interface Colleague {
  readonly authority: Uint8Array
  readonly answers: boolean
  /** Its clock against ours, in ms; 0 while that may be the time that the answer took. */
  readonly ahead: number
  /** Names of parameters. */
  readonly differing: readonly string[]
}

export class Colleagues {
  readonly #parameters: Parameters
  readonly #log: Log
  readonly #meter: Meter
  readonly #known = new Map<string, Colleague>()
  /** When each was last asked, by our clock. */
  readonly #asked = new Map<string, Millis>()
  readonly #isInOffice: (authority: Uint8Array, now: Millis) => boolean
  #ourClock = 'right'

  /** @param isInOffice does this authority sign what is agreed on at this time? Only such a one judges our clock */
  constructor (parameters: Parameters, log: Log, meter: Meter, isInOffice: (authority: Uint8Array, now: Millis) => boolean) {
    this.#parameters = parameters
    this.#isInOffice = isInOffice
    this.#log = log
    this.#meter = meter
  }

  /** Has this one been asked yet? */
  knows (authority: Uint8Array): boolean {
    return this.#known.has(toHex(authority))
  }

  /** Has this one been asked within `ms` of now? Not, too, where our clock has been set since. */
  isAsked (authority: Uint8Array, now: Millis, ms: Millis): boolean {
    return Math.abs(now - (this.#asked.get(toHex(authority)) ?? -Infinity)) < ms
  }

  get all (): Colleague[] {
    return [...this.#known.values()]
  }

  /** How this machine's clock is, as far as the others can tell. */
  get ourClock (): string {
    return this.#ourClock
  }

  silent (authority: Uint8Array, asked: Millis): void {
    this.#asked.set(toHex(authority), asked)
    const known = this.#known.get(toHex(authority))
    this.#known.set(toHex(authority), { ahead: 0, differing: [], ...known, authority, answers: false })
    this.#judgeOurs(asked)
  }

  /** @param asked when it was asked, by our clock; it answered between then and `now` */
  answered (authority: Uint8Array, answer: { readonly time: Millis, readonly parameters: Parameters }, asked: Millis, now: Millis): void {
    this.#asked.set(toHex(authority), asked)
    const before = this.#known.get(toHex(authority))
    const ahead = answer.time > now ? answer.time - now : answer.time < asked ? answer.time - asked : 0
    const differing = differingParameters(this.#parameters, answer.parameters)
    this.#known.set(toHex(authority), { authority, answers: true, ahead, differing })
    const name = toHex(authority).slice(0, 8)
    if (differing.length > 0 && differing.join() !== before?.differing.join()) {
      this.#log.error(`authority ${name} has other parameters than this one, and its votes do not count here: configure all alike`, { code: 'authority-dissent', parameters: differing.join(', ') })
    }
    if (this.#isOff(ahead) && !this.#isOff(before?.ahead ?? 0)) {
      this.#log.warn(`the clock of authority ${name} is ${Math.round(Math.abs(ahead) / 1000)} s ${ahead > 0 ? 'ahead of' : 'behind'} this machine's`, { code: 'clock-skewed' })
    }
    this.#judgeOurs(now)
  }

  /** Where most of the others, and more than can lie, say so, it is our clock that is wrong. */
  #judgeOurs (now: Millis): void {
    const others = this.all.filter(({ answers, authority }) => answers && this.#isInOffice(authority, now))
    const say = (direction: number): boolean => {
      const count = others.filter(({ ahead }) => this.#isOff(ahead) && Math.sign(ahead) === direction).length
      return count > others.length / 2 && count > tolerated(others.length + 1)
    }
    const judged = say(1) ? 'behind' : say(-1) ? 'ahead' : 'right'
    if (judged !== 'right' && judged !== this.#ourClock) {
      const off = others.map(({ ahead }) => Math.abs(ahead)).sort((a, b) => a - b)[Math.floor(others.length / 2)]
      this.#meter.count('directory_clock_wrong', { reason: judged })
      this.#log.error(`this machine's clock is ${Math.round(off / 1000)} s ${judged === 'behind' ? 'behind' : 'ahead of'} the clocks of most other authorities: set it`, { code: 'clock-skewed' })
    }
    this.#ourClock = judged
  }

  #isOff (ahead: number): boolean {
    return Math.abs(ahead) > this.#parameters.clockSkew
  }
}
