/** The store double keeps the contract of stores, and its disk does what tests ask of it. */
import { utf8 } from '@mixmint/core/kit/bytes'
import type { Op } from '@mixmint/core/kit/ports'
import { describe, expect, it } from 'vitest'
import { storeContract } from '../contract/store.ts'
import { MemoryStore } from '../doubles/memory-store.ts'

storeContract('in memory', { create: async () => new MemoryStore() })

const insert = (name: string): Op => ({ op: 'insert', key: utf8(name), value: utf8('x') })

describe('the disk of the store double', () => {
  it('shows and answers nothing that it has not yet taken', async () => {
    const store = new MemoryStore()
    store.hold()
    let answered = 0
    const batches = ['a', 'b', 'a'].map(async name => {
      const result = await store.batch([insert(name)])
      answered++
      return result.done
    })
    expect(await store.get(utf8('a'))).toBeNull()
    expect([answered, store.waiting]).toEqual([0, 3])
    store.release(1)
    expect(await store.get(utf8('a'))).toEqual(utf8('x'))
    expect(await store.get(utf8('b'))).toBeNull()
    store.release()
    expect(await Promise.all(batches)).toEqual([true, true, false])
    expect((await store.batch([insert('c')])).done).toBe(true)
  })

  it('loses with its power what it has not yet taken, and nothing else', async () => {
    const store = new MemoryStore()
    await store.batch([insert('a')])
    store.hold()
    let answered = false
    void store.batch([insert('b')]).finally(() => { answered = true })
    await store.get(utf8('a'))
    const next = store.crash()
    void store.get(utf8('a')).finally(() => { answered = true })
    void store.batch([insert('c')]).finally(() => { answered = true })
    expect(await next.get(utf8('a'))).toEqual(utf8('x'))
    expect(await next.get(utf8('b'))).toBeNull()
    expect(next.size).toBe(1)
    expect(answered).toBe(false)
  })

  it('fails the batch that it is told to, with or without having carried it out', async () => {
    const store = new MemoryStore()
    store.failBatch(2, 'store-full')
    store.failBatch(4, 'store-failed', { carriedOut: true })
    expect((await store.batch([insert('1')])).done).toBe(true)
    await expect(store.batch([insert('2')])).rejects.toMatchObject({ code: 'store-full', fault: 'operator' })
    expect((await store.batch([insert('3')])).done).toBe(true)
    await expect(store.batch([insert('4')])).rejects.toMatchObject({ code: 'store-failed', fault: 'operator' })
    expect(await Promise.all(['1', '2', '3', '4'].map(async name => await store.get(utf8(name)) !== null))).toEqual([true, false, true, true])
  })
})
