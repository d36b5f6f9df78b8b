/** Whose a store is, and how its records come from format to format: the same on every kind of store. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { utf8 } from '@mixmint/core/kit/bytes'
import type { Store } from '@mixmint/core/kit/ports'
import { afterAll, describe, expect, it } from 'vitest'
import { claimStore, type Migration } from '../../nodes/store/about.ts'
import { openLmdb } from '../../nodes/store/lmdb.ts'
import { openMoney } from '../../nodes/store/money.ts'
import { openPostgres } from '../../nodes/store/postgres.ts'
import { noPostgres, PostgresServer } from '../doubles/postgres.ts'

const root = mkdtempSync(join(tmpdir(), 'mixmint-about-'))
const server = noPostgres() === null ? await PostgresServer.start() : null
let count = 0
afterAll(async () => {
  await server?.remove()
  rmSync(root, { recursive: true, force: true })
})

const makers: Array<[string, () => Promise<() => Promise<Store>>]> = [['LMDB', async () => {
  const dir = join(root, `${count++}`)
  return async () => await openLmdb(dir)
}]]
if (server !== null) {
  makers.push(['PostgreSQL', async () => {
    const url = server.url(await server.schema())
    return async () => await openPostgres(url)
  }])
}

/** Adds a letter to the record, unless it is there. */
const add = (letter: string): Migration => async store => {
  const was = await store.get(utf8('record')) ?? utf8('')
  const text = new TextDecoder().decode(was)
  if (!text.endsWith(letter)) await store.batch([{ op: 'put', key: utf8('record'), value: utf8(text + letter) }])
}
const fail: Migration = async () => { throw new Error('the power failed') }

describe.each(makers)('what a store says of itself: %s', (_kind, maker) => {
  const read = async (store: Store): Promise<string> => new TextDecoder().decode(await store.get(utf8('record')) ?? utf8(''))

  it('is its owner\'s alone', async () => {
    const open = await maker()
    let store = await open()
    await claimStore(store, 'bank A')
    await claimStore(store, 'bank A')
    await store.close()
    store = await open()
    await expect(claimStore(store, 'bank B')).rejects.toMatchObject({ code: 'store-of-another', fault: 'operator', message: expect.stringContaining('bank A') })
    await store.close()
  })

  it('comes from format to format, each once, after a stop in between too, and not back', async () => {
    const open = await maker()
    let store = await open()
    await store.batch([{ op: 'put', key: utf8('record'), value: utf8('x') }])
    await claimStore(store, 'bank', [add('a')])
    expect(await read(store)).toBe('xa')
    await expect(claimStore(store, 'bank', [add('a'), add('b'), fail])).rejects.toThrow('the power failed')
    await store.close()
    store = await open()
    expect(await read(store)).toBe('xab')
    await expect(claimStore(store, 'bank', [add('a')])).rejects.toMatchObject({ code: 'store-too-new', fault: 'operator' })
    await Promise.all([1, 2, 3].map(async () => { await claimStore(store, 'bank', [add('a'), add('b'), add('c')]) }))
    expect(await read(store)).toBe('xabc')
    await store.close()
  })
})

describe('where the money is', () => {
  it('is the folder\'s own store, or the PostgreSQL of a secret file', async () => {
    const own = await openLmdb(join(root, 'own'))
    const file = join(root, 'postgres.url')
    await expect(openMoney(own, file, 'bank')).rejects.toMatchObject({ code: 'no-connection-string', fault: 'operator' })
    writeFileSync(file, server?.url() ?? 'postgres://x', { mode: 0o644 })
    await expect(openMoney(own, file, 'bank')).rejects.toMatchObject({ code: 'key-file-open' })
    rmSync(file)
    const mine = await openMoney(own, '', 'bank')
    expect(mine.store).toBe(own)
    await mine.close()
    // Its name is drawn once.
    expect(mine.id).toHaveLength(16)
    expect((await openMoney(own, '', 'bank')).id).toEqual(mine.id)
    if (server !== null) {
      writeFileSync(file, `${server.url()}\n`, { mode: 0o600 })
      const [one, two] = await Promise.all([openMoney(own, file, 'bank'), openMoney(own, file, 'bank')])
      expect(one.id).toEqual(two.id)
      expect(one.id).not.toEqual(mine.id)
      await one.store.batch([{ op: 'put', key: utf8('record'), value: utf8('shared') }])
      expect(new TextDecoder().decode(await two.store.get(utf8('record')) ?? utf8(''))).toBe('shared')
      expect(await own.get(utf8('record'))).toBeNull()
      await expect(openMoney(own, file, 'another bank')).rejects.toMatchObject({ code: 'store-of-another' })
      await one.close()
      await two.close()
    }
    await own.close()
  })
})
