/** What `mixmint up` tells its page (`/network.json`, docs/reference/http.md). */

/** ready; not-ready: it serves and something is missing; starting, stopping; silent: its process runs and says nothing; ended: no process. */
export type ProcessState = 'ready' | 'not-ready' | 'starting' | 'stopping' | 'silent' | 'ended'

export interface ProcessView {
  readonly name: string
  readonly role: string
  /** Of a mix; else null. */
  readonly layer: number | null
  readonly state: ProcessState
  readonly missing: readonly string[]
  /** Null: not known. */
  readonly epoch: number | null
  /** Since when it runs, ms since 1970. */
  readonly since: number | null
  /** Bytes. */
  readonly memory: number | null
  readonly store: number | null
  /** Packets a second that came in from neighbours; null for what mixes nothing. */
  readonly packets: number | null
}

/** `wallets`, `gateway`, `layer-1` …, `service`. */
export interface Flow { readonly from: string, readonly to: string, /** Packets a second. */ readonly rate: number }

interface Lines { readonly name: string, readonly values: ReadonlyArray<number | null> }

export interface RingView {
  /** Keepers of one coin, and how many of them make a certificate. */
  readonly keepers: number
  readonly quorum: number
  /** Spends certified by all centers since their start, in steps of 16; one coin has several. */
  readonly votes: number
  /** `share` of all places that a center keeps, `landed` of the spends that it certified; they sum to 1 each. Null: not known. */
  readonly centers: ReadonlyArray<{ readonly name: string, readonly share: number | null, readonly landed: number | null }>
}

export interface MoneyView {
  readonly unit: string
  /** When the books were read, ms since 1970. */
  readonly time: number
  readonly credited: number
  readonly paidOut: number
  readonly accounts: number
  readonly tokens: number
  readonly issued: number
  readonly redeemed: number
  readonly outstanding: number
  readonly balanced: boolean
  readonly faults: number
  readonly times: readonly number[]
  readonly lines: readonly Lines[]
}

export interface NetworkState {
  readonly network: string
  /** Taken anew at whole multiples of this, ms. */
  readonly every: number
  readonly next: number
  readonly time: number
  readonly epoch: number | null
  readonly processes: readonly ProcessView[]
  readonly flows: readonly Flow[]
  /** Of all nodes together, packets a second; at `times`. */
  readonly times: readonly number[]
  readonly traffic: readonly Lines[]
  /** Packets a second that were dropped, by reason. */
  readonly drops: ReadonlyArray<{ readonly reason: string, readonly rate: number }>
  readonly ring: RingView | null
  readonly money: MoneyView | null
}
