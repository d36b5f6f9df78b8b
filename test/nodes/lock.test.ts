/** The lock of a data folder: one holder, whoever starts together; a dead holder holds nothing. */
import { fork, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { utf8 } from '@mixmint/core/kit/bytes'
import { bytes, decode, encode, record, text, uint } from '@mixmint/core/kit/codec'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { openLmdb } from '../../nodes/store/lmdb.ts'
import { lockFolder } from '../../nodes/store/lock.ts'
import { MemoryStore } from '../doubles/memory-store.ts'

const root = mkdtempSync(join(tmpdir(), 'mixmint-lock-'))
const children: ChildProcess[] = []
const KEY = utf8('lock/holder')
const Holder = record({ pid: uint(), started: text(64), boot: text(64), nonce: bytes(16) })
const inUse = { code: 'folder-in-use', fault: 'operator' }

afterEach(() => { for (const child of children.splice(0)) child.kill('SIGKILL') })
afterAll(() => { rmSync(root, { recursive: true, force: true }) })

/** A second process with the store open, ready to take the lock. */
async function starter (dir: string): Promise<{ child: ChildProcess, lock: () => Promise<string> }> {
  const child = fork(fileURLToPath(new URL('lock-child.ts', import.meta.url)), [dir])
  children.push(child)
  await once(child, 'message')
  const lock = async (): Promise<string> => {
    const said = once(child, 'message')
    child.send('lock')
    return (await said)[0] as string
  }
  return { child, lock }
}

describe('the lock of a folder', () => {
  it('refuses a second holder until the first releases', async () => {
    const store = new MemoryStore()
    const lock = await lockFolder(store)
    await expect(lockFolder(store)).rejects.toMatchObject(inUse)
    await lock.release()
    const second = await lockFolder(store)
    // The first lock, released once more, does not open the second.
    await lock.release()
    await expect(lockFolder(store)).rejects.toMatchObject(inUse)
    await second.release()
  })

  it('lets one of several win who try at the same moment', async () => {
    const store = new MemoryStore()
    const tries = await Promise.allSettled(Array.from({ length: 20 }, async () => await lockFolder(store)))
    expect(tries.filter(t => t.status === 'fulfilled').length).toBe(1)
  })

  it('lets one of several processes win, and the next in when that one is killed', async () => {
    const dir = join(root, 'several')
    const starters = await Promise.all([starter(dir), starter(dir), starter(dir)])
    const said = await Promise.all(starters.map(async s => await s.lock()))
    expect([...said].sort()).toEqual(['folder-in-use', 'folder-in-use', 'locked'])
    const winner = starters[said.indexOf('locked')].child
    const store = await openLmdb(dir)
    await expect(lockFolder(store)).rejects.toMatchObject({ ...inUse, message: expect.stringContaining(`process ${winner.pid}`) })
    winner.kill('SIGKILL')
    await once(winner, 'exit')
    const lock = await lockFolder(store)
    await lock.release()
    await store.close()
  })

  it('is not fooled by a process that has the number of the dead one, nor by one from before a reboot', async () => {
    const store = new MemoryStore()
    await lockFolder(store)
    const holder = decode(Holder, await store.get(KEY) as Uint8Array)
    expect(holder.pid).toBe(process.pid)
    for (const other of [{ ...holder, started: `${Number(holder.started) - 1}` }, { ...holder, boot: 'another boot' }]) {
      await store.batch([{ op: 'put', key: KEY, value: encode(Holder, other) }])
      await (await lockFolder(store)).release()
    }
    const dead = spawnSync('true').pid
    await store.batch([{ op: 'put', key: KEY, value: encode(Holder, { ...holder, pid: dead }) }])
    await (await lockFolder(store)).release()
  })

  it('leaves alone a holder that it does not understand', async () => {
    const store = new MemoryStore()
    await store.batch([{ op: 'put', key: KEY, value: utf8('of another version') }])
    await expect(lockFolder(store)).rejects.toMatchObject(inUse)
  })
})
