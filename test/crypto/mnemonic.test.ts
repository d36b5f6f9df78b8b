/** The words of a wallet (BIP-39). */
import { newMnemonic, seedFromMnemonic } from '@mixmint/core/crypto/mnemonic'
import { describe, expect, it } from 'vitest'
import { hex, seeded } from './suites.ts'

describe('mnemonic', () => {
  it('gives the words and the seed of the BIP-39 reference vectors', () => {
    const zeros = 'abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about'
    expect(newMnemonic(new Uint8Array(16))).toBe(zeros)
    expect(newMnemonic(hex('7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f'))).toBe('legal winner thank year wave sausage worth useful legal winner thank yellow')
    // Without a passphrase; the reference vectors use one.
    expect(seedFromMnemonic(zeros)).toEqual(hex('5eb00bbddcf069084889a8ab9155568165f5c453ccb85e70811aaed6f6da5fc19a5ac40b389cd370d086206dec8aa6c43daea6690f20ad3d8d48b2d2ce9e38e4'))
  })

  it('forgives capitals and spacing, as people type', () => {
    const words = newMnemonic(seeded('entropy', 16))
    expect(words.split(' ').length).toBe(12)
    expect(seedFromMnemonic(`  ${words.toUpperCase().replaceAll(' ', '\n  ')} `)).toEqual(seedFromMnemonic(words))
    expect(seedFromMnemonic(words).length).toBe(64)
  })

  it('refuses words that are wrong, without repeating them', () => {
    const words = newMnemonic(seeded('entropy', 16)).split(' ')
    const swapped = words.with(0, words[1]).with(1, words[0])
    for (const bad of [words.slice(1), [...words, words[0]], words.with(3, 'mixmint'), swapped, ['']]) {
      const call = (): unknown => seedFromMnemonic(bad.join(' '))
      expect(call).toThrow(expect.objectContaining({ code: 'bad-mnemonic', fault: 'caller' }))
      expect(call).not.toThrow(new RegExp(words[5]))
    }
    expect(() => newMnemonic(new Uint8Array(15))).toThrow(expect.objectContaining({ code: 'bad-argument' }))
  })
})
