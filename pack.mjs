/**
 * What npm runs around the packing of a package of this workspace (`npm pack`, `npm publish`), in its folder:
 *
 *   prepack    compile the sources into `dist` (JavaScript and declarations: Node runs no TypeScript under node_modules),
 *              and write the manifest as it is to be published: with the fields of `publishConfig` in the place of the
 *              workspace's own, which point at sources
 *              The program is bundled (nodes/build.mjs): it names as dependencies only what is not in the bundle.
 *   postpack   put the workspace's manifest back
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const MANIFEST = 'package.json'
/** The workspace's own, while npm packs. Not in `files`. */
const KEPT = '.package.workspace.json'
const root = new URL('.', import.meta.url)
const tsc = fileURLToPath(new URL('node_modules/typescript/bin/tsc', root))

function prepack () {
  // After a packing that was broken off.
  postpack()
  const manifest = JSON.parse(readFileSync(MANIFEST, 'utf8'))
  rmSync('dist', { recursive: true, force: true })
  if (manifest.unbundled !== undefined) execFileSync(process.execPath, ['build.mjs'], { stdio: 'inherit' })
  else {
    // The declarations of what it stands on are those that will be published.
    if (manifest.dependencies['@mixmint/core'] !== undefined) compile(fileURLToPath(new URL('src/tsconfig.build.json', root)))
    compile('tsconfig.build.json')
  }
  copyFileSync(fileURLToPath(new URL('LICENSE', root)), 'LICENSE')
  const { publishConfig, scripts, devDependencies, unbundled, ...published } = manifest
  if (unbundled !== undefined) published.dependencies = Object.fromEntries(unbundled.map(name => [name, versionOf(name, manifest)]))
  renameSync(MANIFEST, KEPT)
  writeFileSync(MANIFEST, `${JSON.stringify({ ...published, ...publishConfig }, null, 2)}\n`)
}

/** As this package, or what it stands on, names it. */
function versionOf (name, { dependencies }) {
  const core = JSON.parse(readFileSync(fileURLToPath(new URL('src/package.json', root)), 'utf8'))
  return dependencies[name] ?? core.optionalDependencies[name]
}

function postpack () {
  if (existsSync(KEPT)) renameSync(KEPT, MANIFEST)
  rmSync('LICENSE', { force: true })
}

function compile (project) {
  execFileSync(process.execPath, [tsc, '-p', project], { stdio: 'inherit' })
}

const [step] = process.argv.slice(2)
if (step === 'prepack') prepack()
else if (step === 'postpack') postpack()
else throw new Error('prepack or postpack wanted')
