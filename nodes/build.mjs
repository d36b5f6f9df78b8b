/**
 * Builds the program into `nodes/dist`: plain JavaScript in few files, which start in a quarter of the processor time that
 * the sources take (docs/decisions/0008). Runs after `npm ci`; without it the program runs from its sources.
 */
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { isBuilt } from './bin/built.js'

const here = name => fileURLToPath(new URL(name, import.meta.url))

// A network that runs from a fresh build keeps it.
if (isBuilt()) process.exit()

try {
  const { build } = await import('rolldown')
  rmSync(here('./dist'), { recursive: true, force: true })
  await build({
    input: { mixmint: here('./main.ts'), 'signing-thread': here('./signing-thread.ts') },
    platform: 'node',
    // What brings binaries or starts files of its own stays where npm put it.
    external: ['lmdb', 'pg', 'pino', 'sodium-native'],
    resolve: { conditionNames: ['node', 'import', 'default'] },
    output: { dir: here('./dist'), format: 'esm', chunkFileNames: '[name]-[hash].js' },
    logLevel: 'warn'
  })
} catch (error) {
  rmSync(here('./dist'), { recursive: true, force: true })
  process.stderr.write(`mixmint was not built and will run from its sources: ${error.message}\n`)
}
