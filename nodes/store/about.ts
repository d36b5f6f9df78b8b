/**
 * What a store says of itself: whose it is, and in which format its records are. So a store that is opened under another
 * key, or by a program of before, is refused instead of being spoilt; and one of before is brought up, step by step.
 */
import { utf8 } from '@mixmint/core/kit/bytes'
import { encode, record, text, uint } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Rng, Store } from '@mixmint/core/kit/ports'
import { stored } from '@mixmint/core/cash/stored'

const KEY = utf8('about')
const ID = utf8('store-id')
const ID_LENGTH = 16

/** `format` counts from 1. */
const About = record({ format: uint(), owner: text(256) })

/** Takes the records from one format to the next. It may be stopped at any moment, and is then run again from its beginning. */
export type Migration = (store: Store) => Promise<void>

/**
 * Called when a store is opened for a role, before anything else is asked of it. All processes of an earlier version that
 * share the store have to be stopped before.
 * @param owner the role with its keys and names, for people: never a secret
 * @param migrations the nth takes format n to n + 1
 * @throws store-of-another, store-too-new, store-damaged (operator)
 */
export async function claimStore (store: Store, owner: string, migrations: readonly Migration[] = []): Promise<void> {
  let was = await store.get(KEY)
  for (;;) {
    const about = was === null ? { format: 1, owner } : stored(About, was)
    if (about.owner !== owner) {
      throw new MixmintError('store-of-another', 'operator', `the store is that of ${about.owner}, and this is ${owner}: give each its own`)
    }
    if (about.format > migrations.length + 1) throw new MixmintError('store-too-new', 'operator', 'the store was written by a later version of this program: install that one')
    const next = about.format <= migrations.length ? about.format + 1 : about.format
    if (was !== null && next === about.format) return
    if (next > about.format) await migrations[about.format - 1](store)
    const value = encode(About, { format: next, owner })
    const written = await store.batch([{ op: 'swap', key: KEY, was, value }])
    was = written.done ? value : written.found
  }
}

/**
 * What tells a store from every other, 16 random bytes: drawn when it is first asked for, the same for all processes that share it, and for
 * copies of it.
 */
export async function storeId (store: Store, rng: Rng): Promise<Uint8Array> {
  const drawn = rng.bytes(ID_LENGTH)
  await store.batch([{ op: 'insert', key: ID, value: drawn }])
  return await store.get(ID) ?? drawn
}
