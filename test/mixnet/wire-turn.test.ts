import { afterEach, expect, it, vi } from 'vitest'
import { nextTurn } from '@mixmint/mixnet/wire/turn'

afterEach(() => { vi.unstubAllGlobals() })

it.each([['Node', true], ['a browser', false]])('in %s, calls come in order, after what is due now', async (_, node) => {
  if (!node) vi.stubGlobal('setImmediate', undefined)
  const order: number[] = []
  const done = new Promise<void>(resolve => {
    nextTurn(() => { order.push(2) })
    nextTurn(() => { order.push(3); resolve() })
  })
  queueMicrotask(() => { order.push(1) })
  await done
  expect(order).toEqual([1, 2, 3])
})
