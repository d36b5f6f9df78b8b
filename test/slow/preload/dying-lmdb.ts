/** What store-deaths.ts puts in the place of lmdb: all that the program asks of it, and databases at whose transactions the process may die. */
import { readFileSync, rmSync } from 'node:fs'
import { open as openReal, type RootDatabase, type RootDatabaseOptionsWithPath } from 'lmdb'

const order = process.env.MIXMINT_DIES_AT ?? ''

/** What is ordered, or null while nobody wants anything. */
function ordered (): { readonly when: string, readonly table: string } | null {
  try {
    const [when, table] = readFileSync(order, 'utf8').split(' ')
    return { when, table }
  } catch {
    return null
  }
}

function die (): never {
  rmSync(order)
  process.kill(process.pid, 'SIGKILL')
  throw new Error('dead')
}

export function open (options: RootDatabaseOptionsWithPath): RootDatabase<Uint8Array, Uint8Array> {
  const db = openReal<Uint8Array, Uint8Array>(options)
  const { putSync, childTransaction } = db
  let tables: string[] = []
  db.putSync = (key: Uint8Array, value: Uint8Array) => {
    tables.push(Buffer.from(key).toString('latin1'))
    Reflect.apply(putSync, db, [key, value])
  }
  db.childTransaction = async <T>(action: () => T): Promise<T> => {
    const result = await childTransaction.call(db, () => {
      tables = []
      const done = action()
      const told = ordered()
      if (told?.when === 'before' && tables.some(key => key.startsWith(told.table))) die()
      return done
    }) as T
    const told = ordered()
    if (told?.when === 'after' && tables.some(key => key.startsWith(told.table))) die()
    return result
  }
  return db
}
