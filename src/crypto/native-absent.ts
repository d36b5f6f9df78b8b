/** What a browser bundle gets in place of `native.ts` (package.json, `imports`): there is no native suite here. */
import type { Suite } from './suite.ts'

export async function loadNativeSuite (): Promise<Suite | null> {
  return null
}
