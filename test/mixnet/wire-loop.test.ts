import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Loop } from '@mixmint/mixnet/wire/loop'

const HOUR = 3_600_000
const clock = { now: (): number => Date.now() }

beforeEach(() => { vi.useFakeTimers({ now: 100 * HOUR, toFake: ['setTimeout', 'clearTimeout', 'Date'] }) })
afterEach(() => { vi.useRealTimers() })

test.each([['forward', 2 * HOUR, 10_000], ['back', -2 * HOUR, HOUR]])('a loop whose clock is set %s runs again in time', async (_way, step, within) => {
  let runs = 0
  const loop = new Loop({ clock, step: async () => { runs += 1; return clock.now() + HOUR }, failed: () => 0 })
  loop.start()
  await vi.advanceTimersByTimeAsync(1)
  expect(runs).toBe(1)
  vi.setSystemTime(clock.now() + step)
  await vi.advanceTimersByTimeAsync(within)
  expect(runs).toBe(2)
  await loop.stop()
})
