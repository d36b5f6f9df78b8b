#!/usr/bin/env node
// Plain JavaScript, so that an old Node says what to do instead of failing on syntax.
import { existsSync, readdirSync, statSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(`mixmint needs Node 22.18 or newer; this is ${process.versions.node}.\n` +
    'Inside the repository run it as `npx mixmint …` or `npm run …`: these use the Node that `npm ci` installed.\n')
  process.exit(69)
}

const nodes = fileURLToPath(new URL('..', import.meta.url))
const built = join(nodes, 'dist', 'mixmint.js')

/** When anything in this folder of sources was last changed, added or removed. */
function changed (folder) {
  let latest = statSync(folder).mtimeMs
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.name === 'dist' || entry.name === 'bin') continue
    const path = join(folder, entry.name)
    if (entry.isDirectory()) latest = Math.max(latest, changed(path))
    else if (entry.name.endsWith('.ts')) latest = Math.max(latest, statSync(path).mtimeMs)
  }
  return latest
}

/** Is there a build, and is it not older than the sources, where there are any? */
function isBuilt () {
  if (!existsSync(built)) return false
  const since = statSync(built).mtimeMs
  return ['.', '../src', '../mixnet'].map(name => join(nodes, name))
    .filter(folder => existsSync(join(folder, 'package.json')))
    .every(folder => changed(folder) <= since)
}

const program = isBuilt() ? '../dist/mixmint.js' : '../main.ts'
if (program === '../dist/mixmint.js') enableCompileCache(join(nodes, 'dist', '.cache'))
const { main } = await import(program)
await main(process.argv)
