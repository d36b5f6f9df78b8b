// Where the build is, and whether it may be used: whoever edits a source runs that source (docs/decisions/0008).
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const nodes = fileURLToPath(new URL('..', import.meta.url))
export const BUILT = join(nodes, 'dist', 'mixmint.js')

/** When anything in this folder of sources was last changed, added or removed. */
function changed (folder) {
  let latest = statSync(folder).mtimeMs
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.name === 'dist' || entry.name === 'bin') continue
    const path = join(folder, entry.name)
    if (entry.isDirectory()) latest = Math.max(latest, changed(path))
    else if (/\.(ts|css|html|svg)$/.test(entry.name)) latest = Math.max(latest, statSync(path).mtimeMs)
  }
  return latest
}

/** Is there a build, and is it not older than the sources, where there are any? */
export function isBuilt () {
  if (!existsSync(BUILT)) return false
  // As npm installs it: there is nothing else.
  if (!existsSync(join(nodes, 'main.ts'))) return true
  const since = statSync(BUILT).mtimeMs
  return ['.', '../src', '../mixnet'].map(name => join(nodes, name))
    .filter(folder => existsSync(join(folder, 'package.json')))
    .every(folder => changed(folder) <= since)
}
