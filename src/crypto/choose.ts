/** Which suite a program uses: the native one where there is one, else the pure one. */
import { loadNativeSuite } from '#native'
import type { Suite } from './suite.ts'

/**
 * Native where its packages are installed with binaries for this platform; pure in browsers and where they are not.
 * @throws whatever else goes wrong while the native suite loads: a broken installation is not papered over by code that
 *   is 25 times slower
 */
export async function defaultSuite (): Promise<Suite> {
  return await loadNativeSuite() ?? (await import('./pure.ts')).pureSuite
}
