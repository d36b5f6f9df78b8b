/**
 * A connection to PostgreSQL that is made again when it breaks, and the words for what the server says. Statements are
 * pipelined: those asked in one go cost one way to the server and back.
 */
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import type { Client, QueryResult } from 'pg'
import { sleep } from '../clock.ts'

/** The server ends a transaction whose client says nothing for so long: a frozen process must not hold up the others, ms. */
const IDLE_IN_TRANSACTION = 5000
/** A server that does not answer a statement for so long is taken to be gone, ms. */
const SILENCE = 30_000
const RETRY_EVERY = 100

/** SQLSTATE classes and codes (PostgreSQL, appendix A): the server or the way to it is away, and may come back. */
const AWAY = /^(08...|57P0[1-5]|25P03|25006|53300)$/
/** Node's codes for the same. */
const UNREACHED: readonly unknown[] = ['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN']
/** Serialization failure, deadlock: nothing was done, and the same may be tried at once. */
const CONFLICT: readonly unknown[] = ['40001', '40P01']
const DISK_FULL = '53100'

/** What became of a statement that failed. */
export type Failure = 'away' | 'conflict' | 'full' | 'failed'

export function failureOf (error: unknown): Failure {
  if (isMixmintError(error)) return 'failed'
  const { code, message } = error as { code?: unknown, message?: unknown }
  if (CONFLICT.includes(code)) return 'conflict'
  if (code === DISK_FULL) return 'full'
  if (UNREACHED.includes(code) || (typeof code === 'string' && AWAY.test(code))) return 'away'
  // The pg package names these by their text only.
  return code === undefined && typeof message === 'string' && /terminated|timeout|not queryable|was closed/i.test(message) ? 'away' : 'failed'
}

/** Who erred, in words that hold nothing of the connection string. */
export function storeFailed (error: unknown): MixmintError {
  if (error instanceof MixmintError) return error
  const { code, message, severity } = error as { code?: unknown, message?: unknown, severity?: unknown }
  // What the server says is worth reading; other errors may quote the connection string.
  const why = severity !== undefined ? String(message) : typeof code === 'string' ? code : 'the connection string is not understood'
  return new MixmintError('store-failed', 'operator', `PostgreSQL refused: ${why}; nothing was changed`, { cause: severity === undefined ? undefined : error })
}

export function unreachable (): MixmintError {
  return new MixmintError('store-unreachable', 'operator', 'PostgreSQL does not answer: start it, or mend the way to it; then the same can be asked again', { retry: true })
}

/** Steady, unlike the clock of the day. */
export const steadyNow = (): number => performance.now()

export class Link {
  readonly #connectionString: string
  #client: Promise<Client> | null = null
  /** What `#client` has come to. */
  #current: Client | null = null
  #closed = false
  /** Since when, on the steady clock, nothing has come of it; null: the server was there when last asked. */
  #awaySince: number | null = null

  constructor (connectionString: string) {
    this.#connectionString = connectionString
  }

  /**
   * The connection, made where there is none.
   * @param until on the steady clock: how long to try
   * @throws store-unreachable, store-failed, store-not-durable (operator)
   */
  async client (until: number): Promise<Client> {
    for (;;) {
      this.#client ??= this.#connect()
      const attempt = this.#client
      try {
        this.#current = await attempt
        this.#awaySince = null
        return this.#current
      } catch (error) {
        if (this.#client === attempt) this.#client = null
        if (failureOf(error) !== 'away') throw storeFailed(error)
        this.#awaySince ??= steadyNow()
        if (this.#closed || steadyNow() >= until) throw unreachable()
        await sleep(RETRY_EVERY)
      }
    }
  }

  /**
   * Until when, on the steady clock, whoever asks now waits for the server: so long from when it went away, so that of a server that
   * stays away all are told at once, and not each after the other's wait.
   */
  until (patience: number): number {
    return (this.#awaySince ?? steadyNow()) + patience
  }

  /** Give this connection up: whatever its transaction did is undone, unless it is committed. */
  drop (client: Client): void {
    // Somebody else may have made a new one meanwhile.
    if (this.#current === client) this.#current = this.#client = null
    void client.end().catch(() => {})
  }

  async close (): Promise<void> {
    this.#closed = true
    const client = await this.#client?.catch(() => null)
    await client?.end().catch(() => {})
  }

  async #connect (): Promise<Client> {
    const { Client: PgClient } = (await import('pg')).default
    const client = new PgClient({
      connectionString: this.#connectionString, application_name: 'mixmint', pipeline: true, keepAlive: true, connectionTimeoutMillis: 5000,
      query_timeout: SILENCE, idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION
    })
    // Without a listener the process would end. Whoever asks next finds out.
    client.on('error', () => {})
    try {
      await client.connect()
      await checkDurable(client)
    } catch (error) {
      void client.end().catch(() => {})
      throw error
    }
    return client
  }
}

/** @throws store-not-durable (operator); store-unreachable at a standby, which may be promoted */
async function checkDurable (client: Client): Promise<void> {
  const { rows } = await client.query<{ sync: string, fsync: string, pages: string, standby: boolean }>(
    "SELECT current_setting('synchronous_commit') AS sync, current_setting('fsync') AS fsync, current_setting('full_page_writes') AS pages, pg_is_in_recovery() AS standby")
  const { sync, fsync, pages, standby } = rows[0]
  if (standby) throw Object.assign(new Error('the server is a standby'), { code: '57P03' })
  for (const [name, value] of [['synchronous_commit', sync], ['fsync', fsync], ['full_page_writes', pages]]) {
    if (value === 'off') throw notDurable(name)
  }
  // As it is now: what somebody sets for new sessions while this one lasts does not reach it.
  await client.query("SELECT set_config('synchronous_commit', $1, false)", [sync])
}

export function notDurable (setting: string): MixmintError {
  return new MixmintError('store-not-durable', 'operator', `PostgreSQL would lose money with its power: ${setting} is off; set it to on`)
}

/** All of them, or the first error, once every one has ended. */
export async function all (queries: ReadonlyArray<Promise<QueryResult>>): Promise<QueryResult[]> {
  const settled = await Promise.allSettled(queries)
  return settled.map(one => {
    if (one.status === 'rejected') throw one.reason
    return one.value
  })
}
