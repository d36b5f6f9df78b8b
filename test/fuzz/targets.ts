/** All of them, and how many rounds of each are run by the fast tests. */
import type { Target } from './fuzz.ts'
import { frames } from './frames.ts'
import { parsers } from './parsers.ts'

export const targets: ReadonlyArray<Target & { readonly quick: number }> = [
  { ...frames, quick: 50 },
  ...parsers.map(target => ({ ...target, quick: 100 }))
]
