/** A store that knows less than its node has seen is not taken for the right one. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { checkMark, writeMark } from '../../nodes/store/mark.ts'

const NOW = Date.parse('2026-03-01T12:00:00Z')
let dir: string
beforeEach(() => { dir = mkdtempSync(join(tmpdir(), 'mixmint-mark-')) })
afterEach(() => { rmSync(dir, { recursive: true }) })

test('a store is right when it knows as much as it did, or its operator says what is lost', () => {
  checkMark(dir, 0, 0)
  writeMark(dir, NOW - 5000)
  writeMark(dir, NOW)
  expect(readdirSync(dir)).toEqual(['store.mark'])
  checkMark(dir, NOW, 0)
  checkMark(dir, NOW + 1, 0)
  for (const [known, restoredAt] of [[NOW - 1, 0], [0, 0], [NOW - 5000, NOW - 1]]) {
    expect(() => { checkMark(dir, known, restoredAt) }).toThrow(expect.objectContaining({ code: 'store-older', fault: 'operator', message: expect.stringContaining('restoredAt') as string }))
  }
  checkMark(dir, NOW - 5000, NOW)
  // Nor is it written back, lest the next start find nothing.
  expect(() => { writeMark(dir, NOW - 1) }).toThrow(expect.objectContaining({ code: 'store-older' }))
  expect(() => { checkMark(dir, NOW - 1, 0) }).toThrow(expect.objectContaining({ code: 'store-older' }))
})

test('a mark that cannot be read is told', () => {
  writeFileSync(join(dir, 'store.mark'), 'yesterday\n')
  expect(() => { checkMark(dir, NOW, 0) }).toThrow(expect.objectContaining({ code: 'mark-broken', fault: 'operator' }))
})
