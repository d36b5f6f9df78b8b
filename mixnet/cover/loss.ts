/**
 * What became of the packets that one sent to oneself, and the alarms that their loss raises. A loop that does not come
 * home was dropped by somebody on its path; which one, only many loops over many paths tell. An attacker who lets through
 * nothing but the one packet he is after (the n − 1 attack: Serjantov, Dingledine, Syverson, "From a trickle to a flood",
 * IH 2002; loops against it: Danezis, Sassaman, "Heartbeat traffic to counter (n−1) attacks", WPES 2003) stops the loops, too.
 *
 *   about one node   of the loops through it more were lost than packets ordinarily are (binomial test), and more than of
 *                    those that did not pass it (Fisher's exact test): so one bad mix stands out, and its neighbours do not
 *   about all        of the loops through none of the nodes that an alarm names more were lost than bad mixes explain:
 *                    somebody cuts us off. It is over, too, when an alarm about a node explains them
 *
 * Tests look at the newest 12, 24, 48, … results, as an attack may have begun a moment ago or an hour. An alarm is over
 * when of the newest 64 results about its subject, all younger than the alarm, no more than three were lost.
 */
import type { Millis } from '@mixmint/core/kit/ports'
import type { LinkId } from '../mixing/engine.ts'
import { LATEST_TIMER } from './process.ts'
import { binomialTail, fisherTail } from './statistics.ts'

/** The whole network, as seen from here. */
export const ALL = 'all'
export type Subject = LinkId | typeof ALL

/** Losses among the newest results through a node (or, about all, through none that an alarm names), and among the others. */
export interface LossCount { readonly loops: number, readonly lost: number, readonly othersLoops: number, readonly othersLost: number }

export type LossEffect =
  /** Significantly more is lost than ordinarily; `count` is what showed it. */
  | { readonly do: 'alarm', readonly about: Subject, readonly count: LossCount }
  | { readonly do: 'clear', readonly about: Subject }

export interface LossFigures {
  /** sent = returned + lost + pending + void, since the beginning. Void: the clock stepped meanwhile, so nobody knows. */
  readonly sent: number
  readonly returned: number
  readonly lost: number
  readonly pending: number
  readonly void: number
  /** Of the window: the mean and the longest time of those that came home, ms; 0 without any. */
  readonly delay: { readonly mean: Millis, readonly longest: Millis }
  /** Of the window, for each node that a loop passed, in order of its id. */
  readonly nodes: ReadonlyArray<{ readonly node: LinkId, readonly loops: number, readonly lost: number }>
  /** Of the window, the paths over which the most were lost, the worst first: so many at most. */
  readonly paths: ReadonlyArray<{ readonly nodes: readonly LinkId[], readonly loops: number, readonly lost: number }>
  readonly alarms: readonly Subject[]
}

interface Pending { readonly nodes: readonly LinkId[], readonly sentAt: Millis, readonly until: Millis }
interface Result { readonly nodes: readonly LinkId[], /** Null: lost. */ readonly delay: Millis | null }

/** Paths that figures name. */
const WORST = 16
/** Results remembered. */
const WINDOW = 2048
const FEWEST = 12
/** What links and crashes ordinarily lose. */
const ORDINARY = 0.05
/** What several bad mixes would have to conspire for. Twelve losses in a row are too many for it. */
const SEVERE = 0.25
/** The chance of a false alarm, each time that it is tested. */
const SIGNIFICANT = 1e-7
const RECOVERY = { results: 64, lost: 3 }

export class LossMonitor {
  /** By name, in the order in which they were sent. */
  readonly #pending = new Map<string, Pending>()
  /** The oldest first. */
  readonly #results: Result[] = []
  /** Results before this number, counted from the beginning, no longer count about this subject: its alarm is over. */
  readonly #since = new Map<Subject, number>()
  /** Since which result. */
  readonly #alarms = new Map<Subject, number>()
  #forgotten = 0
  #seen: Millis = -Infinity
  #counts = { sent: 0, returned: 0, lost: 0, void: 0 }

  /** When `pass` is wanted next, or null. */
  get due (): Millis | null {
    let first: Millis | null = null
    for (const { until } of this.#pending.values()) if (first === null || until < first) first = until
    return first
  }

  /**
   * A packet to oneself has left.
   * @param name never used before
   * @param nodes that it will pass
   * @param within it is lost if it is not home after so many ms
   */
  sent (name: string, nodes: readonly LinkId[], within: Millis, now: Millis): void {
    this.#counts.sent += 1
    this.#pending.set(name, { nodes: [...new Set(nodes)], sentAt: now, until: now + within })
  }

  isPending (name: string): boolean {
    return this.#pending.has(name)
  }

  /** It came home. Nothing happens when it is not missed, or not any more. */
  home (name: string, now: Millis): LossEffect[] {
    const effects = this.pass(now)
    const pending = this.#pending.get(name)
    if (pending === undefined) return effects
    this.#pending.delete(name)
    this.#counts.returned += 1
    return [...effects, ...this.#result({ nodes: pending.nodes, delay: now - pending.sentAt })]
  }

  /** Time passes: what is not home in time is lost. */
  pass (now: Millis): LossEffect[] {
    const due = this.due
    const stepped = now < this.#seen - LATEST_TIMER || (due !== null && now > due + LATEST_TIMER)
    this.#seen = now
    const effects: LossEffect[] = []
    for (const [name, { nodes, until }] of [...this.#pending]) {
      if (!stepped && until > now) continue
      this.#pending.delete(name)
      this.#counts[stepped ? 'void' : 'lost'] += 1
      if (!stepped) effects.push(...this.#result({ nodes, delay: null }))
    }
    return effects
  }

  /** Of nodes that are no longer in the directory no alarm is kept. */
  keep (isListed: (node: LinkId) => boolean): LossEffect[] {
    return [...this.#alarms.keys()].filter(about => about !== ALL && !isListed(about)).map(about => this.#clear(about))
  }

  figures (): LossFigures {
    const nodes = new Map<LinkId, { loops: number, lost: number }>()
    const paths = new Map<string, { nodes: readonly LinkId[], loops: number, lost: number }>()
    const delays: Millis[] = []
    for (const result of this.#results) {
      if (result.delay !== null) delays.push(result.delay)
      const isLost = result.delay === null ? 1 : 0
      for (const node of result.nodes) {
        const { loops, lost } = nodes.get(node) ?? { loops: 0, lost: 0 }
        nodes.set(node, { loops: loops + 1, lost: lost + isLost })
      }
      const path = result.nodes.join()
      const { loops, lost } = paths.get(path) ?? { loops: 0, lost: 0 }
      paths.set(path, { nodes: result.nodes, loops: loops + 1, lost: lost + isLost })
    }
    return {
      ...this.#counts,
      pending: this.#pending.size,
      delay: { mean: delays.reduce((sum, delay) => sum + delay, 0) / Math.max(1, delays.length), longest: Math.max(0, ...delays) },
      nodes: [...nodes].map(([node, count]) => ({ node, ...count })).sort((a, b) => a.node < b.node ? -1 : 1),
      paths: [...paths.values()].filter(({ lost }) => lost > 0).sort((a, b) => b.lost - a.lost).slice(0, WORST),
      alarms: [...this.#alarms.keys()].sort()
    }
  }

  #result (result: Result): LossEffect[] {
    this.#results.push(result)
    if (this.#results.length > WINDOW) {
      this.#results.shift()
      this.#forgotten += 1
    }
    const subjects: Subject[] = [...result.nodes, ALL]
    return result.delay === null ? subjects.flatMap(about => this.#test(about)) : subjects.flatMap(about => this.#recovered(about))
  }

  /** Only a loss can raise an alarm. */
  #test (about: Subject): LossEffect[] {
    if (this.#alarms.has(about)) return []
    const count = this.#evidence(about)
    if (count === null) return []
    this.#alarms.set(about, this.#count)
    // One node explains what seemed to be everybody's fault, where most paths pass it.
    const cleared = this.#alarms.has(ALL) && this.#evidence(ALL) === null ? [this.#clear(ALL)] : []
    return [{ do: 'alarm', about, count }, ...cleared]
  }

  /** The newest results, as many as show it; null: none do. */
  #evidence (about: Subject): LossCount | null {
    const oldest = Math.max(0, (this.#since.get(about) ?? 0) - this.#forgotten)
    const count = { loops: 0, lost: 0, othersLoops: 0, othersLost: 0 }
    let next = FEWEST
    for (let i = this.#results.length - 1; i >= oldest; i--) {
      const { nodes, delay } = this.#results[i]
      const isAbout = this.#isAbout(about, nodes)
      count[isAbout ? 'loops' : 'othersLoops'] += 1
      if (delay === null) count[isAbout ? 'lost' : 'othersLost'] += 1
      const size = this.#results.length - i
      if (size < next && i > oldest) continue
      next = 2 * size
      if (isTooMuch(about, count)) return count
    }
    return null
  }

  #recovered (about: Subject): LossEffect[] {
    const since = this.#alarms.get(about)
    if (since === undefined) return []
    let loops = 0
    let lost = 0
    for (let i = this.#results.length - 1; i >= Math.max(0, since - this.#forgotten) && loops < RECOVERY.results; i--) {
      const { nodes, delay } = this.#results[i]
      if (!this.#isAbout(about, nodes)) continue
      loops += 1
      if (delay === null) lost += 1
    }
    return loops === RECOVERY.results && lost <= RECOVERY.lost ? [this.#clear(about)] : []
  }

  #isAbout (about: Subject, nodes: readonly LinkId[]): boolean {
    return about === ALL ? !nodes.some(node => this.#alarms.has(node)) : nodes.includes(about)
  }

  /** Results since the beginning. */
  get #count (): number {
    return this.#forgotten + this.#results.length
  }

  #clear (about: Subject): LossEffect {
    this.#alarms.delete(about)
    this.#since.set(about, this.#count)
    return { do: 'clear', about }
  }
}

function isTooMuch (about: Subject, { loops, lost, othersLoops, othersLost }: LossCount): boolean {
  const rate = about === ALL ? SEVERE : ORDINARY
  // The test would say so, too, after some computing.
  if (lost <= rate * loops || binomialTail(lost, loops, rate) >= SIGNIFICANT) return false
  return about === ALL || fisherTail(lost, loops, othersLost, othersLoops) < SIGNIFICANT
}
