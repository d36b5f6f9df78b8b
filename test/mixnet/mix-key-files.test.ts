/** Mix keys on disk: whole or not there, whatever goes wrong; and destroyed where they lay. */
import { chmodSync, linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import type * as promises from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { MixKeyFiles } from '@mixmint/mixnet/wire/mix-key-files'

/** Every change on the disk, in order, and what happens at which. */
const disk = vi.hoisted(() => ({ steps: [] as string[], at: Infinity, how: 'works' as 'works' | 'fails' | 'dies' }))

function step (name: string): void {
  const dead = disk.how === 'dies' && disk.steps.length >= disk.at
  const fails = disk.how === 'fails' && disk.steps.length === disk.at
  disk.steps.push(name)
  if (dead) throw new Error('the process is dead')
  if (fails) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
}

vi.mock('node:fs/promises', async original => {
  const real = await original<typeof promises>()
  const watched = (handle: FileHandle, name: string): FileHandle => new Proxy(handle, {
    get: (target, property) => {
      const value: unknown = Reflect.get(target, property)
      if (typeof value !== 'function') return value
      const call = value.bind(target) as (...args: unknown[]) => Promise<unknown>
      if (!['write', 'writeFile', 'sync', 'datasync'].includes(String(property))) return call
      return async (...args: unknown[]) => {
        // A process may die when half of it is written.
        if (property === 'writeFile' && disk.steps.length === disk.at) await call((args[0] as Uint8Array).slice(0, 20))
        if (property === 'write' && disk.steps.length === disk.at) await call(args[0], 0, 7, 0)
        step(`${String(property)} ${name}`)
        return await call(...args)
      }
    }
  })
  return {
    ...real,
    mkdir: async (path: string, mode: number) => { step(`mkdir ${basename(path)}`); return await real.mkdir(path, mode) },
    open: async (path: string, flags: string, mode?: number) => {
      if (flags === 'wx') step(`create ${basename(path)}`)
      return watched(await real.open(path, flags, mode), basename(path))
    },
    rename: async (from: string, to: string) => { step(`rename ${basename(from)} ${basename(to)}`); await real.rename(from, to) },
    rm: async (path: string) => { step(`remove ${basename(path)}`); await real.rm(path) }
  }
})

const suite = await defaultSuite()
const secretOf = (epoch: number): Uint8Array => suite.sha256(Uint8Array.of(epoch))
const keyOf = (epoch: number): { epoch: number, secret: Uint8Array } => ({ epoch, secret: secretOf(epoch) })

let parent: string
let dir: string
let files: MixKeyFiles

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'mixmint-keys-'))
  dir = join(parent, 'mix-keys')
  files = new MixKeyFiles(suite, dir)
  works()
})
afterEach(() => { rmSync(parent, { recursive: true, force: true }) })

function works (): void {
  Object.assign(disk, { steps: [], at: Infinity, how: 'works' })
}

/** Do it once with each step of it failing, or being the last. Returns how many steps there are. */
async function atEachStep (how: 'fails' | 'dies', work: () => Promise<void>, then: (failed: boolean) => Promise<void>): Promise<number> {
  for (let at = 0; ; at++) {
    rmSync(dir, { recursive: true, force: true })
    works()
    await files.keep(keyOf(1))
    await files.keep(keyOf(2))
    Object.assign(disk, { steps: [], at, how })
    let failed = false
    await work().catch((error: unknown) => {
      failed = true
      expect(error).toMatchObject({ code: 'mix-key-failed', fault: 'operator', retry: true })
    })
    const reached = disk.steps.length > at
    works()
    await then(failed)
    if (!reached) return at
  }
}

describe('mix keys in files', () => {
  it('are there for whoever opens the folder next, by epoch', async () => {
    expect(await files.load()).toEqual([])
    for (const epoch of [77, 9, 10]) await files.keep(keyOf(epoch))
    expect(await new MixKeyFiles(suite, dir).load()).toEqual([keyOf(9), keyOf(10), keyOf(77)])
  })

  it('are for their owner only', async () => {
    const umask = process.umask(0)
    try {
      await files.keep(keyOf(5))
    } finally {
      process.umask(umask)
    }
    expect(statSync(dir).mode & 0o777).toBe(0o700)
    expect(statSync(join(dir, '5.key')).mode & 0o777).toBe(0o600)
  })

  it('are synced before they have their name, and the name before it is said to be kept', async () => {
    await files.keep(keyOf(5))
    expect(disk.steps).toEqual(['mkdir mix-keys', `sync ${basename(parent)}`, 'create 5.new', 'writeFile 5.new', 'sync 5.new', 'rename 5.new 5.key', 'sync mix-keys'])
  })

  it('that are destroyed are overwritten where they lie, synced, and only then removed', async () => {
    await files.keep(keyOf(4))
    await files.keep(keyOf(5))
    linkSync(join(dir, '5.key'), join(parent, 'held'))
    works()
    await files.destroy(5)
    expect(disk.steps).toEqual(['rename 5.key 5.dead', 'sync mix-keys', 'write 5.dead', 'datasync 5.dead', 'remove 5.dead', 'sync mix-keys'])
    expect(readdirSync(dir)).toEqual(['4.key'])
    // The same bytes of the disk under another name.
    const left = readFileSync(join(parent, 'held'))
    expect(left).toHaveLength(40)
    const secret = secretOf(5)
    for (let i = 0; i + 4 <= secret.length; i++) expect(left.includes(Buffer.from(secret.subarray(i, i + 4)))).toBe(false)
    expect(await files.load()).toEqual([keyOf(4)])
  })

  it('that are not there are destroyed without further ado', async () => {
    await files.destroy(5)
    await files.keep(keyOf(4))
    await files.destroy(5)
    expect(await files.load()).toEqual([keyOf(4)])
  })
})

describe('a crash at any point', () => {
  it('of making a key leaves no key, or the whole', async () => {
    const steps = await atEachStep('dies', async () => { await files.keep(keyOf(3)) }, async failed => {
      const after = (await new MixKeyFiles(suite, dir).load()).map(({ epoch }) => epoch)
      expect(failed ? [[1, 2], [1, 2, 3]] : [[1, 2, 3]]).toContainEqual(after)
      expect(readdirSync(dir).sort()).toEqual(after.map(epoch => `${epoch}.key`))
      await files.keep(keyOf(3))
      expect(await files.load()).toEqual([keyOf(1), keyOf(2), keyOf(3)])
    })
    expect(steps).toBe(5)
  })

  it('of destroying a key leaves the whole, or none of it', async () => {
    const steps = await atEachStep('dies', async () => { await files.destroy(1) }, async failed => {
      const after = await new MixKeyFiles(suite, dir).load()
      expect(failed ? [[keyOf(1), keyOf(2)], [keyOf(2)]] : [[keyOf(2)]]).toContainEqual(after)
      expect(readdirSync(dir).sort()).toEqual(after.map(({ epoch }) => `${epoch}.key`))
      await files.destroy(1)
      expect(await files.load()).toEqual([keyOf(2)])
    })
    expect(steps).toBe(6)
  })

  it('leaves nothing that is removed without being overwritten', async () => {
    mkdirSync(dir, { mode: 0o700 })
    for (const name of ['3.new', '4.dead']) {
      writeFileSync(join(dir, name), secretOf(3), { mode: 0o600 })
      linkSync(join(dir, name), join(parent, name))
    }
    expect(await files.load()).toEqual([])
    expect(readdirSync(dir)).toEqual([])
    for (const name of ['3.new', '4.dead']) expect(readFileSync(join(parent, name)).equals(secretOf(3))).toBe(false)
  })
})

describe('a disk that refuses, at any point', () => {
  it('to take a key: it says so, the others are as they were, and the next try succeeds', async () => {
    await atEachStep('fails', async () => { await files.keep(keyOf(3)) }, async () => {
      expect(readdirSync(dir).filter(name => name.endsWith('.new'))).toEqual([])
      expect((await files.load()).slice(0, 2)).toEqual([keyOf(1), keyOf(2)])
      await files.keep({ epoch: 3, secret: secretOf(4) })
      expect(await files.load()).toEqual([keyOf(1), keyOf(2), { epoch: 3, secret: secretOf(4) }])
      expect(readdirSync(dir)).toHaveLength(3)
    })
  })

  it('even to remove what a try has left: the next one removes it, and succeeds', async () => {
    mkdirSync(dir, { mode: 0o700 })
    writeFileSync(join(dir, '3.new'), secretOf(9), { mode: 0o600 })
    linkSync(join(dir, '3.new'), join(parent, 'held'))
    await files.keep(keyOf(3))
    expect(await files.load()).toEqual([keyOf(3)])
    expect(readFileSync(join(parent, 'held')).equals(secretOf(9))).toBe(false)
  })

  it('to take a key at first: the next try succeeds', async () => {
    for (const at of [0, 1]) {
      rmSync(dir, { recursive: true, force: true })
      Object.assign(disk, { steps: [], at, how: 'fails' })
      await expect(files.keep(keyOf(1))).rejects.toMatchObject({ code: 'mix-key-failed', message: expect.stringContaining('ENOSPC') })
      works()
      await files.keep(keyOf(1))
      expect(await files.load()).toEqual([keyOf(1)])
    }
  })

  it('to destroy a key: it says so, and the next try succeeds', async () => {
    await atEachStep('fails', async () => { await files.destroy(1) }, async () => {
      await files.destroy(1)
      expect(readdirSync(dir)).toEqual(['2.key'])
    })
  })
})

describe('what is not as it was left', () => {
  const refused = (code: string, text: string): object => ({ code, fault: 'operator', message: expect.stringContaining(text) })

  it.each([
    ['is shorter', (file: string) => { writeFileSync(file, readFileSync(file).subarray(0, 39)) }],
    ['is longer', (file: string) => { writeFileSync(file, new Uint8Array(41)) }],
    ['is empty', (file: string) => { writeFileSync(file, '') }],
    ['has a bit changed', (file: string) => { const bytes = readFileSync(file); bytes[0] ^= 1; writeFileSync(file, bytes) }],
    ['is that of another epoch', (file: string) => { writeFileSync(file, readFileSync(join(dir, '1.key'))) }]
  ])('a key that %s is told by name, and no key is lost for it', async (_, change) => {
    await files.keep(keyOf(1))
    await files.keep(keyOf(2))
    change(join(dir, '2.key'))
    await expect(files.load()).rejects.toMatchObject(refused('mix-key-broken', join(dir, '2.key')))
    rmSync(join(dir, '2.key'))
    expect(await files.load()).toEqual([keyOf(1)])
  })

  it('keys and folders that others can read are refused, with the remedy', async () => {
    await files.keep(keyOf(1))
    for (const [path, bad, good] of [[join(dir, '1.key'), 0o640, 0o600], [dir, 0o750, 0o700]] as const) {
      chmodSync(path, bad)
      await expect(files.load()).rejects.toMatchObject(refused('mix-key-open', `chmod ${good.toString(8)} ${path}`))
      chmodSync(path, good)
    }
    expect(await files.load()).toEqual([keyOf(1)])
  })

  it('links are not followed, to read or to overwrite', async () => {
    await files.keep(keyOf(1))
    const elsewhere = join(parent, 'elsewhere')
    writeFileSync(elsewhere, 'precious')
    for (const name of ['2.key', '2.dead', '2.new']) {
      symlinkSync(elsewhere, join(dir, name))
      await expect(files.load()).rejects.toMatchObject({ code: 'mix-key-failed' })
      rmSync(join(dir, name))
    }
    expect(readFileSync(elsewhere, 'utf8')).toBe('precious')
  })

  it('a file in place of the folder is told', async () => {
    writeFileSync(dir, '', { mode: 0o600 })
    await expect(files.load()).rejects.toMatchObject(refused('mix-key-failed', 'ENOTDIR'))
    await expect(files.keep(keyOf(1))).rejects.toMatchObject({ code: 'mix-key-failed' })
  })

  it('other files in the folder are left alone', async () => {
    await files.keep(keyOf(1))
    const others = ['README', 'a3.new', '3.dead.old', '3.new~', 'x4.key']
    for (const name of others) writeFileSync(join(dir, name), 'hello')
    expect(await files.load()).toEqual([keyOf(1)])
    for (const name of others) expect(readFileSync(join(dir, name), 'utf8')).toBe('hello')
  })
})
