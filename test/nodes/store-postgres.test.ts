/** PostgreSQL through the contract, and what is its own: many connections, a server that goes away, settings that lose money. */
import { utf8 } from '@mixmint/core/kit/bytes'
import type { Store } from '@mixmint/core/kit/ports'
import { setTimeout } from 'node:timers/promises'
import { inspect } from 'node:util'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { openPostgres, type PostgresOptions } from '../../nodes/store/postgres.ts'
import { LAYOUT } from '../../nodes/store/postgres-layout.ts'
import { storeContract } from '../contract/store.ts'
import { noPostgres, PostgresServer } from '../doubles/postgres.ts'
import { PostgresLine } from '../doubles/postgres-line.ts'

const why = noPostgres()
const server = why === null ? await PostgresServer.start() : null
const schemas = new WeakMap<Store, string>()
afterAll(async () => { await server?.remove() })

function theServer (): PostgresServer {
  return server as PostgresServer
}

async function openIn (schema: string, options: PostgresOptions = {}): Promise<Store> {
  const store = await openPostgres(theServer().url(schema), options)
  schemas.set(store, schema)
  return store
}

const fresh = async (): Promise<string> => await theServer().schema()
const text = (value: Uint8Array | null): string | null => value === null ? null : new TextDecoder().decode(value)

if (why !== null) it.skip(`the store in PostgreSQL: ${why}`, () => {})
else {
  storeContract('PostgreSQL', { create: async () => await openIn(await fresh()), reopen: async closed => await openIn(schemas.get(closed) as string) })

  describe('PostgreSQL', () => {
    it('lets one of many connections win each key, and each sees what the others wrote', async () => {
      const schema = await fresh()
      const stores = await Promise.all(Array.from({ length: 20 }, async () => await openIn(schema)))
      const keys = Array.from({ length: 30 }, (_, i) => utf8(`coin ${i}`))
      const results = await Promise.all(stores.map(async (store, s) => await Promise.all(keys.map(async key => await store.batch([{ op: 'insert', key, value: utf8(`${s}`) }])))))
      for (const [i, key] of keys.entries()) {
        const winners = results.flatMap((of, s) => of[i].done ? [s] : [])
        expect(winners.length).toBe(1)
        for (const store of stores) expect(text(await store.get(key))).toBe(`${winners[0]}`)
        for (const [s, of] of results.entries()) if (s !== winners[0]) expect(of[i]).toEqual({ done: false, at: 0, found: utf8(`${winners[0]}`) })
      }
      await Promise.all(stores.map(async store => { await store.close() }))
    })

    it('counts correctly when many connections swap one key', async () => {
      const schema = await fresh()
      const stores = await Promise.all(Array.from({ length: 8 }, async () => await openIn(schema)))
      await Promise.all(stores.map(async store => {
        for (let added = 0; added < 10;) {
          const was = await store.get(utf8('n'))
          if ((await store.batch([{ op: 'swap', key: utf8('n'), was, value: utf8(`${Number(text(was) ?? '0') + 1}`) }])).done) added++
        }
      }))
      expect(text(await stores[0].get(utf8('n')))).toBe('80')
      await Promise.all(stores.map(async store => { await store.close() }))
    })

    it('finds out whether a commit was made whose answer was lost, and does it once', async () => {
      const schema = await fresh()
      const line = await PostgresLine.to(theServer().root)
      const store = await openPostgres(theServer().url(schema, line.folder))
      for (const cut of ['answer', 'commit', null, 'answer'] as const) {
        line.cutNext = cut
        const key = utf8(`after ${cut}`)
        const was = await store.get(key)
        // Were it done twice, the second would not find what it wants.
        expect(await store.batch([{ op: 'swap', key, was, value: utf8('1') }, { op: 'insert', key: utf8(`${cut} ${was === null}`), value: utf8('') }])).toEqual({ done: true })
        expect(line.cutNext).toBeNull()
      }
      expect((await store.scan({ prefix: utf8('after'), limit: 10 })).length).toBe(3)
      await store.close()
      await line.close()
    })

    it('waits for a server that crashes and comes back, and loses and doubles nothing', async () => {
      const store = await openIn(await fresh())
      const asked = Array.from({ length: 200 }, async (_, i) => {
        if (i % 20 === 0) await store.get(utf8('x'))
        return await store.batch([{ op: 'insert', key: utf8(`k${i}`), value: utf8('v') }])
      })
      await asked[0]
      await theServer().stop('crash')
      const meanwhile = store.batch([{ op: 'insert', key: utf8('meanwhile'), value: utf8('v') }])
      const read = store.get(utf8('k0'))
      await theServer().run()
      expect((await Promise.all(asked)).every(({ done }) => done)).toBe(true)
      expect([await meanwhile, text(await read)]).toEqual([{ done: true }, 'v'])
      expect((await store.scan({ prefix: utf8('k'), limit: 1000 })).length).toBe(200)
      await store.close()
    })

    it('says so when the server stays away, and works again when it is back', async () => {
      const store = await openIn(await fresh(), { patience: 200 })
      await store.batch([{ op: 'insert', key: utf8('a'), value: utf8('1') }])
      await theServer().stop()
      const refusal = { code: 'store-unreachable', fault: 'operator', retry: true }
      await expect(store.batch([{ op: 'insert', key: utf8('b'), value: utf8('1') }])).rejects.toMatchObject(refusal)
      await expect(store.get(utf8('a'))).rejects.toMatchObject(refusal)
      await expect(openPostgres(theServer().url(), { patience: 0 })).rejects.toMatchObject(refusal)
      await theServer().run()
      expect(text(await store.get(utf8('a')))).toBe('1')
      expect(await store.batch([{ op: 'insert', key: utf8('b'), value: utf8('2') }])).toEqual({ done: true })
      await store.close()
    })

    it('waits for it once: who asks later, or stood behind another, is told when the first is', async () => {
      const patience = 2000
      const store = await openIn(await fresh(), { patience })
      await store.batch([{ op: 'insert', key: utf8('a'), value: utf8('1') }])
      await theServer().stop('crash')
      const began = performance.now()
      const put = (key: string): Promise<unknown> => store.batch([{ op: 'put', key: utf8(key), value: utf8('2') }])
      const refused = async (asked: Promise<unknown>): Promise<void> => { await expect(asked).rejects.toMatchObject({ code: 'store-unreachable', retry: true }) }
      const first = refused(put('b'))
      // In a turn of its own it is of another transaction.
      await setTimeout(20)
      const second = refused(put('c'))
      await Promise.all([first, second])
      await refused(put('d'))
      await refused(put('e'))
      expect(performance.now() - began).toBeLessThan(2 * patience)
      await theServer().run()
      expect(await put('d')).toEqual({ done: true })
      await store.close()
    })

    it('refuses a server that does not keep what it has answered', async () => {
      const schema = await fresh()
      for (const setting of ['fsync', 'synchronous_commit', 'full_page_writes']) {
        await theServer().stop()
        await theServer().run({ [setting]: 'off' })
        await expect(openIn(schema)).rejects.toMatchObject({ code: 'store-not-durable', message: expect.stringContaining(setting) })
      }
      await theServer().stop()
      await theServer().run()
      const store = await openIn(schema)
      await theServer().sql("ALTER SYSTEM SET fsync = off")
      await theServer().sql('ALTER SYSTEM SET synchronous_commit = off')
      await theServer().sql('SELECT pg_reload_conf()')
      const write = async (): Promise<unknown> => await store.batch([{ op: 'put', key: utf8('a'), value: utf8('1') }])
      await vi.waitFor(async () => { await expect(write()).rejects.toMatchObject({ code: 'store-not-durable' }) }, { timeout: 10_000 })
      await theServer().sql('ALTER SYSTEM RESET ALL')
      await theServer().sql('SELECT pg_reload_conf()')
      await vi.waitFor(async () => { expect(await write()).toEqual({ done: true }) }, { timeout: 10_000 })
      await store.close()
    })

    it('brings its tables from version to version, whole or not at all, and shuts out programs of before', async () => {
      const schema = await fresh()
      const old = await openIn(schema)
      await old.batch([{ op: 'put', key: utf8('a'), value: utf8('1') }])
      const broken = [...LAYOUT, ['ALTER TABLE mixmint_entries ADD COLUMN note text', 'ALTER TABLE no_such_table ADD COLUMN x text']]
      await expect(openIn(schema, { layout: broken })).rejects.toMatchObject({ code: 'store-failed', message: expect.stringContaining('no_such_table') })
      expect(await old.batch([{ op: 'put', key: utf8('b'), value: utf8('1') }])).toEqual({ done: true })

      const next = [...LAYOUT, ['ALTER TABLE mixmint_entries ADD COLUMN note text', "UPDATE mixmint_entries SET note = 'kept'"]]
      const [one, two] = await Promise.all([openIn(schema, { layout: next }), openIn(schema, { layout: next })])
      expect(await theServer().sql('SELECT count(*)::int AS count FROM mixmint_entries WHERE note = \'kept\'', schema)).toEqual([{ count: 2 }])
      expect(text(await one.get(utf8('a')))).toBe('1')
      await expect(old.batch([{ op: 'put', key: utf8('c'), value: utf8('1') }])).rejects.toMatchObject({ code: 'store-too-new', fault: 'operator' })
      await expect(openIn(schema)).rejects.toMatchObject({ code: 'store-too-new', fault: 'operator' })
      await Promise.all([one, two, old].map(async store => { await store.close() }))
    })

    it('tells nobody its connection string', async () => {
      const secret = 'hunter2'
      for (const url of [`postgres://mixmint:${secret}@[broken`, `postgres://mixmint:${secret}@/none?host=${theServer().root}`, `postgres://nobody:${secret}@/postgres?host=${theServer().root}`]) {
        const error: unknown = await openPostgres(url, { patience: 0 }).catch((error: unknown) => error)
        expect(error).toMatchObject({ code: 'store-failed', fault: 'operator' })
        expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(secret)
      }
    })
  })
}
