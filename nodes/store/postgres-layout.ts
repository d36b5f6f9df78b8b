/**
 * The tables of a store in PostgreSQL, and how they come from one version to the next. They stand in the first schema of
 * the connection's search path; a store has a database or a schema of its own.
 *
 *   mixmint_store (version)           one row; who writes to the store locks it, so that writers go one after the other
 *   mixmint_entries (key, value)      the store itself; keys in bytewise order
 *   mixmint_writers (writer, number)  of each process that ever wrote: its last transaction, written by that itself
 */
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Client } from 'pg'

/** Statement lists: the nth takes the tables from version n to n + 1. Append; never change one that was released. */
export const LAYOUT: ReadonlyArray<readonly string[]> = [
  [
    'CREATE TABLE mixmint_entries (key bytea PRIMARY KEY, value bytea NOT NULL)',
    // Ciphertexts, keys and signatures: trying to compress them is wasted.
    'ALTER TABLE mixmint_entries ALTER COLUMN value SET STORAGE EXTERNAL'
  ],
  // Some have it already.
  ['CREATE TABLE IF NOT EXISTS mixmint_writers (writer bytea PRIMARY KEY, number bigint NOT NULL)']
]

/** Of this number, so that two programs that start at once go one after the other. */
const MIGRATION_LOCK = 0x6d697874

/**
 * Make the tables, or bring them to this program's version, in one transaction.
 * @throws store-too-new (operator), and what the server says
 */
export async function migrate (client: Client, layout: ReadonlyArray<readonly string[]> = LAYOUT): Promise<void> {
  await client.query('BEGIN')
  try {
    await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK])
    const { rows: [{ absent }] } = await client.query<{ absent: boolean }>("SELECT to_regclass('mixmint_store') IS NULL AS absent")
    if (absent) {
      await client.query('CREATE TABLE mixmint_store (one boolean PRIMARY KEY CHECK (one), version integer NOT NULL)')
      await client.query('INSERT INTO mixmint_store VALUES (true, 0)')
    }
    const { rows } = await client.query<{ version: number }>('SELECT version FROM mixmint_store FOR UPDATE')
    const { version } = rows[0]
    if (version > layout.length) throw tooNew()
    for (const statements of layout.slice(version)) {
      for (const statement of statements) await client.query(statement)
    }
    if (version < layout.length) await client.query('UPDATE mixmint_store SET version = $1', [layout.length])
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {})
    throw error
  }
}

export function tooNew (): MixmintError {
  return new MixmintError('store-too-new', 'operator', 'the store was written by a later version of this program: install that one')
}
