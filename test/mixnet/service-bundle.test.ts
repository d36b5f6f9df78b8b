/** The package in a browser bundle: nothing of Node, no native module, the pure suite. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { bundleForBrowser, foreign, PACKAGE_ENTRY } from './browser-bundle.ts'

const PAGE = fileURLToPath(new URL('../../mixnet/examples/browser/main.ts', import.meta.url))

it('the entry of the package leaves nothing of Node in a bundle, and brings the pure suite and no files', async () => {
  const bundle = await bundleForBrowser(PACKAGE_ENTRY, { minify: false })
  expect(foreign(bundle)).toEqual([])
  const has = (file: string): boolean => bundle.modules.some(id => id.endsWith(file))
  for (const file of ['/mixnet/service/mix.ts', '/crypto/pure.ts', '/crypto/native-absent.ts', '/wire/files-absent.ts']) expect([file, has(file)]).toEqual([file, true])
  expect(bundle.modules.filter(id => /\/(cash|nodes)\//.test(id))).toEqual([])
  // What is looked for does show where it is.
  const native = fileURLToPath(new URL('../../src/crypto/native.ts', import.meta.url))
  expect(foreign({ code: readFileSync(native, 'utf8'), modules: [native], size: 0, gzip: 0 }).length).toBeGreaterThan(2)
})

it('nor does a page with libp2p and its transports', async () => {
  const bundle = await bundleForBrowser(PAGE, { minify: true })
  expect(foreign(bundle)).toEqual([])
  expect(bundle.gzip).toBeLessThan(bundle.size)
})
