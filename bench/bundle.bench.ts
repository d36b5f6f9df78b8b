/** What the service adds to a page: its size, minified, in a bundle with everything that it stands on. */
import { fileURLToPath } from 'node:url'
import { bundleForBrowser, PACKAGE_ENTRY } from '../test/mixnet/browser-bundle.ts'
import { figure, type Row } from './harness.ts'

const PAGE = fileURLToPath(new URL('../mixnet/examples/browser/main.ts', import.meta.url))
const KIB = 1024

async function rowsOf (name: string, entry: string): Promise<Row[]> {
  const { size, gzip } = await bundleForBrowser(entry, { minify: true })
  return [figure(`${name}, minified`, size / KIB, 'KiB'), figure(`${name}, minified and gzipped`, gzip / KIB, 'KiB')]
}

export async function bundleRows (): Promise<Row[]> {
  return [
    ...await rowsOf('@mixmint/mixnet and what it imports', PACKAGE_ENTRY),
    ...await rowsOf('a page with it, libp2p and WebSocket', PAGE)
  ]
}
