/** What a daemon tells its page (`/state.json`, docs/reference/http.md): its metrics as they were taken, the last so many times. */

export interface Series {
  readonly labels: Readonly<Record<string, string>>
  /** One for each of `NodeState.times`; null: it was not told then. */
  readonly values: ReadonlyArray<number | null>
}

export interface Figure {
  /** As Prometheus has it, with its prefix. */
  readonly name: string
  readonly type: 'counter' | 'gauge'
  readonly help: string
  readonly series: readonly Series[]
}

export interface Histogram {
  readonly name: string
  readonly help: string
  /** Upper bounds, each included, in the unit of the name; the last, beyond all bounds, is not there. */
  readonly bounds: readonly number[]
  /** For each of `NodeState.times` the counts, not cumulated, one more than there are bounds; and the sum of all values. Null: not told then. */
  readonly takes: ReadonlyArray<{ readonly counts: readonly number[], readonly sum: number } | null>
}

export interface NodeState {
  readonly node: {
    readonly role: string
    readonly network: string
    readonly version: string
    readonly suite: string
    /** Its peer id where it stands in the directory, else empty. */
    readonly peer: string
  }
  /** Codes of what is missing for its work, as /readyz has them now; empty: ready. */
  readonly missing: readonly string[]
  /** Metrics are taken at whole multiples of this, ms. */
  readonly every: number
  /** From now until they are taken anew, ms. */
  readonly next: number
  /** When they were taken, ms since 1970, in rising order; the last are those of now. */
  readonly times: readonly number[]
  readonly figures: readonly Figure[]
  readonly histograms: readonly Histogram[]
}
