import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { MixmintError } from '@mixmint/core/kit/errors'
import { agreed, firstSuccess } from '@mixmint/mixnet/wire/sources'

const PATIENCE = 2_000
const never = new AbortController().signal
const refused = (code: string): MixmintError => new MixmintError(code, 'peer', code)
beforeEach(() => { vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }) })
afterEach(() => { vi.useRealTimers() })

/** Attempts that end after so many ms; `-1`: never. */
function attempts (...ends: Array<{ after: number, code?: string }>): { begun: number[], aborted: number[], all: Array<(signal: AbortSignal) => Promise<number>> } {
  const begun: number[] = []
  const aborted: number[] = []
  const all = ends.map(({ after, code }, i) => async (signal: AbortSignal): Promise<number> => {
    begun.push(i)
    signal.addEventListener('abort', () => { aborted.push(i) })
    return await new Promise((resolve, reject) => {
      if (after >= 0) setTimeout(() => { if (code === undefined) resolve(i); else reject(refused(code)) }, after)
    })
  })
  return { begun, aborted, all }
}

describe('the first success', () => {
  it('is waited for alone as long as it may take, and ends the rest', async () => {
    const { begun, aborted, all } = attempts({ after: 1_999 }, { after: 0 })
    const result = firstSuccess(all, PATIENCE, never)
    await vi.advanceTimersByTimeAsync(1_999)
    expect(await result).toBe(0)
    expect(begun).toEqual([0])
    expect(aborted).toEqual([0])
  })

  it('is that of the next when one fails, at once, or is slow, after a time', async () => {
    const { begun, all } = attempts({ after: 10, code: 'a' }, { after: -1 }, { after: -1 }, { after: 100 })
    const result = firstSuccess(all, PATIENCE, never)
    await vi.advanceTimersByTimeAsync(10)
    expect(begun).toEqual([0, 1])
    await vi.advanceTimersByTimeAsync(PATIENCE - 1)
    expect(begun).toEqual([0, 1])
    await vi.advanceTimersByTimeAsync(1)
    expect(begun).toEqual([0, 1, 2])
    await vi.advanceTimersByTimeAsync(PATIENCE + 100)
    expect(await result).toBe(3)
  })

  it('may come from one that was slow; a slow one that fails begins no other', async () => {
    const { begun, all } = attempts({ after: 3_000 }, { after: -1 }, { after: 0 })
    const result = firstSuccess(all, PATIENCE, never)
    await vi.advanceTimersByTimeAsync(3_000)
    expect(await result).toBe(0)
    expect(begun).toEqual([0, 1])
    const late = attempts({ after: 3_000, code: 'a' }, { after: 3_000, code: 'a' }, { after: 0 })
    const other = firstSuccess(late.all, PATIENCE, never)
    await vi.advanceTimersByTimeAsync(3_500)
    expect(late.begun).toEqual([0, 1])
    await vi.advanceTimersByTimeAsync(1_000)
    expect(await other).toBe(2)
  })

  it('fails, when all do, with what most failed with', async () => {
    const { all } = attempts({ after: 0, code: 'liar' }, { after: 0, code: 'none' }, { after: 0, code: 'none' }, { after: 0, code: 'liar-too' })
    const result = expect(firstSuccess(all, PATIENCE, never)).rejects.toMatchObject({ code: 'none' })
    await vi.advanceTimersByTimeAsync(10)
    await result
    await expect(firstSuccess([], PATIENCE, never)).rejects.toMatchObject({ code: 'no-source', fault: 'operator' })
  })

  it('is given up when its caller does', async () => {
    const giveUp = new AbortController()
    const { aborted, begun, all } = attempts({ after: -1 }, { after: -1 })
    const result = expect(firstSuccess(all, PATIENCE, giveUp.signal)).rejects.toMatchObject({ code: 'aborted' })
    giveUp.abort()
    await result
    expect(aborted).toEqual([0])
    await expect(firstSuccess(all, PATIENCE, giveUp.signal)).rejects.toMatchObject({ code: 'aborted' })
    expect(begun).toEqual([0])
  })
})

describe('what several say alike', () => {
  const name = (answer: number): string => String(answer)
  const fail = async (code: string): Promise<number> => { throw refused(code) }

  it('is believed when enough do, whatever the others say', async () => {
    expect(await agreed([Promise.resolve(1), Promise.resolve(2), fail('a'), Promise.resolve(2)], 2, name)).toBe(2)
    expect(await agreed([fail('a'), Promise.resolve(7), new Promise<number>(() => {})], 1, name)).toBe(7)
  })

  it('is not there when too few do', async () => {
    await expect(agreed([Promise.resolve(1), Promise.resolve(2)], 2, name)).rejects.toMatchObject({ code: 'sources-disagree', retry: true })
    await expect(agreed([Promise.resolve(1), fail('a')], 2, name)).rejects.toMatchObject({ code: 'a' })
    await expect(agreed([], 0, name)).rejects.toMatchObject({ code: 'no-source' })
  })
})
