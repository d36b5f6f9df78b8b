import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { toHex, u32 } from '@mixmint/core/kit/bytes'
import { SeenTags } from '@mixmint/mixnet/sphinx/replay'
import { bytesFrom, bytesOf, flipped, native } from './sphinx-material.ts'

const salt = bytesOf('salt', 16)

describe('the set of seen tags', () => {
  test('answers as an exact set does, up to its limit', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 60 }), fc.array(fc.nat(80), { maxLength: 300 }), fc.nat(), (limit, picks, saltSeed) => {
      const set = new SeenTags(limit, bytesFrom(saltSeed, 'salt', 16))
      const model = new Set<string>()
      for (const pick of picks) {
        const tag = bytesFrom(pick, 'tag', 32)
        const expected = model.has(toHex(tag)) ? 'seen' : model.size < limit ? 'new' : 'full'
        if (expected === 'new') model.add(toHex(tag))
        expect(set.see(tag)).toBe(expected)
        expect(set.size).toBe(model.size)
      }
      expect([...set.since(0)].map(toHex)).toEqual([...model])
    }), { numRuns: 60 })
  })

  test('grows without forgetting, in 48 bytes a tag or less', () => {
    const set = new SeenTags(1 << 20, salt)
    const count = 100_000
    const tags = Array.from({ length: count }, (_, i) => native.sha256(u32(i)))
    for (let i = 0; i < count; i++) if (set.see(tags[i]) !== 'new') throw new Error(`tag ${i} was not new`)
    expect(set.size).toBe(count)
    expect(set.memory / count).toBeLessThan(48)
    for (let i = 0; i < count; i++) if (set.see(tags[i]) !== 'seen') throw new Error(`tag ${i} was forgotten`)
    expect(set.size).toBe(count)
  })

  test('when full refuses what is new, and still knows what is old', () => {
    const set = new SeenTags(3, salt)
    for (let i = 0; i < 3; i++) expect(set.see(bytesFrom(i, 'tag', 32))).toBe('new')
    for (let i = 3; i < 50; i++) expect(set.see(bytesFrom(i, 'tag', 32))).toBe('full')
    for (let i = 0; i < 3; i++) expect(set.see(bytesFrom(i, 'tag', 32))).toBe('seen')
    expect(set.size).toBe(3)
  })

  test('tells apart tags that differ in one bit, whichever', () => {
    const set = new SeenTags(1000, salt)
    const tag = bytesOf('tag', 32)
    expect(set.see(tag)).toBe('new')
    for (let bit = 0; bit < 256; bit++) expect(set.see(flipped(tag, bit))).toBe('new')
    for (let bit = 0; bit < 256; bit++) expect(set.see(flipped(tag, bit))).toBe('seen')
    expect(set.see(new Uint8Array(32))).toBe('new')
    expect(set.see(new Uint8Array(32))).toBe('seen')
  })

  test('keeps its own copy', () => {
    const set = new SeenTags(10, salt)
    const tag = bytesOf('tag', 32)
    set.see(tag)
    tag.fill(0)
    expect(set.see(bytesOf('tag', 32))).toBe('seen')
    for (const out of set.since(0)) out.fill(0)
    expect(set.see(bytesOf('tag', 32))).toBe('seen')
  })

  test('is restored from what it gives out, in the order of arrival', () => {
    const set = new SeenTags(10_000, salt)
    const tags = Array.from({ length: 9000 }, (_, i) => bytesFrom(i, 'tag', 32))
    for (const tag of tags.slice(0, 5000)) set.see(tag)
    const saved = [...set.since(0)]
    for (const tag of tags.slice(5000)) set.see(tag)
    saved.push(...set.since(saved.length))
    expect(saved).toEqual(tags)
    expect([...set.since(9000)]).toEqual([])
    const again = new SeenTags(10_000, bytesOf('another salt', 16))
    for (const tag of saved) expect(again.see(tag)).toBe('new')
    for (const tag of tags) expect(again.see(tag)).toBe('seen')
  })

  test('spreads tags that share all but a few bits', () => {
    const set = new SeenTags(1 << 16, salt)
    const started = performance.now()
    for (let i = 0; i < 1 << 16; i++) {
      const tag = new Uint8Array(32)
      tag[31] = i >> 8
      tag[30] = i & 255
      set.see(tag)
    }
    expect(set.size).toBe(1 << 16)
    expect(performance.now() - started).toBeLessThan(5000)
  })

  test('refuses senseless limits, salts and tags', () => {
    const bad = expect.objectContaining({ code: 'bad-argument', fault: 'caller' })
    for (const limit of [0, -1, 1.5, NaN, 2 ** 30 + 1]) expect(() => new SeenTags(limit, salt)).toThrow(bad)
    expect(() => new SeenTags(1, new Uint8Array(15))).toThrow(bad)
    expect(() => new SeenTags(1, salt).see(new Uint8Array(31))).toThrow(bad)
  })
})
