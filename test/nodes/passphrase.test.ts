/** Key files locked with a passphrase: they open with it, and with nothing else. */
import { execFile } from 'node:child_process'
import { linkSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { BankKeys, type KeysetTerms } from '../../nodes/bank-keys.ts'
import { isLocked, Passphrase } from '../../nodes/passphrase.ts'
import { keyFiles } from '../../nodes/passphrase-source.ts'
import { BankSealedKeys } from '../../nodes/sealed-keys.ts'
import { createSecret, loadOrCreateSeed, readSecret } from '../../nodes/secrets.ts'
import { openLmdb } from '../../nodes/store/lmdb.ts'
import { lockFolder } from '../../nodes/store/lock.ts'
import { createEconomy, DAY, NETWORK, START, suite } from '../doubles/economy.ts'
import { signer } from '../doubles/signer.ts'

const TEXT = 'correct horse battery staple'
const right = new Passphrase(TEXT)
const wrong = new Passphrase('incorrect horse')
const main = fileURLToPath(new URL('../../nodes/bin/mixmint.js', import.meta.url))
let dir: string
beforeEach(() => { dir = mkdtempSync(join(tmpdir(), 'mixmint-locked-')) })
afterEach(() => { rmSync(dir, { recursive: true }) })

test('a secret is locked as it is written, and opens with its passphrase only', () => {
  const file = join(dir, 'bank.key')
  const seed = loadOrCreateSeed(file, right)
  expect(loadOrCreateSeed(file, new Passphrase(TEXT))).toEqual(seed)
  const content = readFileSync(file, 'utf8')
  expect(isLocked(content)).toBe(true)
  expect(content).not.toContain(toHex(seed))
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(() => readSecret(file)).toThrow(expect.objectContaining({ code: 'passphrase-wanted', fault: 'operator' }))
  expect(() => readSecret(file, wrong)).toThrow(expect.objectContaining({ code: 'passphrase-wrong', fault: 'operator' }))
  for (const at of [30, 60, content.length - 3]) {
    writeFileSync(file, content.slice(0, at) + (content[at] === '0' ? '1' : '0') + content.slice(at + 1))
    expect(() => readSecret(file, right)).toThrow(expect.objectContaining({ code: 'passphrase-wrong' }))
  }
})

test('no two lockings are alike, and what is not locked is read as before', () => {
  createSecret(join(dir, 'a.key'), 'the same', right)
  createSecret(join(dir, 'b.key'), 'the same', right)
  createSecret(join(dir, 'c.key'), 'the same')
  const [a, b, c] = ['a', 'b', 'c'].map(name => readFileSync(join(dir, `${name}.key`), 'utf8'))
  expect(a).not.toBe(b)
  expect(c).toBe('the same')
  expect(['a', 'b', 'c'].map(name => readSecret(join(dir, `${name}.key`), right))).toEqual(['the same', 'the same', 'the same'])
  expect(() => new Passphrase('short')).toThrow(expect.objectContaining({ code: 'passphrase-short' }))
})

test('a bank with a passphrase leaves no key readable, and signs with the same keys after a restart', async () => {
  const { ring } = createEconomy()
  const terms: KeysetTerms = { unit: 'cent', denominations: 1, ring: () => ring, periods: { issue: DAY, spend: DAY, redeem: DAY, refund: DAY, ahead: 0 } }
  const keys = BankKeys.open(suite, NETWORK, dir, ring, signer(), right)
  await keys.prepare(terms, START)
  for (const name of readdirSync(dir).filter(name => !name.startsWith('ring-'))) expect(isLocked(readFileSync(join(dir, name), 'utf8')), name).toBe(true)
  const again = BankKeys.open(suite, NETWORK, dir, ring, signer(), new Passphrase(TEXT))
  expect(again.keysets(START)).toEqual(keys.keysets(START))
  expect(() => BankKeys.open(suite, NETWORK, dir, ring, signer())).toThrow(expect.objectContaining({ code: 'passphrase-wanted' }))
  expect(() => BankKeys.open(suite, NETWORK, dir, ring, signer(), wrong)).toThrow(expect.objectContaining({ code: 'passphrase-wrong' }))
})

test('the keys of sealed tokens are locked, too', async () => {
  const identity = suite.ed25519KeyPair(new Uint8Array(32).fill(1))
  const open = (passphrase: Passphrase | null): BankSealedKeys => new BankSealedKeys(suite, signer(), identity, { network: NETWORK, unit: 'cent', dir, shelf: null, passphrase })
  const keys = open(right)
  await keys.make(0, 1)
  const [file] = keyFiles(dir)
  expect(file).toMatch(/sealed-0-[0-9a-f]+\.keys$/)
  expect(isLocked(readFileSync(file, 'utf8'))).toBe(true)
  const [{ keys: id }] = keys.days(0)
  expect(await open(new Passphrase(TEXT)).blindSign(id, 1, new Uint8Array(256).fill(1))).toHaveLength(256)
  expect(() => open(null)).toThrow(expect.objectContaining({ code: 'passphrase-wanted' }))
  expect(() => open(wrong)).toThrow(expect.objectContaining({ code: 'passphrase-wrong' }))
})

test('a folder\'s keys are locked and unlocked by a command; a wrong passphrase changes nothing', async () => {
  const seeds = ['bank.key', 'identity.key'].map(name => toHex(loadOrCreateSeed(join(dir, name))))
  writeFileSync(join(dir, 'passphrase'), `${TEXT}\n`, { mode: 0o600 })
  const keys = async (what: string, environment: Record<string, string>): Promise<{ changed?: string[], removed?: string[], kept?: string[], error?: { code: string } }> => {
    const run = promisify(execFile)(process.execPath, [main, 'keys', what, '--dir', dir, '--json'], { env: { ...process.env, ...environment } })
    return JSON.parse((await run.catch((error: { stdout: string }) => error)).stdout) as { changed?: string[] }
  }
  const file = { MIXMINT_PASSPHRASE_FILE: join(dir, 'passphrase') }
  expect(await keys('lock', file)).toMatchObject({ changed: ['bank.key', 'identity.key'] })
  expect(toHex(loadOrCreateSeed(join(dir, 'bank.key'), right))).toBe(seeds[0])
  // Another passphrase half-way is none; and what a crash has left in the open goes, but not what may be the only copy of a key.
  const vote = toHex(loadOrCreateSeed(join(dir, 'vote.key')))
  expect((await keys('lock', { MIXMINT_PASSPHRASE: 'incorrect horse' })).error?.code).toBe('passphrase-wrong')
  expect(isLocked(readFileSync(join(dir, 'vote.key'), 'utf8'))).toBe(false)
  for (const name of ['bank.key.0123456789ab', 'payee.key.0123456789ab', 'notes.0123456789ab']) writeFileSync(join(dir, name), seeds[0], { mode: 0o600 })
  // Of one file, under both names: what is there is not overwritten.
  linkSync(join(dir, 'vote.key'), join(dir, 'vote.key.ba9876543210'))
  expect(await keys('lock', file)).toEqual({ changed: ['vote.key'], removed: ['bank.key.0123456789ab', 'vote.key.ba9876543210'], kept: ['payee.key.0123456789ab'] })
  expect(toHex(loadOrCreateSeed(join(dir, 'vote.key'), right))).toBe(vote)
  expect(readdirSync(dir).sort()).toEqual(['bank.key', 'identity.key', 'notes.0123456789ab', 'passphrase', 'payee.key.0123456789ab', 'vote.key'])
  expect(await keys('lock', file)).toMatchObject({ changed: [], removed: [] })
  expect((await keys('unlock', { MIXMINT_PASSPHRASE: 'incorrect horse' })).error?.code).toBe('passphrase-wrong')
  expect(isLocked(readFileSync(join(dir, 'bank.key'), 'utf8'))).toBe(true)
  // A node that runs may be writing keys.
  const store = await openLmdb(join(dir, 'store'))
  const lock = await lockFolder(store)
  expect((await keys('unlock', file)).error?.code).toBe('folder-in-use')
  await lock.release()
  await store.close()
  expect(await keys('unlock', file)).toMatchObject({ changed: ['bank.key', 'identity.key', 'vote.key'] })
  expect(['bank.key', 'identity.key'].map(name => toHex(loadOrCreateSeed(join(dir, name))))).toEqual(seeds)
})
