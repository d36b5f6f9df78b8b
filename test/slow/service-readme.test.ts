/** The README of the package: its programs compile, and run as a network of their own; the codes of its table are those of the code. */
import { execFile } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const README = readFileSync(join(ROOT, 'mixnet', 'README.md'), 'utf8')
const PROGRAMS = [...README.matchAll(/^```ts\n\/\/ (\S+\.ts)\n(.*?)^```$/gms)].map(([, name, text]) => ({ name, text }))

/** What a network on one machine has otherwise. */
const HERE: ReadonlyArray<readonly [string, string]> = [
  ['/ip4/0.0.0.0/tcp/4001', '/ip4/127.0.0.1/tcp/0'], ['/ip4/0.0.0.0/tcp/4002/ws', '/ip4/127.0.0.1/tcp/0/ws'], ['privateAddresses: false', 'privateAddresses: true']
]

/** Starts a network of the README's relays, server and exit; asks with its programs; says what came of it. */
const RUN = `
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { noise } from '@chainsafe/libp2p-noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import './directory.ts'
import { nothingHappened, whyItEnded } from './errors.ts'
import { init as exit } from './exit.ts'
import { browserNode } from './page.ts'
import './parameters.ts'
import { pingOverMix } from './ping.ts'
import './plain.ts'
import { relay } from './relay.ts'
import { greet, init as serve } from './serve.ts'

const relays = []
for (const init of [{}, {}, {}, {}, serve, exit]) relays.push(await relay(init))
await relays[4].handle('/greet/1', greet)
const pool = relays.map(node => node.services.mix.describe())
for (const node of relays) for (const entry of pool) node.services.mix.pool.add(entry)
const outside = await createLibp2p({ addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] }, transports: [tcp()], connectionEncrypters: [noise()], streamMuxers: [yamux()], services: { ping: ping() } })

await writeFile('network.json', JSON.stringify({ pool, server: relays[4].peerId.toString() }))
const { stdout: asked } = await promisify(execFile)(process.execPath, ['ask.ts'])

const page = await browserNode(pool)
const { mix } = page.services
const pinged = await pingOverMix(mix, outside.getMultiaddrs()[0].toString())
const entry = pool.find(({ peer }) => peer === mix.status().entry)
const over = page.getConnections().map(({ remoteAddr }) => /\\/ws\\//.test(remoteAddr.toString()))

const refused = await mix.dialProtocol(relays[4].peerId, '/other/1')
refused.send(new Uint8Array(1))
try {
  for await (const part of refused) throw new Error('a reply of ' + part.byteLength + ' bytes')
} catch (error) {
  if (refused.failure === undefined) throw error
}
const ended = whyItEnded(refused).split(':')[0]
const nothing = nothingHappened(refused.failure)
console.log(JSON.stringify({ asked, pinged: pinged > 0, clients: entry?.clients, over, ended, nothing }))
for (const node of [page, outside, ...relays]) await node.stop()
`

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mixmint-readme-'))
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  const replaced = new Set<string>()
  for (const { name, text } of PROGRAMS) {
    writeFileSync(join(folder, name), HERE.reduce((said, [there, here]) => {
      if (said.includes(there)) replaced.add(there)
      return said.replaceAll(there, here)
    }, text))
  }
  expect([...replaced].sort()).toEqual(HERE.map(([there]) => there).sort())
  writeFileSync(join(folder, 'run.ts'), RUN)
})
afterAll(() => { rmSync(folder, { recursive: true, force: true }) })

it('has programs that compile', async () => {
  expect(PROGRAMS.length).toBeGreaterThan(8)
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ extends: join(ROOT, 'tsconfig.json'), compilerOptions: { noEmit: true, rootDir: '/' }, include: [], files: [join(ROOT, 'src', 'crypto', 'sodium-native.d.ts'), ...PROGRAMS.map(({ name }) => name)] }))
  const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', folder]).catch((error: unknown) => error as { stdout: string })
  expect(stdout).toBe('')
})

it('and that run as a network', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['run.ts'], { cwd: folder })
  expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toEqual({
    asked: 'hello world, whoever you are\n', pinged: true, clients: true, over: [true], ended: 'refused', nothing: false
  })
})

it('names errors that there are', () => {
  const sources = globSync(['mixnet/**/*.ts', 'src/kit/*.ts'], { cwd: ROOT, exclude: ['**/node_modules/**', '**/dist/**'] }).map(file => readFileSync(join(ROOT, file), 'utf8')).join('\n')
  const table = README.slice(README.indexOf('| where | code |'), README.indexOf('## Limits'))
  const codes = table.split('\n').flatMap(row => [...(row.split('|')[2] ?? '').matchAll(/`([a-z-]+)`/g)].map(([, code]) => code))
  expect(codes.length).toBeGreaterThan(30)
  // An exit puts its name before what went wrong.
  expect(codes.filter(code => ![code, code.replace(/^exit-/, '')].some(said => sources.includes(`'${said}'`)))).toEqual([])
})
