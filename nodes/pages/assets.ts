/** What the pages consist of: as the build left it (nodes/build.mjs), or, of a program that runs from its sources, made when it is asked for. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Answer } from '../http.ts'

const TYPES: Readonly<Record<string, string>> = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', svg: 'image/svg+xml' }
/** Beside the built program. */
const BUILT = join(dirname(fileURLToPath(import.meta.url)), 'pages')

let all: Promise<ReadonlyMap<string, string>> | null = null

/** @param page whose parts may be asked for, and not its HTML; null: there is no such part */
export async function asset (name: string, page?: 'node' | 'network'): Promise<Answer | null> {
  if (page !== undefined && !['page.css', 'icon.svg', 'shared.js', `${page}.js`].includes(name)) return null
  const body = (await (all ??= load())).get(name)
  return body === undefined ? null : { status: 200, type: TYPES[name.slice(name.lastIndexOf('.') + 1)], body }
}

async function load (): Promise<ReadonlyMap<string, string>> {
  if (existsSync(BUILT)) return new Map(readdirSync(BUILT).map(name => [name, readFileSync(join(BUILT, name), 'utf8')]))
  // By a name that the build does not follow.
  const { buildPages } = await import(new URL('../build-pages.mjs', import.meta.url).href) as { buildPages: () => Promise<{ files: Map<string, string> }> }
  return (await buildPages()).files
}
