/**
 * Where a role keeps its money: in PostgreSQL when its configuration names one, so that several processes may share it, and
 * else in the store of its own folder. What belongs to the one node (its directory documents, its lock) stays in the folder.
 */
import type { Store } from '@mixmint/core/kit/ports'
import { MixmintError } from '@mixmint/core/kit/errors'
import { systemRng } from '../clock.ts'
import { readSecret } from '../secrets.ts'
import { claimStore, storeId, type Migration } from './about.ts'

export interface MoneyStore {
  readonly store: Store
  /** As storeId gives it. */
  readonly id: Uint8Array
  /** The folder's own store is left to its owner. */
  readonly close: () => Promise<void>
}

/**
 * @param postgresFile holds the connection string, and nobody else may read it; or '' for the folder's own store
 * @throws those of claimStore, and of openPostgres; no-connection-string, key-file-open (operator)
 */
export async function openMoney (own: Store, postgresFile: string, owner: string, migrations: readonly Migration[] = []): Promise<MoneyStore> {
  if (postgresFile === '') {
    await claimStore(own, owner, migrations)
    return { store: own, id: await storeId(own, systemRng), close: async () => {} }
  }
  const connectionString = readSecret(postgresFile)?.trim() ?? ''
  if (connectionString === '') throw new MixmintError('no-connection-string', 'operator', `${postgresFile} does not hold a connection string: one such as postgres://user:password@host/database is wanted`)
  // Whoever has no PostgreSQL does not load what speaks with it.
  const { openPostgres } = await import('./postgres.ts')
  const store = await openPostgres(connectionString)
  try {
    await claimStore(store, owner, migrations)
    return { store, id: await storeId(store, systemRng), close: async () => { await store.close() } }
  } catch (error) {
    await store.close()
    throw error
  }
}
