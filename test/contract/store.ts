/** The contract of a store (kit/ports.ts), as a suite that every implementation is run through. */
import { compare, equal, toHex, utf8 } from '@mixmint/core/kit/bytes'
import type { Entry, Op, Store } from '@mixmint/core/kit/ports'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'

export interface StoreMaker {
  /** An empty store. */
  readonly create: () => Promise<Store>
  /** The same store again, after it was closed; absent where nothing outlives a close. */
  readonly reopen?: (closed: Store) => Promise<Store>
}

const key = (name: string): Uint8Array => utf8(name)
const value = utf8
const insert = (name: string, v: string): Op => ({ op: 'insert', key: key(name), value: value(v) })
const swap = (name: string, was: string | null, v: string | null): Op =>
  ({ op: 'swap', key: key(name), was: was === null ? null : value(was), value: v === null ? null : value(v) })
const put = (name: string, v: string): Op => ({ op: 'put', key: key(name), value: value(v) })
const remove = (name: string): Op => ({ op: 'delete', key: key(name) })

export function storeContract (name: string, { create, reopen }: StoreMaker): void {
  describe(`store contract: ${name}`, () => {
    const opened: Store[] = []
    const fresh = async (): Promise<Store> => {
      const store = await create()
      opened.push(store)
      return store
    }
    const text = async (store: Store, name: string): Promise<string | null> => {
      const found = await store.get(key(name))
      return found === null ? null : new TextDecoder().decode(found)
    }
    const all = async (store: Store): Promise<Entry[]> => await store.scan({ prefix: new Uint8Array(0), limit: 100_000 })
    afterEach(async () => { for (const store of opened.splice(0)) await store.close() })

    it('has nothing at first', async () => {
      const store = await fresh()
      expect(await store.get(key('a'))).toBeNull()
      expect(await all(store)).toEqual([])
      expect(await store.batch([])).toEqual({ done: true })
    })

    it('inserts only where nothing is, and says what is there', async () => {
      const store = await fresh()
      expect(await store.batch([insert('a', '1')])).toEqual({ done: true })
      expect(await store.batch([insert('a', '2')])).toEqual({ done: false, at: 0, found: value('1') })
      expect(await store.batch([insert('a', '1')])).toEqual({ done: false, at: 0, found: value('1') })
      expect(await text(store, 'a')).toBe('1')
    })

    it('lets one of hundreds win who insert at once, and tells the others the winner', async () => {
      const store = await fresh()
      const results = await Promise.all(Array.from({ length: 400 }, async (_, i) => await store.batch([insert('coin', `${i}`)])))
      const winners = results.flatMap((r, i) => r.done ? [i] : [])
      expect(winners.length).toBe(1)
      for (const [i, result] of results.entries()) {
        if (i !== winners[0]) expect(result).toEqual({ done: false, at: 0, found: value(`${winners[0]}`) })
      }
      expect(await text(store, 'coin')).toBe(`${winners[0]}`)
    })

    it('swaps only what is exactly so', async () => {
      const store = await fresh()
      expect(await store.batch([swap('a', 'x', 'y')])).toEqual({ done: false, at: 0, found: null })
      expect(await store.batch([swap('a', null, '1')])).toEqual({ done: true })
      expect(await store.batch([swap('a', null, '2')])).toEqual({ done: false, at: 0, found: value('1') })
      expect(await store.batch([swap('a', '1 ', '2')])).toEqual({ done: false, at: 0, found: value('1') })
      expect(await store.batch([swap('a', '', '2')])).toEqual({ done: false, at: 0, found: value('1') })
      expect(await store.batch([swap('a', '1', '2')])).toEqual({ done: true })
      expect(await text(store, 'a')).toBe('2')
      expect(await store.batch([swap('a', '2', null)])).toEqual({ done: true })
      expect(await store.get(key('a'))).toBeNull()
      expect(await store.batch([swap('a', null, null)])).toEqual({ done: true })
    })

    it('counts correctly when many swap the same key', async () => {
      const store = await fresh()
      await store.batch([put('n', '0')])
      await Promise.all(Array.from({ length: 12 }, async () => {
        for (let added = 0; added < 5;) {
          const was = await text(store, 'n') as string
          if ((await store.batch([swap('n', was, `${Number(was) + 1}`)])).done) added++
        }
      }))
      expect(await text(store, 'n')).toBe('60')
    })

    it('puts and deletes without condition', async () => {
      const store = await fresh()
      await store.batch([put('a', '1'), remove('nothing')])
      await store.batch([put('a', '2')])
      expect(await text(store, 'a')).toBe('2')
      await store.batch([remove('a')])
      expect(await store.get(key('a'))).toBeNull()
    })

    it('carries out a batch as a whole or not at all, and names the first step that failed', async () => {
      const store = await fresh()
      await store.batch([put('b', 'there'), put('c', 'there'), put('d', 'old')])
      expect(await store.batch([put('a', '1'), put('d', 'new'), remove('c'), insert('b', '2'), insert('c', '3')]))
        .toEqual({ done: false, at: 3, found: value('there') })
      expect((await all(store)).map(e => toHex(e.key) + toHex(e.value))).toEqual(
        [['b', 'there'], ['c', 'there'], ['d', 'old']].map(([k, v]) => toHex(key(k)) + toHex(value(v))))
      expect(await store.batch([insert('a', '1'), remove('b'), swap('d', 'old', 'new')])).toEqual({ done: true })
      expect((await all(store)).map(e => new TextDecoder().decode(e.key))).toEqual(['a', 'c', 'd'])
    })

    it('shows each step of a batch what those before it did', async () => {
      const store = await fresh()
      expect(await store.batch([insert('a', '1'), insert('a', '2')])).toEqual({ done: false, at: 1, found: value('1') })
      expect(await store.get(key('a'))).toBeNull()
      expect(await store.batch([insert('a', '1'), swap('a', '1', '2'), remove('a'), insert('a', '3')])).toEqual({ done: true })
      expect(await text(store, 'a')).toBe('3')
      expect(await store.batch([remove('a'), swap('a', '3', '4')])).toEqual({ done: false, at: 1, found: null })
      expect(await text(store, 'a')).toBe('3')
    })

    it('leaves the neighbours of a refused batch alone', async () => {
      const store = await fresh()
      await store.batch([put('taken', 'x')])
      const results = await Promise.all(Array.from({ length: 50 }, async (_, i) =>
        await store.batch([insert(`k${i}`, 'v'), ...(i % 2 === 0 ? [insert('taken', 'y')] : [])])))
      expect(results.map(r => r.done)).toEqual(Array.from({ length: 50 }, (_, i) => i % 2 === 1))
      for (let i = 0; i < 50; i++) expect(await text(store, `k${i}`)).toBe(i % 2 === 1 ? 'v' : null)
    })

    it('shows what a resolved batch did to every read after it', async () => {
      const store = await fresh()
      for (let i = 0; i < 50; i++) {
        await store.batch([put('a', `${i}`), insert(`b${i}`, 'x')])
        expect(await text(store, 'a')).toBe(`${i}`)
        expect((await store.scan({ prefix: key('b'), limit: 100 })).length).toBe(i + 1)
      }
    })

    it('scans by prefix in the order of bytes, in pages', async () => {
      const store = await fresh()
      const keys = [[0], [0, 0], [1], [1, 0], [1, 0, 0], [1, 0, 255], [1, 255], [1, 255, 255], [1, 255, 255, 7], [2], [255], [255, 255], [255, 255, 1]]
        .map(bytes => Uint8Array.from(bytes))
      await store.batch([...keys].reverse().map((k, i) => ({ op: 'insert', key: k, value: Uint8Array.of(i) })))
      expect((await all(store)).map(e => e.key)).toEqual(keys)
      const prefixes = [[], [0], [1], [1, 0], [1, 255], [1, 255, 255], [255], [255, 255], [3], [1, 0, 255, 0]].map(p => Uint8Array.from(p))
      for (const prefix of prefixes) {
        const under = keys.filter(k => equal(k.subarray(0, prefix.length), prefix))
        expect((await store.scan({ prefix, limit: 100 })).map(e => e.key)).toEqual(under)
        const paged: Uint8Array[] = []
        for (;;) {
          const page: Entry[] = await store.scan({ prefix, limit: 2, ...(paged.length === 0 ? {} : { after: paged[paged.length - 1] }) })
          expect(page.length).toBeLessThanOrEqual(2)
          paged.push(...page.map(e => e.key))
          if (page.length < 2) break
        }
        expect(paged).toEqual(under)
        for (const after of [...keys, Uint8Array.of(1, 0, 7), Uint8Array.of(254)]) {
          expect((await store.scan({ prefix, after, limit: 100 })).map(e => e.key)).toEqual(under.filter(k => compare(k, after) > 0))
        }
      }
      expect(await store.scan({ prefix: new Uint8Array(0), limit: 0 })).toEqual([])
    })

    it('keeps keys and values of any bytes and of the greatest sizes', async () => {
      const store = await fresh()
      const longest = new Uint8Array(255).fill(0xfe)
      const sister = longest.slice()
      sister[254] = 0xff
      const big = Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * 7) ^ (i >> 8))
      await store.batch([
        { op: 'insert', key: longest, value: big }, { op: 'insert', key: sister, value: new Uint8Array(0) },
        { op: 'insert', key: Uint8Array.of(0), value: Uint8Array.of(0) }
      ])
      expect(toHex(await store.get(longest) as Uint8Array) === toHex(big)).toBe(true)
      expect(await store.get(sister)).toEqual(new Uint8Array(0))
      expect(await store.get(Uint8Array.of(0))).toEqual(Uint8Array.of(0))
      expect((await all(store)).map(e => e.key)).toEqual([Uint8Array.of(0), longest, sister])
      expect(await store.batch([{ op: 'insert', key: sister, value: big }])).toEqual({ done: false, at: 0, found: new Uint8Array(0) })
      expect(await store.batch([{ op: 'swap', key: sister, was: null, value: big }])).toEqual({ done: false, at: 0, found: new Uint8Array(0) })
      expect(await store.batch([{ op: 'swap', key: longest, was: big, value: null }])).toEqual({ done: true })
    })

    it('refuses keys and values of other sizes, and then changes nothing', async () => {
      const store = await fresh()
      const refusal = { code: 'bad-argument', fault: 'caller' }
      for (const bad of [new Uint8Array(0), new Uint8Array(256)]) {
        await expect(store.batch([put('a', '1'), { op: 'put', key: bad, value: value('x') }])).rejects.toMatchObject(refusal)
        await expect(store.get(bad)).rejects.toMatchObject(refusal)
      }
      await expect(store.batch([put('a', '1'), { op: 'put', key: key('b'), value: new Uint8Array((1 << 20) + 1) }])).rejects.toMatchObject(refusal)
      expect(await all(store)).toEqual([])
    })

    it('keeps no hold on the arrays it is given or gives', async () => {
      const store = await fresh()
      const given = { key: key('a'), value: value('1') }
      const batch = store.batch([{ op: 'insert', ...given }])
      given.key[0] = 0x62
      given.value[0] = 0x32
      await batch
      expect(await text(store, 'a')).toBe('1')
      const found = await store.get(key('a')) as Uint8Array
      found[0] = 0x33
      expect(found.constructor).toBe(Uint8Array)
      const [entry] = await all(store)
      entry.key[0] = 0x63
      entry.value[0] = 0x33
      expect(await text(store, 'a')).toBe('1')
    })

    it('does as a plain map does, whatever the batches', async () => {
      const names = fc.constantFrom('a', 'ab', 'b', 'ba', 'c')
      const values = fc.constantFrom('', '0', '1')
      const ops = fc.array(fc.oneof(
        fc.record({ op: fc.constant('insert' as const), name: names, value: values }),
        fc.record({ op: fc.constant('put' as const), name: names, value: values }),
        fc.record({ op: fc.constant('delete' as const), name: names }),
        fc.record({ op: fc.constant('swap' as const), name: names, was: fc.option(values), value: fc.option(values) })
      ), { minLength: 1, maxLength: 6 })
      await fc.assert(fc.asyncProperty(fc.array(ops, { maxLength: 8 }), async batches => {
        const store = await create()
        try {
          let model = new Map<string, string>()
          const expected = batches.map(batch => {
            const next = new Map(model)
            for (const [at, step] of batch.entries()) {
              const found = next.get(step.name) ?? null
              if ((step.op === 'insert' && found !== null) || (step.op === 'swap' && found !== step.was)) {
                return { done: false, at, found: found === null ? null : value(found) }
              }
              const after = step.op === 'delete' ? null : step.value
              if (after === null) next.delete(step.name)
              else next.set(step.name, after)
            }
            model = next
            return { done: true }
          })
          const results = await Promise.all(batches.map(async batch => await store.batch(batch.map(step =>
            step.op === 'delete' ? remove(step.name)
              : step.op === 'swap' ? swap(step.name, step.was, step.value)
                : { op: step.op, key: key(step.name), value: value(step.value) }))))
          expect(results).toEqual(expected)
          expect((await all(store)).map(e => [new TextDecoder().decode(e.key), new TextDecoder().decode(e.value)])).toEqual([...model].sort())
        } finally {
          await store.close()
        }
      }), { numRuns: 30 })
    })

    it('finishes what was asked before it closes, and refuses what is asked after', async () => {
      const store = await fresh()
      const asked = Array.from({ length: 100 }, async (_, i) => await store.batch([insert(`k${i}`, 'v')]))
      await Promise.all([store.close(), store.close()])
      expect((await Promise.all(asked)).every(r => r.done)).toBe(true)
      const refusal = { code: 'store-closed', fault: 'caller' }
      await expect(store.get(key('a'))).rejects.toMatchObject(refusal)
      await expect(store.scan({ prefix: key('a'), limit: 1 })).rejects.toMatchObject(refusal)
      await expect(store.batch([put('a', '1')])).rejects.toMatchObject(refusal)
      await store.close()
      if (reopen === undefined) return
      const again = await reopen(store)
      opened.push(again)
      expect((await all(again)).length).toBe(100)
    })
  })
}
