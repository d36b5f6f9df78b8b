/** docs/reference is what the program says of itself now; docs/dependencies.md names what it stands on, and every licence there may be used. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { countersOf } from '../../nodes/metrics/counter-table.ts'
import { FIGURES } from '../../nodes/metrics/figure-table.ts'
import { HISTOGRAMS } from '../../nodes/metrics/readings.ts'
import { ROLES } from '../../nodes/settings.ts'
import { referencePages } from '../reference-pages.ts'

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

test('the reference is up to date: else `npm run reference`', async () => {
  const pages = await referencePages()
  for (const name of ['cli.md', 'configuration.md', 'logs.md', 'metrics.md']) expect(read(`docs/reference/${name}`) === pages.get(name), `docs/reference/${name} is old: run \`npm run reference\``).toBe(true)
  // Texts of errors may change by a word; a code that is missing is missed.
  const codes = (text: string | undefined): string[] => [...(text ?? '').matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, code]) => code)
  expect(codes(read('docs/reference/errors.md')), 'run `npm run reference`').toEqual(codes(pages.get('errors.md')))
  expect(codes(pages.get('errors.md')).length).toBeGreaterThan(200)
})

interface Locked { readonly link?: boolean, readonly resolved?: string, readonly license?: string, readonly version?: string, readonly dependencies?: Record<string, string> }
const LOCK = (JSON.parse(read('package-lock.json')) as { packages: Record<string, Locked> }).packages

/** Where Node finds a package that one at this place asks for. */
function find (from: string, name: string): string | null {
  for (let at = from; ;) {
    const place = `${at === '' ? '' : `${at}/`}node_modules/${name}`
    if (place in LOCK) return place
    if (at === '') return null
    at = at.includes('/node_modules/') ? at.slice(0, at.lastIndexOf('/node_modules/')) : ''
  }
}

/** All that packages need to run, those themselves too; not what is optional for one platform. Workspaces are left out. */
function needs (roots: readonly string[]): Map<string, Locked> {
  const found = new Map<string, Locked>()
  const seen = new Set<string>()
  const todo = [...roots]
  for (let place = todo.pop(); place !== undefined; place = todo.pop()) {
    const at = LOCK[place].link === true ? LOCK[place].resolved ?? '' : place
    if (seen.has(at)) continue
    seen.add(at)
    if (at.includes('node_modules/')) found.set(at, LOCK[at])
    for (const name of Object.keys(LOCK[at].dependencies ?? {})) todo.push(find(at, name) ?? '')
  }
  return found
}

const DEPENDENCIES = read('docs/dependencies.md')
const ROOMS = ['src', 'mixnet', 'nodes', 'lab']

test('the reference of metrics has each that a daemon tells', () => {
  const page = read('docs/reference/metrics.md')
  const named = new Set([...page.matchAll(/^\| `(mixmint_[a-z0-9_]+)` \|/gm)].map(([, name]) => name))
  expect(named.size).toBeGreaterThan(100)
  for (const name of [...Object.keys(FIGURES), ...ROLES.flatMap(role => countersOf(role)).map(name => `${name}_total`), ...Object.values(HISTOGRAMS).map(({ name }) => name)]) expect(named).toContain(`mixmint_${name}`)
})

test('each direct dependency is justified in docs/dependencies.md, and none that is none', () => {
  const named = [...DEPENDENCIES.matchAll(/^\| `([^`]+)` \| ([^|]+) \|/gm)].map(([, name, rooms]) => `${name}: ${rooms.trim()}`).sort()
  const manifests = ROOMS.map(room => ({ room, manifest: JSON.parse(read(`${room}/package.json`)) as { dependencies: Record<string, string>, optionalDependencies?: Record<string, string> } }))
  const direct = new Map<string, string[]>()
  for (const { room, manifest } of manifests) {
    for (const name of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })) if (name !== 'mixmint' && !name.startsWith('@mixmint/')) direct.set(name, [...direct.get(name) ?? [], room])
  }
  expect(named).toEqual([...direct].map(([name, rooms]) => `${name}: ${rooms.join(', ')}`).sort())
})

test('so many packages come along as it says, and each under a licence that lets us', () => {
  const { unbundled } = JSON.parse(read('nodes/package.json')) as { unbundled: string[] }
  const all = needs(['nodes', ...unbundled.map(name => `node_modules/${name}`)])
  const installed = needs(unbundled.map(name => `node_modules/${name}`))
  expect(DEPENDENCIES).toContain(`**${all.size} packages**`)
  expect(DEPENDENCIES).toContain(`**${installed.size}**`)
  const MAY = ['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'Unlicense', 'BlueOak-1.0.0', 'CC0-1.0']
  const terms = (licence: string | undefined): string[] => (licence ?? 'none').replace(/[()]/g, '').split(' OR ')
  expect([...all].filter(([, { license }]) => !terms(license).some(term => MAY.includes(term))).map(([place, { license }]) => `${place}: ${license}`)).toEqual([])
})
