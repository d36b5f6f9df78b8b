/** The store of a node that does not run, by ourselves: a command that reads or changes it has the folder's lock meanwhile. */
import { join } from 'node:path'
import { lockFolder } from './lock.ts'
import { openLmdb, type LmdbStore } from './lmdb.ts'

/** @throws folder-in-use (operator): the node runs; those of openLmdb */
export async function withOwnStore<T> (dir: string, act: (store: LmdbStore) => Promise<T>): Promise<T> {
  const store = await openLmdb(join(dir, 'store'))
  try {
    const lock = await lockFolder(store)
    try {
      return await act(store)
    } finally {
      await lock.release()
    }
  } finally {
    await store.close()
  }
}
