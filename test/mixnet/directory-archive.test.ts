/** The floor of an authority, under which nothing is signed any more: it is on disk before anything is forgotten. */
import { expect, it } from 'vitest'
import { drive, type Saga } from '@mixmint/core/kit/saga'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { Archive } from '@mixmint/mixnet/directory/archive'
import { authorityKeys, NETWORK } from '../doubles/directory.ts'
import { MemoryStore } from '../doubles/memory-store.ts'
import { seededRng } from '../doubles/rng.ts'

const suite = await defaultSuite()
const trust = { network: NETWORK, authorities: authorityKeys(suite, 4).map(({ publicKey }) => publicKey) }
const run = async (store: MemoryStore, saga: Saga<void>): Promise<void> => {
  await drive(saga, { clock: { now: () => 0 }, rng: seededRng('archive'), store, wait: async () => {} }, async () => null)
}
const reopened = async (store: MemoryStore): Promise<number> => {
  const archive = new Archive(suite, trust)
  await run(store, archive.open())
  return archive.floor
}

it('a floor that the disk did not take is written when it is raised again, and holds meanwhile', async () => {
  const store = new MemoryStore()
  const archive = new Archive(suite, trust)
  await run(store, archive.open())
  store.failBatch(1, 'store-full')
  await expect(run(store, archive.raise(7))).rejects.toMatchObject({ code: 'store-full' })
  expect([archive.floor, await reopened(store)]).toEqual([7, -1])
  await run(store, archive.raise(7))
  expect(await reopened(store)).toBe(7)
})

it('of two raised at one time the higher stays, and one that is lower writes nothing less', async () => {
  const store = new MemoryStore()
  const archive = new Archive(suite, trust)
  await run(store, archive.open())
  store.hold()
  const both = [run(store, archive.raise(9)), run(store, archive.raise(4))]
  await Promise.resolve()
  store.release()
  await Promise.all(both)
  expect([archive.floor, await reopened(store)]).toEqual([9, 9])
})
