/** The tarball that operators install, by `npm i -g` into a folder of its own: it works with nothing of the repository, and refuses an old Node. */
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'mixmint-tarball-'))
afterAll(() => { rmSync(folder, { recursive: true, force: true }) })

async function run (command: string, args: readonly string[], cwd = folder, environment: NodeJS.ProcessEnv = {}): Promise<string> {
  const { stdout } = await promisify(execFile)(command, [...args], {
    cwd, maxBuffer: 1 << 26, env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH ?? ''}`, npm_config_update_notifier: 'false', ...environment }
  })
  return stdout
}

test('it packs, installs, knows its licences, makes a node; below Node 22.18 it says what to do', async () => {
  // Packing rewrites the manifest: in a copy, it disturbs nobody.
  const tree = join(folder, 'tree')
  mkdirSync(tree)
  const kept = (path: string): boolean => !/\/(node_modules|dist)(\/|$)/.test(path.slice(ROOT.length - 1))
  for (const part of ['src', 'mixnet', 'nodes', 'pack.mjs', 'LICENSE', 'package.json', 'tsconfig.json']) cpSync(join(ROOT, part), join(tree, part), { recursive: true, filter: kept })
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'))
  await run('npm', ['pack', '--pack-destination', folder], join(tree, 'nodes'))
  const [tarball] = readdirSync(folder).filter(name => name.endsWith('.tgz'))
  await run('npm', ['install', '-g', '--prefix', join(folder, 'global'), '--no-audit', '--no-fund', '--prefer-offline', join(folder, tarball)])
  const installed = join(folder, 'global', 'lib', 'node_modules', 'mixmint')
  const { dependencies } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as { dependencies: Record<string, string> }
  expect(Object.keys(dependencies)).toEqual(['lmdb', 'pg', 'pino', 'sodium-native'])
  expect(readFileSync(join(installed, 'dist', 'LICENSES.txt'), 'utf8')).toMatch(/^libp2p \d.*\(Apache-2\.0 OR MIT\)$/m)

  const mixmint = join(folder, 'global', 'bin', 'mixmint')
  expect((await run(mixmint, ['--version'])).trim()).toBe('0.1.0')
  expect(await run(mixmint, ['init', 'mix', '--address', '127.0.0.1', '--yes'])).toContain('mix holds a new mix')
  expect(await run(mixmint, ['unit'])).toContain(`${installed}/bin/mixmint.js run --dir /var/lib/mixmint/%i`)
  expect(await run(mixmint, ['kat', join(ROOT, 'test', 'vectors', 'lip99-sphinx.json')])).toMatch(/^ok +native[^]*^ok +pure/m)
  const old = `data:text/javascript,${encodeURIComponent('Object.defineProperty(process.versions, "node", { value: "22.17.1" })')}`
  await expect(run(mixmint, ['--version'], folder, { NODE_OPTIONS: `--import=${old}` })).rejects.toMatchObject({ code: 69, stderr: expect.stringContaining('needs Node 22.18 or newer; this is 22.17.1') })
})
