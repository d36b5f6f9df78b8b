/**
 * The mix layer against a node of LIBP2P-MIX that shares nothing with it, in Go on go-libp2p (test/interop), over TCP: each
 * relays for the other, answers the other, asks the other; and what one sends amiss costs it its packet, or its stream,
 * and nobody else anything.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { lpStream } from '@libp2p/utils'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { concat, utf8 } from '@mixmint/core/kit/bytes'
import { lengthPrefixed, type MixInit } from '@mixmint/mixnet'
import { buildGo, GoNode } from '../interop/go-node.ts'
import { mixedNode, type MixedNode } from '../mixnet/service-nodes.ts'

const VECTORS = fileURLToPath(new URL('../vectors/lip99-sphinx.json', import.meta.url))
const GREET = '/interop/greet/1'
const MEAN_DELAY = 2
/** Return paths that go with a request of ours; all of them are used. */
const COPIES = 2

const folder = mkdtempSync(join(tmpdir(), 'mixmint-interop-'))
const built = await buildGo(folder)
if ('lacking' in built) process.stderr.write(`tests against another implementation are left out: ${built.lacking}\n`)
const program = 'program' in built ? built.program : ''

afterAll(() => { rmSync(folder, { recursive: true, force: true }) })

/** Resolves when it holds; the test's own timeout is the limit. */
async function until (condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!await condition()) await new Promise(resolve => setTimeout(resolve, 5))
}

async function ours (pathLength: number, init: MixInit = {}, listen?: string[]): Promise<MixedNode> {
  return await mixedNode({ framing: 'plain', parameters: { pathLength, meanDelay: MEAN_DELAY }, relay: true, ...init }, listen === undefined ? {} : { listen })
}

/** One of ours that answers; it counts how often it was asked. */
async function server (pathLength: number): Promise<MixedNode & { asked: () => number }> {
  let asked = 0
  const node = await ours(pathLength, { serve: { [GREET]: lengthPrefixed({ max: 3000 }) } })
  await node.handle(GREET, async stream => {
    asked += 1
    const lp = lpStream(stream)
    await lp.write(concat(utf8('hello '), (await lp.read()).subarray()))
    await stream.close()
  })
  return Object.assign(node, { asked: () => asked })
}

function introduce (to: MixedNode, ...others: Array<MixedNode | GoNode>): void {
  for (const other of others) to.services.mix.pool.add(other instanceof GoNode ? other.entry : other.services.mix.describe())
}

/** One of ours asks a node by its peer id. */
async function ask (node: MixedNode, peer: string, protocol: string, content: Uint8Array): Promise<Uint8Array> {
  const lp = lpStream(await node.services.mix.dialProtocol(peer, protocol))
  await lp.write(content)
  return (await lp.read()).subarray().slice()
}

async function counts (nodes: readonly GoNode[], what: string): Promise<number[]> {
  return await Promise.all(nodes.map(async node => await node.count(what)))
}


describe.skipIf(program === '')('with nodes in Go', { timeout: 120_000 }, () => {
  let go: GoNode[]

  beforeAll(async () => { go = await Promise.all([1, 2, 3, 4].map(async () => await GoNode.start(program))) })
  afterAll(async () => { await Promise.all(go.map(async node => { await node.stop() })) })

  test('the vectors hold in Go', () => {
    expect(execFileSync(program, ['-vectors', VECTORS], { encoding: 'utf8' })).toBe('3 vectors hold\n')
  })

  describe.each([3, 4, 5])('paths of %i hops', length => {
    test('we ask ourselves through Go, there and back', async () => {
      const relays = go.slice(0, length - 1)
      const [asker, answerer] = [await ours(length), await server(length)]
      introduce(asker, answerer, ...relays)
      introduce(answerer, asker, ...relays)
      const before = await counts(relays, 'forwarded')
      expect(await ask(asker, answerer.peerId.toString(), GREET, utf8('go'))).toEqual(utf8('hello go'))
      // There is no other way than over all of them: once there, and back for each return path.
      await until(async () => (await counts(relays, 'forwarded')).every((count, i) => count === before[i] + 1 + COPIES))
      expect(answerer.asked()).toBe(1)
      expect(asker.services.mix.status().packets?.mix).toMatchObject({ forwarded: 0, dropped: {} })
      expect(answerer.services.mix.status().packets?.mix).toMatchObject({ forwarded: 0, dropped: {} })
    })
  })
})
