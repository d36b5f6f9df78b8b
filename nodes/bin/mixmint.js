#!/usr/bin/env node
// Plain JavaScript, so that an old Node says what to do instead of failing on syntax.
import module from 'node:module'
import { dirname, join } from 'node:path'

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(`mixmint needs Node 22.18 or newer; this is ${process.versions.node}.\n` +
    'Inside the repository run it as `npx mixmint …` or `npm run …`: these use the Node that `npm ci` installed.\n')
  process.exit(69)
}

const { BUILT, isBuilt } = await import('./built.js')
const program = isBuilt() ? '../dist/mixmint.js' : '../main.ts'
if (program === '../dist/mixmint.js') module.enableCompileCache(join(dirname(BUILT), '.cache'))
const { main } = await import(program)
await main(process.argv)
