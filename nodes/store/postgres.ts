/**
 * A store in PostgreSQL, for roles of which several processes share one store (docs/decisions/0041).
 *
 * Batches that wait at the same time share one transaction, as in LMDB. A transaction locks the store's one row, reads the
 * keys of its batches, judges them here, writes what changes, and commits: so writers of any number of processes go one
 * after the other, and every batch is judged on what is durable. The server shows a change only once its log is flushed.
 *
 * A server that goes away and comes back is waited for. Each transaction writes its number under the name of its process, so
 * that afterwards the tables tell whether a commit that got no answer was made: nothing is done twice or not at all.
 */
import { randomBytes } from 'node:crypto'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import type { BatchResult, Entry, Range, Store } from '@mixmint/core/kit/ports'
import type { Client } from 'pg'
import { checkKey, judge, nameOf, Queue, takeGroup, type Changes, type Waiting } from './batch.ts'
import { LAYOUT, migrate, tooNew } from './postgres-layout.ts'
import { all, failureOf, Link, notDurable, steadyNow, storeFailed, unreachable } from './postgres-link.ts'

/** Keys of one statement. */
const READ_TOGETHER = 1024
const MAX_INT = 2 ** 31 - 1

export interface PostgresOptions {
  /** How long after it went away a server is waited for, ms. */
  readonly patience?: number
  /** For tests of migrations. */
  readonly layout?: ReadonlyArray<readonly string[]>
}

/**
 * @param connectionString as libpq has it, postgres://user:password@host/database; a secret
 * @throws store-unreachable, store-failed, store-not-durable, store-too-new (operator)
 */
export async function openPostgres (connectionString: string, { patience = 15_000, layout = LAYOUT }: PostgresOptions = {}): Promise<Store> {
  const store = new PostgresStore(connectionString, patience, layout)
  try {
    await store.open()
  } catch (error) {
    await store.close()
    throw error
  }
  return store
}

interface Reader {
  readonly key: Uint8Array
  readonly resolve: (value: Uint8Array | null) => void
  readonly reject: (error: unknown) => void
}

interface Row { key: Uint8Array, value: Uint8Array }

class PostgresStore implements Store {
  readonly #patience: number
  readonly #layout: ReadonlyArray<readonly string[]>
  readonly #writer: Link
  readonly #reader: Link
  /** Names this store's transactions in the tables; nobody else has it. */
  readonly #writerName = randomBytes(16)
  #attempts = 0
  readonly #queue = new Queue(async () => { await this.#work() })
  #reading: Reader[] = []
  #reads = 0
  #readsEnded: (() => void) | null = null
  #closed: Promise<void> | null = null

  constructor (connectionString: string, patience: number, layout: ReadonlyArray<readonly string[]>) {
    this.#patience = patience
    this.#layout = layout
    this.#writer = new Link(connectionString)
    this.#reader = new Link(connectionString)
  }

  async open (): Promise<void> {
    await this.#insist(this.#writer, async client => { await migrate(client, this.#layout) })
  }

  async get (key: Uint8Array): Promise<Uint8Array | null> {
    this.#check()
    checkKey(key)
    return await new Promise((resolve, reject) => {
      // Those asked in one turn of the event loop are read by one statement.
      if (this.#reading.length === 0) setImmediate(() => { this.#readTogether() })
      this.#reads += 1
      this.#reading.push({ key: key.slice(), resolve, reject })
    })
  }

  async scan ({ prefix, after, limit }: Range): Promise<Entry[]> {
    this.#check()
    if (limit <= 0) return []
    const [conditions, values]: [string[], unknown[]] = [[], []]
    const where = (condition: string, value: Uint8Array): void => { conditions.push(`${condition} $${values.push(Buffer.from(value))}`) }
    where('key >=', prefix)
    const beyond = upperBound(prefix)
    if (beyond !== null) where('key <', beyond)
    if (after !== undefined) where('key >', after)
    const text = `SELECT key, value FROM mixmint_entries WHERE ${conditions.join(' AND ')} ORDER BY key LIMIT $${values.push(Math.min(limit, MAX_INT))}`
    this.#reads += 1
    try {
      const rows = await this.#insist(this.#reader, async client => (await client.query<Row>(text, values)).rows)
      return rows.map(({ key, value }) => ({ key: new Uint8Array(key), value: new Uint8Array(value) }))
    } finally {
      this.#readEnded(1)
    }
  }

  async batch (ops: Parameters<Store['batch']>[0]): Promise<BatchResult> {
    this.#check()
    return await this.#queue.add(ops)
  }

  async close (): Promise<void> {
    this.#closed ??= (async () => {
      await this.#queue.ended()
      if (this.#reads > 0) await new Promise<void>(resolve => { this.#readsEnded = resolve })
      await Promise.all([this.#writer.close(), this.#reader.close()])
    })()
    await this.#closed
  }

  #check (): void {
    if (this.#closed !== null) throw new MixmintError('store-closed', 'caller', 'the store has been closed; open it again')
  }

  /** What changes nothing may be asked again and again. */
  async #insist<T> (link: Link, ask: (client: Client) => Promise<T>): Promise<T> {
    const until = link.until(this.#patience)
    for (;;) {
      const client = await link.client(until)
      try {
        return await ask(client)
      } catch (error) {
        link.drop(client)
        const failure = failureOf(error)
        if (failure !== 'away' && failure !== 'conflict') throw failure === 'full' ? full(error) : storeFailed(error)
        if (steadyNow() >= until) throw unreachable()
      }
    }
  }

  #readTogether (): void {
    const asked = this.#reading
    this.#reading = []
    for (let at = 0; at < asked.length; at += READ_TOGETHER) {
      const some = asked.slice(at, at + READ_TOGETHER)
      this.#insist(this.#reader, async client => await readKeys(client, some.map(({ key }) => key))).then(
        found => { for (const { key, resolve } of some) resolve(found.get(nameOf(key))?.slice() ?? null) },
        (error: unknown) => { for (const { reject } of some) reject(error) }
      ).finally(() => { this.#readEnded(some.length) })
    }
  }

  #readEnded (count: number): void {
    this.#reads -= count
    if (this.#reads === 0) this.#readsEnded?.()
  }

  async #work (): Promise<void> {
    // Whatever is asked in this turn of the event loop shares a transaction.
    await new Promise(resolve => { setImmediate(resolve) })
    const group = takeGroup(this.#queue.waiting)
    try {
      const results = await this.#commit(group)
      group.forEach(({ resolve }, i) => { resolve(results[i]) })
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }

  /** One transaction for the group, tried until it is made or the server stays away. */
  async #commit (group: readonly Waiting[]): Promise<BatchResult[]> {
    const until = this.#writer.until(this.#patience)
    for (;;) {
      const client = await this.#writer.client(until)
      const attempt = new Attempt(client, this.#layout.length, { writer: this.#writerName, number: ++this.#attempts })
      try {
        return await attempt.run(group)
      } catch (error) {
        this.#writer.drop(client)
        const failure = failureOf(error)
        if (failure === 'full') throw full(error)
        if (failure === 'failed') throw storeFailed(error)
        if (attempt.results !== null && await this.#wasMade(this.#attempts, steadyNow() + this.#patience)) return attempt.results
        if (steadyNow() >= until) throw unreachable()
      }
    }
  }

  /** Was our last transaction, of this number, committed? @throws store-failed when that cannot be found out */
  async #wasMade (number: number, until: number): Promise<boolean> {
    const unknown = (): MixmintError => new MixmintError('store-failed', 'operator',
      'PostgreSQL went away while a change was committed: whether it was made is not known; when it is back, the same can be asked again', { retry: true })
    for (;;) {
      let client: Client
      try {
        client = await this.#writer.client(until)
      } catch (error) {
        throw isMixmintError(error, 'store-unreachable') ? unknown() : error
      }
      try {
        // Its session may not have noticed yet that we are gone. It holds the lock until it has ended.
        const answers = await all([
          client.query('BEGIN'), client.query('SELECT FROM mixmint_store FOR UPDATE'),
          client.query('SELECT number::text AS number FROM mixmint_writers WHERE writer = $1', [this.#writerName]), client.query('COMMIT')
        ])
        const [last] = answers[2].rows as Array<{ number: string }>
        return last?.number === String(number)
      } catch (error) {
        this.#writer.drop(client)
        if (failureOf(error) !== 'away') throw isMixmintError(error) ? error : unknown()
        if (steadyNow() >= until) throw unknown()
      }
    }
  }
}

/** One try of one transaction. */
class Attempt {
  readonly #client: Client
  readonly #version: number
  readonly #name: { readonly writer: Buffer, readonly number: number }
  /** Once its commit has left: what the batches come to if it is made. */
  results: BatchResult[] | null = null

  constructor (client: Client, version: number, name: { readonly writer: Buffer, readonly number: number }) {
    this.#client = client
    this.#version = version
    this.#name = name
  }

  async run (group: readonly Waiting[]): Promise<BatchResult[]> {
    const client = this.#client
    const keys = [...new Map(group.flatMap(({ ops }) => ops.map(({ key }) => [nameOf(key), key]))).values()]
    // The default level: each statement sees what was committed before it, and the second only runs with the lock.
    const [, lock, read] = await all([
      client.query('BEGIN ISOLATION LEVEL READ COMMITTED'),
      client.query("SELECT version, current_setting('fsync') AS fsync FROM mixmint_store FOR UPDATE"),
      client.query(READ, [keys.map(key => Buffer.from(key))])
    ])
    const { version, fsync } = lock.rows[0] as { version: number, fsync: string }
    if (version !== this.#version) throw tooNew()
    if (fsync === 'off') throw notDurable('fsync')

    const held = asMap(read.rows as Row[])
    const changes: Changes = new Map()
    const results = group.map(({ ops }) => {
      const judged = judge(ops, (_, name) => {
        const changed = changes.get(name)
        return changed === undefined ? held.get(name) ?? null : changed.value
      })
      for (const [name, change] of judged.changes) changes.set(name, change)
      return judged.result
    })
    await this.#write(changes, results)
    return results
  }

  async #write (changes: Changes, results: BatchResult[]): Promise<void> {
    const client = this.#client
    if (changes.size === 0) {
      await client.query('ROLLBACK')
      return
    }
    const kept = [...changes.values()].flatMap(({ key, value }) => value === null ? [] : [{ key, value }])
    const gone = [...changes.values()].filter(({ value }) => value === null)
    this.results = results
    const answers = await all([
      client.query(SIGN, [this.#name.writer, this.#name.number]),
      ...kept.length === 0 ? [] : [client.query(WRITE, [kept.map(({ key }) => Buffer.from(key)), kept.map(({ value }) => Buffer.from(value))])],
      ...gone.length === 0 ? [] : [client.query(REMOVE, [gone.map(({ key }) => Buffer.from(key))])],
      client.query('COMMIT')
    ])
    // A transaction in which a statement failed answers its COMMIT with a rollback.
    if (answers[answers.length - 1].command !== 'COMMIT') throw new MixmintError('store-failed', 'operator', 'PostgreSQL rolled a change back; nothing was changed')
  }
}

const READ = 'SELECT key, value FROM mixmint_entries WHERE key = ANY($1::bytea[])'
const WRITE = 'INSERT INTO mixmint_entries SELECT * FROM unnest($1::bytea[], $2::bytea[]) ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value'
const REMOVE = 'DELETE FROM mixmint_entries WHERE key = ANY($1::bytea[])'

/** Under our name in the tables: this transaction. */
const SIGN = 'INSERT INTO mixmint_writers VALUES ($1, $2) ON CONFLICT (writer) DO UPDATE SET number = EXCLUDED.number'

async function readKeys (client: Client, keys: readonly Uint8Array[]): Promise<Map<string, Uint8Array>> {
  return asMap((await client.query<Row>(READ, [keys.map(key => Buffer.from(key))])).rows)
}

function asMap (rows: readonly Row[]): Map<string, Uint8Array> {
  return new Map(rows.map(({ key, value }) => [nameOf(key), new Uint8Array(value)]))
}

/** The first key after all that begin with these bytes; null when there is none. */
function upperBound (prefix: Uint8Array): Uint8Array | null {
  const last = prefix.findLastIndex(byte => byte < 255)
  if (last === -1) return null
  const bound = prefix.slice(0, last + 1)
  bound[last] += 1
  return bound
}

function full (cause: unknown): MixmintError {
  return new MixmintError('store-full', 'operator', 'the disk under PostgreSQL is full; nothing was changed; free some space, then try again', { cause })
}
