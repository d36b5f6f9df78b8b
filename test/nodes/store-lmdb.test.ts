/** LMDB through the contract, and what is LMDB's own: two processes, growth. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { utf8 } from '@mixmint/core/kit/bytes'
import type { Store } from '@mixmint/core/kit/ports'
import { afterAll, describe, expect, it } from 'vitest'
import { openLmdb } from '../../nodes/store/lmdb.ts'
import { storeContract } from '../contract/store.ts'

const root = mkdtempSync(join(tmpdir(), 'mixmint-store-'))
let count = 0
const folders = new WeakMap<Store, string>()
afterAll(() => { rmSync(root, { recursive: true, force: true }) })

async function openIn (dir: string): Promise<Store> {
  const store = await openLmdb(dir)
  folders.set(store, dir)
  return store
}

storeContract('LMDB', {
  create: async () => await openIn(join(root, `${count++}`)),
  reopen: async closed => await openIn(folders.get(closed) as string)
})

describe('LMDB', () => {
  it('lets one of two processes win each key, and each sees what the other wrote', async () => {
    const dir = join(root, 'shared')
    const store = await openLmdb(dir)
    const child = fork(fileURLToPath(new URL('store-child.ts', import.meta.url)), [dir], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    try {
      expect((await once(child, 'message'))[0]).toBe('ready')
      child.send('go')
      const mine = await Promise.all(Array.from({ length: 300 }, async (_, i) => (await store.batch([{ op: 'insert', key: utf8(`k${i}`), value: utf8('parent') }])).done))
      const theirs = (await once(child, 'message'))[0] as boolean[]
      expect(theirs.map((won, i) => won !== mine[i])).toEqual(new Array<boolean>(300).fill(true))
      for (const [i, won] of mine.entries()) expect(await store.get(utf8(`k${i}`))).toEqual(utf8(won ? 'parent' : 'child'))
      // A count that both raise, by compare and swap.
      child.send('count')
      const raise = async (): Promise<void> => {
        for (;;) {
          const was = await store.get(utf8('count'))
          const next = utf8(`${Number(was === null ? '0' : new TextDecoder().decode(was)) + 1}`)
          if ((await store.batch([{ op: 'swap', key: utf8('count'), was, value: next }])).done) return
        }
      }
      for (let i = 0; i < 100; i++) await raise()
      expect((await once(child, 'message'))[0]).toBe('counted')
      expect(await store.get(utf8('count'))).toEqual(utf8('200'))
      // The other grows the file far beyond what this process has mapped.
      child.send('grow')
      expect((await once(child, 'message'))[0]).toBe('grown')
      expect((await store.get(utf8('big15')))?.length).toBe(1 << 20)
      expect(await store.batch([{ op: 'insert', key: utf8('after'), value: utf8('x') }])).toEqual({ done: true })
    } finally {
      child.kill()
      await store.close()
    }
  })

  it('undoes all that shares a transaction when something in it goes wrong, and then stays shut', async () => {
    const dir = join(root, 'broken')
    const store = await openLmdb(dir)
    const refused = { code: 'store-failed', fault: 'operator' }
    // Not bytes: a defect of the caller, which LMDB finds only while it writes.
    const broken = [1, 2, 3] as unknown as Uint8Array
    const [first, second] = [store.batch([{ op: 'put', key: utf8('a'), value: utf8('x') }]), store.batch([{ op: 'put', key: utf8('b'), value: broken }])]
    await expect(first).rejects.toMatchObject(refused)
    await expect(second).rejects.toMatchObject(refused)
    await expect(store.batch([{ op: 'put', key: utf8('c'), value: utf8('x') }])).rejects.toMatchObject(refused)
    await expect(store.get(utf8('a'))).rejects.toMatchObject(refused)
    await store.close()
    const again = await openLmdb(dir)
    expect(await again.scan({ prefix: new Uint8Array(0), limit: 10 })).toEqual([])
    await again.close()
  })

  it('says which folder cannot be used', async () => {
    await expect(openLmdb('/dev/null/store')).rejects.toMatchObject({ code: 'store-failed', fault: 'operator', message: expect.stringContaining('/dev/null/store') })
  })
})
