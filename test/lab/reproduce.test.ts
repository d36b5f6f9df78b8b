/** The short form of `npm run lab:reproduce`: published results, at fewer targets. */
import { expect, test } from 'vitest'
import { reproduce } from '../../lab/reproduce/claims.ts'

test('published results and closed forms are reproduced', () => {
  const claims = reproduce('short')
  expect(claims.length).toBeGreaterThanOrEqual(8)
  expect(claims.filter(({ met }) => !met)).toEqual([])
})
