/** Builds what browsers are given (nodes/pages/browser): a script for each page and one that they share, in few bytes. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const here = name => fileURLToPath(new URL(`./pages/browser/${name}`, import.meta.url))

/** @returns {Promise<{ files: Map<string, string>, modules: string[] }>} files by name, and the modules that went into them */
export async function buildPages () {
  const { build } = await import('rolldown')
  const { output } = await build({
    input: { node: here('node.ts'), network: here('network.ts') },
    platform: 'browser',
    write: false,
    output: { format: 'esm', minify: true, entryFileNames: '[name].js', chunkFileNames: 'shared.js', codeSplitting: { groups: [{ name: 'shared', minShareCount: 2 }] } },
    logLevel: 'warn'
  })
  return {
    files: new Map([
      ...output.map(({ fileName, code }) => [fileName, code]),
      ...['node.html', 'network.html', 'page.css', 'icon.svg'].map(name => [name, readFileSync(here(name), 'utf8')])
    ]),
    modules: output.flatMap(({ moduleIds = [] }) => moduleIds)
  }
}
