/** The timeline of the demo: who did what, how long it took, what each party could and could not see, what was checked. */
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Json } from '../control.ts'

export interface Happening {
  readonly step: number
  /** Ms since the demo began. */
  readonly at: number
  /** How long it took, ms; null where that says nothing. */
  readonly took: number | null
  readonly who: string
  readonly what: string
  readonly sees: Readonly<Record<string, string>>
  readonly cannotSee: Readonly<Record<string, string>>
}

export interface Check { readonly step: number, readonly claim: string, readonly ok: boolean, readonly evidence: Json }

const BOLD = '\u001b[1m'
const GREEN = '\u001b[32m'
const RED = '\u001b[31m'
const DIM = '\u001b[2m'
const PLAIN = '\u001b[0m'

export class Timeline {
  readonly happenings: Happening[] = []
  readonly checks: Check[] = []
  readonly #began = performance.now()
  readonly #print: (line: string) => void
  readonly #color: boolean
  #step = 0

  /** @param print takes each line for people as it comes; nothing is printed when the timeline is for a program */
  constructor (print: (line: string) => void, color: boolean) {
    this.#print = print
    this.#color = color
  }

  get seconds (): number {
    return (performance.now() - this.#began) / 1000
  }

  step (title: string): void {
    this.#step += 1
    this.#print(`\n${this.#paint(BOLD, `${this.#step}. ${title}`)}`)
  }

  tell (who: string, what: string, more: { took?: number, sees?: Record<string, string>, cannotSee?: Record<string, string> } = {}): void {
    const { took = null, sees = {}, cannotSee = {} } = more
    this.happenings.push({ step: this.#step, at: Math.round(this.seconds * 1000), took, who, what, sees, cannotSee })
    const time = took === null ? '' : took < 10 ? ` (${took.toFixed(1)} ms)` : took < 1000 ? ` (${Math.round(took)} ms)` : ` (${(took / 1000).toFixed(1)} s)`
    this.#print(`${this.#paint(DIM, `${this.seconds.toFixed(1).padStart(6)} s`)}  ${who.padEnd(9)} ${what}${time}`)
    for (const party of new Set([...Object.keys(sees), ...Object.keys(cannotSee)])) {
      const parts = [sees[party] === undefined ? '' : `sees ${sees[party]}`, cannotSee[party] === undefined ? '' : `cannot see ${cannotSee[party]}`]
      this.#print(this.#paint(DIM, `                     ${party} ${parts.filter(part => part !== '').join('; ')}`))
    }
  }

  /** @throws demo-claim-failed (us): a claim that does not hold ends the demo */
  check (claim: string, ok: boolean, evidence: Json): void {
    this.checks.push({ step: this.#step, claim, ok, evidence })
    this.#print(`          ${ok ? this.#paint(GREEN, '✓') : this.#paint(RED, '✗')} ${claim}`)
    if (!ok) throw new MixmintError('demo-claim-failed', 'us', `this does not hold: ${claim}. Evidence: ${JSON.stringify(evidence)}`)
  }

  #paint (code: string, text: string): string {
    return this.#color ? `${code}${text}${PLAIN}` : text
  }
}
