/** All of them, and how many rounds of each are run by the fast tests. */
import type { Target } from './fuzz.ts'
import { cover } from './cover.ts'
import { directory } from './directory.ts'
import { frames } from './frames.ts'
import { mixEngine } from './mix-engine.ts'
import { money } from './money.ts'
import { parsers } from './parsers.ts'
import { sessions } from './sessions.ts'

export const targets: ReadonlyArray<Target & { readonly quick: number }> = [
  { ...frames, quick: 50 },
  ...parsers.map(target => ({ ...target, quick: 100 })),
  { ...mixEngine, quick: 50 },
  ...sessions.map(target => ({ ...target, quick: 50 })),
  ...cover.map(target => ({ ...target, quick: 100 })),
  ...directory.map(target => ({ ...target, quick: 10 })),
  ...money.map(target => ({ ...target, quick: 50 }))
]
