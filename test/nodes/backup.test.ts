/** Backups: what comes back of each role, what never does, and what a node is told that was restored. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { utf8 } from '@mixmint/core/kit/bytes'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { restoreBackup, takeBackup } from '../../nodes/backup.ts'
import { setInConfig } from '../../nodes/config-edit.ts'
import { readNode } from '../../nodes/config.ts'
import { createNetwork, SMALL_NETWORK } from '../../nodes/layout.ts'
import { loadOrCreateSeed } from '../../nodes/secrets.ts'
import { copyStore, openLmdb } from '../../nodes/store/lmdb.ts'
import { checkMark } from '../../nodes/store/mark.ts'

const NOW = Date.UTC(2026, 5, 1, 12)
let dir: string
const at = (...names: string[]): string => join(dir, ...names)

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'mixmint-backup-'))
  await createNetwork(await defaultSuite(), dir, { ...SMALL_NETWORK, authorities: 1, gateways: 1, mixesPerLayer: 1, centers: 4 })
  for (const name of ['bank', 'merchant', 'center-1', 'authority-1', 'mix-1-1']) {
    const store = await openLmdb(at(name, 'store'))
    await store.batch([{ op: 'put', key: utf8('kept'), value: utf8(name) }])
    await store.close()
  }
  writeFileSync(at('bank', 'store.mark'), '2026-05-01T00:00:00.000Z\n')
  writeFileSync(at('bank', `keyset-${'ab'.repeat(8)}.json`), '{}', { mode: 0o600 })
  loadOrCreateSeed(at('merchant', 'payee.key'))
  for (const name of ['mix-keys', 'seen']) mkdirSync(at('mix-1-1', name))
  for (const name of ['mix-keys/5.key', 'seen/5.tags', 'handover', 'log.jsonl']) writeFileSync(at('mix-1-1', name), 'x', { mode: 0o600 })
})
afterAll(() => { rmSync(dir, { recursive: true, force: true }) })

/** Backed up, and restored beside the network. */
async function roundTrip (name: string): Promise<{ taken: Awaited<ReturnType<typeof takeBackup>>, restored: Awaited<ReturnType<typeof restoreBackup>>, folder: string }> {
  const [to, folder] = [at(`backup-${name}`), at(`again-${name}`)]
  const taken = await takeBackup(at(name), to, NOW - 3_600_000)
  return { taken, restored: await restoreBackup(to, folder, NOW), folder }
}

describe('what comes back', () => {
  test.each(['bank', 'merchant'])('of a %s: its store and all keys, and it knows that data may be missing', async name => {
    const { taken, restored, folder } = await roundTrip(name)
    expect(taken).toMatchObject({ store: true, left: [] })
    expect(restored).toMatchObject({ role: name, taken: '2026-06-01T11:00:00.000Z', notes: [expect.stringContaining('restoredAt')] })
    for (const file of ['identity.key', name === 'bank' ? 'bank.key' : 'payee.key']) expect(readFileSync(join(folder, file), 'utf8')).toBe(readFileSync(at(name, file), 'utf8'))
    expect(readNode(folder).restoredAt).toBe(NOW)
    const store = await openLmdb(join(folder, 'store'))
    expect(await store.get(utf8('kept'))).toEqual(utf8(name))
    await store.close()
    for (const file of readdirSync(folder).filter(each => statSync(join(folder, each)).isFile())) expect(statSync(join(folder, file)).mode & 0o077, file).toBe(0)
    // Whoever takes the line out again is refused: the store knows nothing of the time that the mark names.
    expect(() => { checkMark(folder, NOW - 3_600_000, 0) }).toThrow(expect.objectContaining({ code: 'store-older' }))
    expect(() => { checkMark(folder, NOW - 3_600_000, NOW) }).not.toThrow()
  })

  test('of a bank: the keys of its keysets, and not its mark, which would be that of the copy', async () => {
    await takeBackup(at('bank'), at('keys-of-bank'), NOW)
    expect(readdirSync(at('keys-of-bank'))).toEqual(expect.arrayContaining([`keyset-${'ab'.repeat(8)}.json`, 'ring.json']))
    expect(readdirSync(at('keys-of-bank'))).not.toContain('store.mark')
  })

  test('of a center: neither what it voted for nor the keys that it voted with', async () => {
    const { taken, restored, folder } = await roundTrip('center-1')
    expect(taken).toMatchObject({ store: false, left: ['vote.key'] })
    expect(readdirSync(folder).sort()).toEqual(['config.toml', 'identity.key'])
    expect(restored.notes).toEqual([expect.stringContaining('new vote key')])
  })

  test('of an authority: its keys, and silence about what it may have spoken of', async () => {
    const { restored, folder } = await roundTrip('authority-1')
    const { signsFrom, parameters: { epochLength } } = readNode(folder)
    expect(signsFrom).toBe(Math.floor(NOW / epochLength) + 2)
    expect(existsSync(join(folder, 'store'))).toBe(false)
    expect(restored.notes).toEqual([expect.stringContaining(`signsFrom = ${signsFrom}`)])
  })

  test('of a mix: no key of an epoch, no tag, no packet', async () => {
    const { taken, folder } = await roundTrip('mix-1-1')
    expect(taken.files).toEqual(['backup.json', 'config.toml', 'identity.key', 'network.toml'].filter(name => name !== 'backup.json'))
    expect(readdirSync(folder).sort()).toEqual(['config.toml', 'identity.key'])
  })
})

describe('money in a PostgreSQL that a variable or a flag names', () => {
  // Not asked by a backup or a restore.
  const url = (...names: string[]): string => { writeFileSync(at(...names), 'postgres://127.0.0.1:1/none', { mode: 0o600 }); return at(...names) }

  test.each(['bank', 'merchant'])('was not restored: a %s is not told that it has lost anything', async name => {
    const environment = { MIXMINT_POSTGRES: url(`${name}.pg`) }
    const taken = await takeBackup(at(name), at(`pg-${name}`), NOW, { environment })
    expect(taken).toMatchObject({ store: false, outside: [environment.MIXMINT_POSTGRES] })
    const { notes } = await restoreBackup(at(`pg-${name}`), at(`pg-again-${name}`), NOW)
    expect(readNode(at(`pg-again-${name}`)).restoredAt).toBe(0)
    expect(notes.join()).toContain('config.toml does not name')
  })

  test('keeps the votes of a center, which comes back with its key', async () => {
    const set = [`postgres=${url('center-1', 'money.pg')}`]
    expect(await takeBackup(at('center-1'), at('pg-center'), NOW, { set })).toMatchObject({ left: [], outside: [] })
    const { notes } = await restoreBackup(at('pg-center'), at('pg-again-center'), NOW)
    expect(readdirSync(at('pg-again-center'))).toEqual(expect.arrayContaining(['vote.key', 'money.pg']))
    expect(notes[0]).toContain('its votes are in PostgreSQL')
    rmSync(at('center-1', 'money.pg'))
  })
})

test('a ring and a connection string come back under the names that the configuration gives them', async () => {
  mkdirSync(at('merchant', 'secret'))
  mkdirSync(at('bank', 'rings'))
  writeFileSync(at('merchant', 'secret', 'pg'), 'postgres://127.0.0.1:1/none', { mode: 0o600 })
  writeFileSync(at('bank', 'rings', 'of-june'), '{}')
  const merchant = await takeBackup(at('merchant'), at('named-merchant'), NOW, { set: ['postgres=secret/pg'] })
  expect(merchant).toMatchObject({ files: expect.arrayContaining(['secret/pg']), outside: [] })
  await takeBackup(at('bank'), at('named-bank'), NOW, { set: ['ring=rings/of-june'] })
  await restoreBackup(at('named-merchant'), at('named-again-merchant'), NOW)
  await restoreBackup(at('named-bank'), at('named-again-bank'), NOW)
  expect(readFileSync(at('named-again-merchant', 'secret', 'pg'), 'utf8')).toContain('postgres://')
  expect(readFileSync(at('named-again-bank', 'rings', 'of-june'), 'utf8')).toBe('{}')
  expect(statSync(at('named-again-bank', 'rings')).mode & 0o077).toBe(0)
  for (const folder of [at('merchant', 'secret'), at('bank', 'rings')]) rmSync(folder, { recursive: true })
})

test('the mark of a center\'s own store does not come back without the store', async () => {
  writeFileSync(at('center-1', 'store.mark'), '2026-05-01T00:00:00.000Z\n')
  await takeBackup(at('center-1'), at('marked-center'), NOW)
  rmSync(at('center-1', 'store.mark'))
  expect(readdirSync(at('marked-center'))).not.toContain('store.mark')
})

describe('a backup', () => {
  test('is not restored by a clock that is behind it, nor where a variable would stand above what the node is told', async () => {
    await takeBackup(at('authority-1'), at('later'), NOW + 1)
    await expect(restoreBackup(at('later'), at('nowhere'), NOW)).rejects.toMatchObject({ code: 'clock-before-backup', fault: 'operator' })
    for (const name of ['MIXMINT_RESTORED_AT', 'MIXMINT_SIGNS_FROM']) {
      await expect(restoreBackup(at('later'), at('nowhere'), NOW + 1, { [name]: '5' })).rejects.toMatchObject({ code: 'restore-overridden', fault: 'operator', message: expect.stringContaining(name) })
    }
    expect(existsSync(at('nowhere'))).toBe(false)
  })

  test('is a folder of its own, and is restored into one', async () => {
    await takeBackup(at('bank'), at('once'), NOW)
    await expect(takeBackup(at('bank'), at('once'), NOW)).rejects.toMatchObject({ code: 'backup-exists', fault: 'caller' })
    await expect(restoreBackup(at('once'), at('merchant'), NOW)).rejects.toMatchObject({ code: 'folder-not-empty', fault: 'caller' })
    await expect(restoreBackup(at('merchant'), at('nowhere'), NOW)).rejects.toMatchObject({ code: 'no-such-backup', fault: 'operator' })
  })

  test('that is damaged restores nothing', async () => {
    await takeBackup(at('merchant'), at('damaged'), NOW)
    const refused = async (code: string): Promise<void> => {
      await expect(restoreBackup(at('damaged'), at('nowhere'), NOW)).rejects.toMatchObject({ code, fault: 'operator' })
      expect([existsSync(at('nowhere')), existsSync(at('nowhere.partial'))]).toEqual([false, false])
    }
    const file = at('damaged', 'store', 'data.mdb')
    const bytes = readFileSync(file)
    writeFileSync(file, bytes.subarray(0, bytes.length - 1))
    await refused('backup-broken')
    rmSync(file)
    await refused('backup-broken')
    const manifest = JSON.parse(readFileSync(at('damaged', 'backup.json'), 'utf8')) as object
    for (const [text, code] of [['{', 'backup-broken'], ['{}', 'backup-broken'], [JSON.stringify({ ...manifest, format: 2 }), 'backup-too-new'], [JSON.stringify({ ...manifest, files: { '../../x': '00' } }), 'backup-broken']]) {
      writeFileSync(at('damaged', 'backup.json'), text)
      await refused(code)
    }
  })

  test('of a store that is written to is of one moment', async () => {
    const store = await openLmdb(at('busy'))
    let writing = true
    let written = 0
    const writer = (async () => {
      for (; writing; written++) await store.batch([{ op: 'put', key: utf8(`a${written}`), value: new Uint8Array(2000) }, { op: 'put', key: utf8(`b${written}`), value: new Uint8Array(2000) }])
    })()
    const until = async (count: number): Promise<void> => { while (written < count) await new Promise(resolve => setImmediate(resolve)) }
    await until(50)
    const before = written
    await copyStore(store, at('busy-copy'))
    const after = written
    writing = false
    await writer
    await store.close()
    const copy = await openLmdb(at('busy-copy'))
    const names = (await copy.scan({ prefix: new Uint8Array(0), limit: 1_000_000 })).map(({ key }) => new TextDecoder().decode(key))
    await copy.close()
    const pairs = names.filter(name => name.startsWith('a')).map(name => Number(name.slice(1)))
    expect(names.filter(name => name.startsWith('b')).map(name => Number(name.slice(1)))).toEqual(pairs)
    expect(pairs.length).toBeGreaterThanOrEqual(before)
    expect(pairs.length).toBeLessThanOrEqual(after + 1)
    expect(Math.max(...pairs)).toBe(pairs.length - 1)
  })
})

test('a setting is changed where it stands, and nothing else is', () => {
  const text = '# mine\nrole = "bank"\n\n[bank] # money\nunit = "cent" # not EUR\n\n[metrics]\nlisten = "1"\n'
  expect(setInConfig(text, 'bank', 'restoredAt', 'now')).toBe(text.replace('# money\n', '# money\nrestoredAt = "now"\n'))
  const once = setInConfig(text, 'bank', 'signsFrom', 3)
  expect(setInConfig(once, 'bank', 'signsFrom', 4)).toBe(once.replace('= 3', '= 4'))
  expect(setInConfig('role = "mix"', 'mix', 'drainLimit', 5)).toBe('role = "mix"\n[mix]\ndrainLimit = 5\n')
  expect(() => setInConfig('bank = { unit = "cent" }\n', 'bank', 'signsFrom', 3)).toThrow(expect.objectContaining({ code: 'config-edit' }))
})
