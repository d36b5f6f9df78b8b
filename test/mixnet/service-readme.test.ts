/** The README of the package: its programs compile, and run as a network of their own; the codes of its table are those of the code. */
import { execFile } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import ts from 'typescript'
import { afterAll, beforeAll, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const README = readFileSync(join(ROOT, 'mixnet', 'README.md'), 'utf8')
const PROGRAMS = [...README.matchAll(/^```ts\n\/\/ (\S+\.ts)\n(.*?)^```$/gms)].map(([, name, text]) => ({ name, text }))

/** What a network on one machine has otherwise. */
const HERE: ReadonlyArray<readonly [string, string]> = [
  ['/ip4/0.0.0.0/tcp/4001', '/ip4/127.0.0.1/tcp/0'], ['/ip4/0.0.0.0/tcp/4002/ws', '/ip4/127.0.0.1/tcp/0/ws'], ['privateAddresses: false', 'privateAddresses: true']
]

/** Also uses `ask.ts`, as a program. Starts a network of the README's relays, server and exit; asks with its programs; says what came of it. */
const RUN = `
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { noise } from '@chainsafe/libp2p-noise'
import { ping } from '@libp2p/ping'
import { lpStream } from '@libp2p/utils'
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
const over = page.getConnections().map(({ remoteAddr }) => remoteAddr.toString().includes('/ws'))

const refused = await mix.dialProtocol(relays[4].peerId, '/other/1')
refused.send(new Uint8Array(1))
const heard = await lpStream(refused).read().then(() => 'a reply', nothingHappened)

await writeFile('outcome.json', JSON.stringify({ asked, pinged, takesClients: entry?.clients, over, heard, ended: whyItEnded(refused) }))
for (const node of [page, outside, ...relays]) await node.stop()
`

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mixmint-readme-'))
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  const found = new Set<string>()
  for (const { name, text } of PROGRAMS) {
    const here = HERE.reduce((said, [there, instead]) => {
      if (said.includes(there)) found.add(there)
      return said.replaceAll(there, instead)
    }, text)
    writeFileSync(join(folder, name), here)
  }
  writeFileSync(join(folder, 'run.ts'), RUN)
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  expect([...found]).toHaveLength(HERE.length)
})
afterAll(() => { rmSync(folder, { recursive: true, force: true }) })

it('every program has a name of its own', () => {
  expect(PROGRAMS).toHaveLength([...README.matchAll(/^```ts$/gm)].length)
  expect(new Set(PROGRAMS.map(({ name }) => name)).size).toBe(PROGRAMS.length)
  // All of them are used below.
  for (const { name } of PROGRAMS) expect(RUN).toContain(name)
})

it('they compile', () => {
  const program = ts.createProgram([join(folder, 'run.ts'), join(folder, 'ask.ts'), join(ROOT, 'src', 'crypto', 'sodium-native.d.ts')], {
    strict: true, noEmit: true, skipLibCheck: true, allowImportingTsExtensions: true, erasableSyntaxOnly: true, noUnusedLocals: true,
    target: ts.ScriptTarget.ES2024, lib: ['lib.es2024.d.ts', 'lib.dom.d.ts'], module: ts.ModuleKind.NodeNext,
    types: ['node'], typeRoots: [join(ROOT, 'node_modules', '@types')]
  })
  const wrong = ts.getPreEmitDiagnostics(program).map(({ file, start = 0, messageText }) =>
    `${file?.fileName ?? ''}:${(file?.getLineAndCharacterOfPosition(start).line ?? 0) + 1} ${ts.flattenDiagnosticMessageText(messageText, ' ')}`)
  expect(wrong).toEqual([])
  for (const { name } of PROGRAMS) expect(program.getSourceFile(join(folder, name))).toBeDefined()
})

it('they run: relays, a server, an exit; one asks over TCP, as the README does, one over WebSocket', async () => {
  await promisify(execFile)(process.execPath, ['run.ts'], { cwd: folder, timeout: 100_000 })
  expect(JSON.parse(readFileSync(join(folder, 'outcome.json'), 'utf8'))).toEqual({
    asked: 'hello world, whoever you are\n',
    pinged: expect.any(Number),
    takesClients: true,
    over: [true],
    heard: false,
    ended: expect.stringMatching(/^refused: .*unknown-protocol/)
  })
})

it('codes in the table are in the code, and what the service refuses with is in the table', () => {
  const inTable = new Set([...README.matchAll(/^\|.*\|.*\|.*\|$/gm)].flatMap(([row]) => [...row.split('|')[2].matchAll(/`([a-z-]+)`/g)].map(([, code]) => code)))
  const sources = (pattern: string): string => globSync(pattern, { cwd: ROOT }).map(file => readFileSync(join(ROOT, file), 'utf8')).join('\n')
  const [all, service] = [sources('mixnet/{service,session,wire,pool}/*.ts'), sources('mixnet/service/*.ts')]
  const exits = [...service.matchAll(/refusal\('([a-z]+)'/g)].map(([, what]) => `exit-${what}`)
  expect([...inTable].filter(code => !all.includes(`'${code}'`) && !exits.includes(code))).toEqual([])
  const told = [...exits, ...[...service.matchAll(/new MixmintError\('([a-z-]+)'/g)].map(([, code]) => code)]
  expect(told.length).toBeGreaterThan(20)
  // Of streams that end between two nodes, and of functions that check an argument, nobody is told over the mix.
  expect([...new Set(told)].filter(code => !inTable.has(code) && !['stranger', 'exit-done'].includes(code))).toEqual([])
})
