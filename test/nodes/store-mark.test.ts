/** A store that knows less than its node has seen is not taken for the right one. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MixmintError } from '@mixmint/core/kit/errors'
import { errorOf } from '@mixmint/core/cash/refusal'
import { checkMark, StoreMark, writeMark } from '../../nodes/store/mark.ts'

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

test('a node whose store is put back under it ends, and does not start on that store again', async () => {
  const failures: MixmintError[] = []
  const lines: unknown[] = []
  let known = NOW
  const options = {
    dir, known: async () => known, restoredAt: 0, declare: async () => {}, fail: (error: MixmintError) => { failures.push(error) },
    log: { info: () => {}, warn: (_: string, fields: unknown) => { lines.push(fields) }, error: () => {} }
  }
  const mark = await StoreMark.open(options)
  known = NOW + 1000
  await mark.look()
  // What else goes wrong ends nothing.
  mark.judge({ code: 'store-unreachable', fault: 'operator' }, NOW)
  // A bank's refusal, passed on by a merchant.
  mark.judge(errorOf({ code: 'store-older', fault: 'operator', retry: false, message: '' }), NOW)
  let away = false
  const shaky = await StoreMark.open({
    ...options, dir: mkdtempSync(join(dir, 'shaky-')),
    known: async () => { if (away) throw new MixmintError('store-unreachable', 'operator', 'away', { retry: true }); return NOW }
  })
  away = true
  await shaky.look()
  shaky.stop()
  expect([failures, lines]).toEqual([[], [{ code: 'store-unreachable' }]])
  // The engine has seen the store know more than the mark says.
  mark.judge({ code: 'store-older', fault: 'operator' }, NOW + 5000)
  expect(failures).toEqual([expect.objectContaining({ code: 'store-older', fault: 'operator', message: expect.stringContaining('restoredAt') as string })])
  await expect(StoreMark.open({ ...options, known: async () => NOW + 4999 })).rejects.toMatchObject({ code: 'store-older' })
  const again = await StoreMark.open({ ...options, known: async () => NOW + 4999, restoredAt: NOW + 6000 })
  again.stop()

  const other = await StoreMark.open({ ...options, dir: mkdtempSync(join(dir, 'other-')), known: async () => known })
  known = NOW
  await other.look()
  expect(failures).toHaveLength(2)
})

test('the mark stays until the store holds what was lost: after a date that was refused, the older store is refused as before', async () => {
  writeMark(dir, NOW)
  const old = NOW - 9000
  const steps: string[] = []
  const options = {
    dir, known: async () => { steps.push('known'); return old }, fail: () => {}, log: { info: () => {}, warn: () => {}, error: () => {} },
    declare: async (time: number) => { steps.push('declare'); if (time > NOW) throw new MixmintError('bad-argument', 'caller', 'not yet') }
  }
  await expect(StoreMark.open({ ...options, restoredAt: NOW + 5 })).rejects.toMatchObject({ code: 'bad-argument' })
  expect(() => { checkMark(dir, old, 0) }).toThrow(expect.objectContaining({ code: 'store-older' }))
  await expect(StoreMark.open({ ...options, restoredAt: 0 })).rejects.toMatchObject({ code: 'store-older' })
  steps.length = 0
  const mark = await StoreMark.open({ ...options, restoredAt: NOW })
  mark.stop()
  expect(steps).toContain('declare')
  // It is in the store now.
  checkMark(dir, old, 0)
})
