/** Ports: how the outside world reaches the engines. Implementations live in nodes/ (real) and test/ (virtual). */

/** Milliseconds since the Unix epoch. Every time in this project has this unit. */
export type Millis = number

export interface Clock {
  now: () => Millis
}

export interface Rng {
  /** Cryptographically strong bytes (or, under test, a seeded stream). */
  bytes: (length: number) => Uint8Array
}

/** Counters: `name` is a constant, labels come from small fixed sets; nothing that identifies a coin, wallet or packet. */
export interface Meter {
  /** Add to a counter, by default 1. */
  count: (name: string, labels?: Readonly<Record<string, string>>, by?: number) => void
}

/** Structured log lines. Fields obey the same rule as metric labels. */
export interface Log {
  info: (message: string, fields?: Readonly<Record<string, string | number | boolean>>) => void
  warn: (message: string, fields?: Readonly<Record<string, string | number | boolean>>) => void
  error: (message: string, fields?: Readonly<Record<string, string | number | boolean>>) => void
}

/** One step of an atomic batch. */
export type Op =
  /** The key must be absent; then it holds this value. */
  | { readonly op: 'insert', readonly key: Uint8Array, readonly value: Uint8Array }
  /** The key must hold exactly `was` (null: be absent); then it holds `value` (null: is removed). */
  | { readonly op: 'swap', readonly key: Uint8Array, readonly was: Uint8Array | null, readonly value: Uint8Array | null }
  /** Unconditional. */
  | { readonly op: 'put', readonly key: Uint8Array, readonly value: Uint8Array }
  | { readonly op: 'delete', readonly key: Uint8Array }

/** `done`, or the first step whose condition failed and what its key holds; then nothing at all was changed. */
export type BatchResult =
  | { readonly done: true }
  | { readonly done: false, readonly at: number, readonly found: Uint8Array | null }

export interface Entry { readonly key: Uint8Array, readonly value: Uint8Array }

export interface Range {
  /** Only keys that begin with these bytes. */
  readonly prefix: Uint8Array
  /** Only keys after this one (exclusive); for paging. */
  readonly after?: Uint8Array
  /** At most this many entries. */
  readonly limit: number
}

/**
 * A durable ordered map from keys (1 to 255 bytes) to values (up to 1 MiB). When a promise of `batch` resolves with
 * `done: true`, the change survives the loss of power; the steps of a batch are seen all or not at all, and batches of
 * any number of callers and processes are as if one after the other.
 *
 * Errors: store-full (operator), store-unreachable (operator, retry; a server that is away), store-failed (operator),
 * store-closed (caller), bad-argument (caller; a key or value of another size); after any of them nothing was changed or,
 * for store-failed only, it is unknown whether it was.
 */
export interface Store {
  /** Null: it is not there. */
  get: (key: Uint8Array) => Promise<Uint8Array | null>
  /** In bytewise order of keys, as of one moment. */
  scan: (range: Range) => Promise<Entry[]>
  /** All of it or, where a condition does not hold, nothing; when it resolves, it is on disk. */
  batch: (ops: readonly Op[]) => Promise<BatchResult>
  /** Nothing may be asked of it afterwards. */
  close: () => Promise<void>
}
