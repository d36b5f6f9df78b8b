/**
 * The packages as somebody else gets them: packed out of a copy of the sources, installed by npm in a folder of its own, and
 * used there by a program in TypeScript that knows nothing but what was published.
 */
import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bundleForBrowser, foreign } from '../mixnet/browser-bundle.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
/** What comes with npm packs and installs; the Node of the repository runs all of it. */
const PATH = `${dirname(process.execPath)}:${process.env.PATH ?? ''}`
const PEERS = ['libp2p', '@chainsafe/libp2p-noise', '@libp2p/tcp', '@libp2p/yamux', '@libp2p/ping', '@libp2p/interface', '@libp2p/utils', '@libp2p/crypto']
const TOOLS = ['typescript', '@types/node']
const UNWANTED = /^(lmdb|pg|pg-.*|pino|pino-.*|commander|msgpackr|msgpackr-extract|level|classic-level|better-sqlite3|vite|vitest|mixmint)$/

let folder: string
let consumer: string

async function run (command: string, args: readonly string[], cwd: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(command, [...args], { cwd, env: { ...process.env, PATH, npm_config_update_notifier: 'false' }, maxBuffer: 1 << 26 })
    return stdout
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string, stderr: string }
    throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}\n${stderr}`)
  }
}

/** All files of a package, as paths in it. */
function filesOf (root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
    .map(entry => relative(root, join(entry.parentPath, entry.name))).filter(path => !path.startsWith('node_modules'))
}

/** What the repository has of a package. */
function versionOf (name: string): string {
  return (JSON.parse(readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8')) as { version: string }).version
}

/** Packing rewrites manifests: in a copy, it disturbs nobody who works in the sources. */
async function pack (): Promise<string[]> {
  const tree = join(folder, 'tree')
  mkdirSync(tree)
  const kept = (path: string): boolean => !/\/(node_modules|dist)(\/|$)/.test(path.slice(ROOT.length - 1))
  for (const part of ['src', 'mixnet', 'pack.mjs', 'LICENSE', 'tsconfig.json']) cpSync(join(ROOT, part), join(tree, part), { recursive: true, filter: kept })
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'))
  const nested = join(ROOT, 'mixnet', 'node_modules')
  if (existsSync(nested)) symlinkSync(nested, join(tree, 'mixnet', 'node_modules'))
  const tarballs: string[] = []
  for (const room of ['src', 'mixnet']) {
    await run('npm', ['pack', '--pack-destination', folder], join(tree, room))
    // As it was: prepack's manifest is put back.
    expect(readFileSync(join(tree, room, 'package.json'), 'utf8')).toBe(readFileSync(join(ROOT, room, 'package.json'), 'utf8'))
  }
  for (const name of readdirSync(folder)) if (name.endsWith('.tgz')) tarballs.push(join(folder, name))
  return tarballs
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mixmint-consumer-'))
  const tarballs = await pack()
  expect(tarballs).toHaveLength(2)
  consumer = join(folder, 'consumer')
  mkdirSync(consumer)
  writeFileSync(join(consumer, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', ...tarballs, ...[...PEERS, ...TOOLS].map(name => `${name}@${versionOf(name)}`)], consumer)
})
afterAll(() => { rmSync(folder, { recursive: true, force: true }) })

test('no database, no program and no money comes in; the packages have JavaScript, declarations and their papers only', async () => {
  const { packages } = JSON.parse(readFileSync(join(consumer, 'package-lock.json'), 'utf8')) as { packages: Record<string, unknown> }
  const names = Object.keys(packages).filter(path => path !== '').map(path => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length))
  expect(names).toContain('@mixmint/core')
  expect(names.filter(name => UNWANTED.test(name))).toEqual([])
  // Nothing is missing, nothing wants another version than there is.
  await run('npm', ['ls', '--all'], consumer)
  for (const name of ['core', 'mixnet']) {
    const files = filesOf(join(consumer, 'node_modules', '@mixmint', name))
    expect(files.filter(file => !/^(dist\/.+\.(js|d\.ts)|package\.json|LICENSE|README\.md)$/.test(file))).toEqual([])
    expect(files.filter(file => /cash|wallet\.|bank|coin|example/.test(file))).toEqual([])
    const manifest = readFileSync(join(consumer, 'node_modules', '@mixmint', name, 'package.json'), 'utf8')
    expect(manifest).not.toMatch(/workspace|publishConfig|devDependencies|"scripts"|\.ts"(?!,\s*"default": "\.\/dist)(?<!\.d\.ts")/)
  }
  expect(filesOf(join(consumer, 'node_modules', '@mixmint', 'mixnet'))).toContain('README.md')
})

/** A network by hand, in a program of six nodes. */
const PROGRAM = `
import { noise } from '@chainsafe/libp2p-noise'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { lpStream } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { isMixmintError, lengthPrefixed, mix, exactly, type MixInit, type MixPoolEntry, type MixService, type MixStream } from '@mixmint/mixnet'

const start = async (init: MixInit, listen: string[] = ['/ip4/127.0.0.1/tcp/0']) => await createLibp2p({
  privateKey: await generateKeyPair('secp256k1'), addresses: { listen }, transports: [tcp()], connectionEncrypters: [noise()], streamMuxers: [yamux()],
  connectionManager: { inboundConnectionThreshold: 100 }, services: { ping: ping(), mix: mix(init) }
})
const parameters = { pathLength: 4, meanDelay: 2 }
const nodes = await Promise.all([
  start({ parameters, relay: { clients: true } }),
  start({ parameters, relay: true, serve: { '/shout/1': lengthPrefixed({ max: 100 }), '/ipfs/ping/1.0.0': exactly(32) } }),
  ...[1, 2, 3].map(async () => await start({ parameters, relay: true }))
])
const pool: MixPoolEntry[] = nodes.map(node => node.services.mix.describe())
for (const node of nodes) for (const entry of pool) node.services.mix.pool.add(entry)
const client = await start({ parameters, pool }, [])
await nodes[1].handle('/shout/1', async stream => {
  const lp = lpStream(stream)
  await lp.write(new TextEncoder().encode(new TextDecoder().decode((await lp.read()).subarray()).toUpperCase()))
  await stream.close()
})

const over: MixService = client.services.mix
const stream: MixStream = await over.dialProtocol(nodes[1].peerId, '/shout/1', { expectReply: true, signal: AbortSignal.timeout(20_000) })
const lp = lpStream(stream)
await lp.write(new TextEncoder().encode('over the mix'))
console.log(new TextDecoder().decode((await lp.read()).subarray()))
console.log(await over.client(ping()).ping(nodes[1].peerId) > 0)
try {
  await over.dialProtocol('nobody', '/shout/1')
} catch (error) {
  console.log(isMixmintError(error, 'bad-destination'))
}
for (const node of [client, ...nodes]) await node.stop()
`

test('a program compiles against the published declarations, all of them checked, and asks over the mix', async () => {
  writeFileSync(join(consumer, 'program.ts'), PROGRAM)
  // libp2p's own declarations want those of Node and of the DOM.
  const compilerOptions = { strict: true, skipLibCheck: false, target: 'es2024', lib: ['es2024', 'dom'], types: ['node'], module: 'nodenext', outDir: 'out' }
  writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['program.ts'] }))
  await run(process.execPath, [join(consumer, 'node_modules', 'typescript', 'bin', 'tsc')], consumer)
  expect((await run(process.execPath, ['out/program.js'], consumer)).trim().split('\n')).toEqual(['OVER THE MIX', 'true', 'true'])
})

test('inside the package nothing but its entry is reached', async () => {
  writeFileSync(join(consumer, 'inside.mjs'), 'await import(\'@mixmint/mixnet/service/mix\').then(() => console.log(\'reached\'), error => console.log(error.code))\n')
  expect((await run(process.execPath, ['inside.mjs'], consumer)).trim()).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED')
})

test('what is published goes into a browser bundle without anything of Node', async () => {
  writeFileSync(join(consumer, 'page.js'), 'export { mix } from \'@mixmint/mixnet\'\n')
  const bundle = await bundleForBrowser(join(consumer, 'page.js'), { minify: true })
  expect(foreign(bundle)).toEqual([])
  expect(bundle.modules.some(id => id.endsWith('@mixmint/core/dist/crypto/pure.js'))).toBe(true)
})
