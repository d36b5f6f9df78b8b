/** Key files: carried from one folder to another under a passphrase, under another passphrase, and made anew. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { MixKeyFiles } from '@mixmint/mixnet/wire/mix-key-files'
import { changePassphrase, exportKeys, importKeys, rotateKeys, setLock } from '../../nodes/key-tools.ts'
import { createNetwork, SMALL_NETWORK } from '../../nodes/layout.ts'
import { Passphrase } from '../../nodes/passphrase.ts'
import { keyFiles } from '../../nodes/passphrase-source.ts'
import { createSecret, readSecret } from '../../nodes/secrets.ts'
import { openLmdb } from '../../nodes/store/lmdb.ts'
import { lockFolder } from '../../nodes/store/lock.ts'
import { voteKeys } from '../../nodes/vote-keys.ts'

const [first, second] = [new Passphrase('staple battery horse'), new Passphrase('another one of these')]
let root: string
let count = 0
const at = (...names: string[]): string => join(root, ...names)
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'mixmint-keys-'))
  await createNetwork(await defaultSuite(), root, { ...SMALL_NETWORK, authorities: 1, gateways: 1, mixesPerLayer: 1, centers: 4 })
})
afterAll(() => { rmSync(root, { recursive: true, force: true }) })

const contents = (dir: string, passphrase: Passphrase | null = null): Record<string, string | null> => Object.fromEntries(keyFiles(dir).map(file => [file.slice(dir.length + 1), readSecret(file, passphrase)]))

describe('carried away', () => {
  let file: string
  beforeEach(() => { file = at(`keys-${count++}`) })

  test('and brought in they are the same, each locked as it was', async () => {
    const { exported } = exportKeys(at('bank'), file, first)
    expect(exported).toEqual(['bank.key', 'identity.key'])
    expect(readFileSync(file, 'utf8')).toMatch(/^mixmint-locked-1:/)
    expect(statSync(file).mode & 0o077).toBe(0)
    mkdirSync(at('elsewhere'))
    expect(importKeys(file, at('elsewhere'), first)).toEqual(exported)
    expect(contents(at('elsewhere'))).toEqual(contents(at('bank')))
    expect(importKeys(file, at('elsewhere'), first)).toEqual([])
    await setLock(at('elsewhere'), true, async () => first)
    const locked = at(`keys-${count++}`)
    exportKeys(at('elsewhere'), locked, first)
    mkdirSync(at('again'))
    importKeys(locked, at('again'), first)
    expect(() => contents(at('again'))).toThrow(expect.objectContaining({ code: 'passphrase-wanted' }))
    expect(contents(at('again'), first)).toEqual(contents(at('bank')))
  })

  test('no key is written over, nor is the file', () => {
    exportKeys(at('bank'), file, first)
    expect(() => exportKeys(at('bank'), file, first)).toThrow(expect.objectContaining({ code: 'file-exists' }))
    const before = contents(at('merchant'))
    expect(() => importKeys(file, at('merchant'), first)).toThrow(expect.objectContaining({ code: 'key-exists', fault: 'caller' }))
    expect(contents(at('merchant'))).toEqual(before)
  })

  test('by nobody without the passphrase, and of nothing that is something else', () => {
    exportKeys(at('bank'), file, first)
    mkdirSync(at(`empty-${count}`))
    const into = at(`empty-${count}`)
    expect(() => importKeys(file, into, second)).toThrow(expect.objectContaining({ code: 'passphrase-wrong' }))
    expect(() => importKeys(at('missing'), into, first)).toThrow(expect.objectContaining({ code: 'no-such-file' }))
    const forged = (text: string): string => {
      const path = at(`forged-${count++}`)
      createSecret(path, text, first)
      return path
    }
    const files = (name: string): string => JSON.stringify({ format: 1, files: { [name]: { content: 'x', locked: false } } })
    for (const text of ['{', '{}', '[]', JSON.stringify({ format: 2, files: {} }), files('../up.key'), files('config.toml'), files('vote.key'), JSON.stringify({ format: 1, files: { 'a.key': null } })]) {
      expect(() => importKeys(forged(text), into, first), text).toThrow(expect.objectContaining({ code: 'key-export-broken', fault: 'operator' }))
    }
    expect(readdirSync(into)).toEqual([])
  })

  test('vote keys stay where their votes are', () => {
    expect(exportKeys(at('center-1'), file, first)).toEqual({ exported: ['identity.key'], left: ['vote.key'] })
  })
})

test('another passphrase unlocks them from then on; a change that was stopped is gone on with', async () => {
  const dir = at('merchant')
  const before = contents(dir)
  await setLock(dir, true, async () => first)
  // As if it had been stopped after the first of two.
  const [one] = keyFiles(dir)
  rmSync(one)
  createSecret(one, before[one.slice(dir.length + 1)] ?? '', second)
  expect(await changePassphrase(dir, first, second)).toEqual(Object.keys(before).filter(name => name !== one.slice(dir.length + 1)))
  expect(contents(dir, second)).toEqual(before)
  await expect(changePassphrase(dir, first, new Passphrase('a third that is new'))).rejects.toMatchObject({ code: 'passphrase-wrong' })
  expect(contents(dir, second)).toEqual(before)
})

describe('made anew', () => {
  test('mix keys: those that others may have are gone, and their tags with them', async () => {
    const dir = at('mix-1-1')
    const suite = await defaultSuite()
    const keys = new MixKeyFiles(suite, join(dir, 'mix-keys'))
    for (const epoch of [5, 6]) await keys.keep({ epoch, secret: new Uint8Array(32).fill(epoch) })
    expect(await keys.load()).toHaveLength(2)
    mkdirSync(join(dir, 'seen'), { recursive: true })
    writeFileSync(join(dir, 'seen', '5.tags'), 'tags', { mode: 0o600 })
    expect(await rotateKeys(dir, 'mix', null)).toContain('start the node')
    expect([...readdirSync(join(dir, 'mix-keys')), ...readdirSync(join(dir, 'seen'))]).toEqual([])
    expect(await keys.load()).toEqual([])
  })

  test('a vote key: the one before is kept for the rings that list it', async () => {
    const suite = await defaultSuite()
    const dir = at('center-2')
    const [before] = voteKeys(suite, dir, null)
    await rotateKeys(dir, 'vote', null)
    const [now, ...older] = voteKeys(suite, dir, null)
    expect(now.publicKey).not.toEqual(before.publicKey)
    expect(older.map(({ publicKey }) => publicKey)).toEqual([before.publicKey])
  })

  test('not while the node runs, and not by who has none', async () => {
    const store = await openLmdb(at('mix-2-1', 'store'))
    const lock = await lockFolder(store)
    await expect(rotateKeys(at('mix-2-1'), 'mix', null)).rejects.toMatchObject({ code: 'folder-in-use' })
    await lock.release()
    await store.close()
    await expect(rotateKeys(at('bank'), 'vote', null)).rejects.toMatchObject({ code: 'wrong-role', fault: 'operator' })
    await expect(rotateKeys(at('authority-1'), 'mix', null)).rejects.toMatchObject({ code: 'wrong-role' })
    expect(existsSync(at('bank', 'vote.key'))).toBe(false)
  })
})
