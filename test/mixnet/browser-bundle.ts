/** The service as a browser gets it: bundled by vite, from the entry of the package. */
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'

export const PACKAGE_ENTRY = fileURLToPath(new URL('../../mixnet/index.ts', import.meta.url))

export interface Bundle {
  readonly code: string
  /** Paths of the modules that are in it. */
  readonly modules: readonly string[]
  /** Bytes as they are, and behind gzip. */
  readonly size: number
  readonly gzip: number
}

export async function bundleForBrowser (entry: string, { minify }: { readonly minify: boolean }): Promise<Bundle> {
  const result = await build({
    configFile: false, logLevel: 'silent',
    // Not as a library, whose white space vite leaves.
    build: { write: false, target: 'es2024', minify: minify ? 'oxc' : false, modulePreload: { polyfill: false }, rolldownOptions: { input: entry, preserveEntrySignatures: 'strict' } }
  })
  const chunks = (Array.isArray(result) ? result : [result]).flatMap(made => 'output' in made ? made.output : []).filter(part => part.type === 'chunk')
  const codes = chunks.map(({ code }) => code)
  return {
    code: codes.join('\n'),
    modules: chunks.flatMap(({ moduleIds }) => moduleIds),
    size: codes.reduce((sum, code) => sum + Buffer.byteLength(code), 0),
    gzip: codes.reduce((sum, code) => sum + gzipSync(code).length, 0)
  }
}

/** Modules of a bundle that only Node has, or that a browser cannot load; and what of Node its code names. */
export function foreign ({ code, modules }: Bundle): string[] {
  return [
    ...modules.filter(id => /^node:|__vite-browser-external|sodium-native|lmdb|\/crypto\/native\.|\/wire\/files\.|\.node$/.test(id)),
    ...code.match(/\bfrom\s*["']node:[^"']*["']|\bimport\s*\(?\s*["']node:[^"']*["']|\brequire\(["'][^"']*["']\)|sodium-native|privateEncrypt/g) ?? []
  ]
}
