/**
 * Builds the program into `nodes/dist`: plain JavaScript in few files, which start in a quarter of the processor time that
 * the sources take (docs/decisions/0008). Runs after `npm ci`; without it the program runs from its sources.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isBuilt } from './bin/built.js'
import { buildPages } from './build-pages.mjs'

const here = name => fileURLToPath(new URL(name, import.meta.url))

// A network that runs from a fresh build keeps it.
if (isBuilt()) process.exit()

try {
  const { build } = await import('rolldown')
  rmSync(here('./dist'), { recursive: true, force: true })
  const { output } = await build({
    input: { mixmint: here('./main.ts'), 'signing-thread': here('./signing-thread.ts') },
    platform: 'node',
    // What brings binaries or starts files of its own stays where npm put it.
    external: JSON.parse(readFileSync(here('./package.json'), 'utf8')).unbundled,
    resolve: { conditionNames: ['node', 'import', 'default'] },
    output: { dir: here('./dist'), format: 'esm', chunkFileNames: '[name]-[hash].js' },
    logLevel: 'warn'
  })
  const pages = await buildPages()
  mkdirSync(here('./dist/pages'))
  for (const [name, text] of pages.files) writeFileSync(here(`./dist/pages/${name}`), text)
  writeFileSync(here('./dist/LICENSES.txt'), licences([...output.flatMap(({ moduleIds = [] }) => moduleIds), ...pages.modules]))
} catch (error) {
  rmSync(here('./dist'), { recursive: true, force: true })
  process.stderr.write(`mixmint was not built and will run from its sources: ${error.message}\n`)
}

/** The licences of the packages whose modules the build took in, as each of them wants. */
function licences (modules) {
  const folders = new Set(modules.flatMap(id => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(id)?.[0] ?? []))
  return [...folders].filter(folder => existsSync(join(folder, 'package.json'))).sort().map(folder => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    const texts = readdirSync(folder).filter(file => /^(licen[cs]e|notice)/i.test(file)).map(file => readFileSync(join(folder, file), 'utf8').trim())
    return [`${name} ${version} (${license})`, ...texts].join('\n\n')
  }).join(`\n\n${'-'.repeat(72)}\n\n`) + '\n'
}
