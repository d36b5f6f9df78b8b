/** A wallet's folder: its words are made once, kept for their owner, and stand for its seed. */
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createRestored, createWallet, walletSeed } from '../../nodes/wallet-folder.ts'

const WORDS = 'legal winner thank year wave sausage worth useful legal winner thank yellow'
let dir: string
beforeEach(() => { dir = mkdtempSync(join(tmpdir(), 'mixmint-wallet-')) })
afterEach(() => { rmSync(dir, { recursive: true, force: true }) })

test('fresh words are twelve, differ, and are read by nobody else', () => {
  const words = createWallet(join(dir, 'a'))
  expect(words.split(' ')).toHaveLength(12)
  expect(createWallet(join(dir, 'b'))).not.toBe(words)
  expect(statSync(join(dir, 'a', 'words')).mode & 0o777).toBe(0o600)
  expect(walletSeed(join(dir, 'a')).seed).toHaveLength(64)
  expect(walletSeed(join(dir, 'a')).isRestored).toBe(false)
})

test('the same words are the same seed', () => {
  createWallet(join(dir, 'a'), WORDS)
  createRestored(join(dir, 'b'), WORDS.replace(/ /g, '  '))
  expect(walletSeed(join(dir, 'b'))).toEqual({ seed: walletSeed(join(dir, 'a')).seed, isRestored: true })
})

test('a wallet is never written over, and wrong words make none', () => {
  createWallet(dir, WORDS)
  expect(() => createWallet(dir)).toThrow(expect.objectContaining({ code: 'wallet-exists', fault: 'caller' }))
  expect(() => createWallet(join(dir, 'c'), 'twelve wrong words')).toThrow(expect.objectContaining({ code: 'bad-mnemonic' }))
  expect(() => walletSeed(join(dir, 'c'))).toThrow(expect.objectContaining({ code: 'no-wallet', fault: 'operator' }))
})

test('words that others can read are refused', () => {
  createWallet(dir, WORDS)
  chmodSync(join(dir, 'words'), 0o640)
  expect(() => walletSeed(dir)).toThrow(expect.objectContaining({ code: 'key-file-open', fault: 'operator' }))
})
