import { privateKeyFromRaw } from '@libp2p/crypto/keys'
import { afterEach, expect, it } from 'vitest'
import type { Log } from '@mixmint/core/kit/ports'
import type { BasePorts } from '@mixmint/core/kit/saga'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { Authority } from '@mixmint/mixnet/directory/authority'
import { answerAsMirror, askOver, serveDirectory } from '@mixmint/mixnet/wire/directory'
import { AuthorityServer } from '@mixmint/mixnet/wire/directory-authority'
import { DirectoryKeeper } from '@mixmint/mixnet/wire/directory-keeper'
import { entryOf, type Target } from '@mixmint/mixnet/wire/peers'
import { RpcClient } from '@mixmint/mixnet/wire/rpc-client'
import { createHost, type Host, type HostRole } from '../../nodes/host.ts'
import { admissionOf, authorityKeys, NETWORK, PARAMETERS, testNetwork, testNode, type TestNode } from '../doubles/directory.ts'
import { MemoryKeys } from '../doubles/memory-keys.ts'
import { MemoryStore } from '../doubles/memory-store.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'

const suite = await defaultSuite()
const clock = { now: (): number => Date.now() }
const quiet: Log = { info: () => {}, warn: () => {}, error: () => {} }
const meter = new CountingMeter()
const running: Array<{ stop: () => Promise<void> }> = []
afterEach(async () => { for (const part of running.splice(0).reverse()) await part.stop() })

const portsOf = (name: string): BasePorts => ({ clock, store: new MemoryStore(), rng: seededRng(name), wait: async () => {} })

async function host (node: TestNode, role: HostRole): Promise<{ host: Host, rpc: RpcClient, target: Target }> {
  const made = await createHost({ privateKey: privateKeyFromRaw(node.secret), role, listen: role === 'wallet' ? [] : ['/ip4/127.0.0.1/tcp/0'], meter, isKnown: () => true })
  const rpc = new RpcClient({ node: made.node, meter })
  running.push(made, { stop: async () => { rpc.close() } })
  return { host: made, rpc, target: { peer: made.peer, addresses: made.addresses() } }
}

it('over TCP, an authority, its nodes, a mirror and a wallet come to the same document as soon as all are there', async () => {
  const nodes = testNetwork(1)
  const [key] = authorityKeys(suite, 1)
  const trust = { network: NETWORK, authorities: [key.publicKey] }
  const authority = new AuthorityServer({
    authority: new Authority(suite, { key, trust, parameters: PARAMETERS, admitted: nodes.map(node => admissionOf(node)), bootstrapWait: 600_000 }, meter, quiet),
    ports: portsOf('authority'), log: quiet, meter, askOther: () => null
  })
  const at = await host(testNode('authority'), 'authority')
  await authority.start()
  await serveDirectory(at.host.node, authority.answer, { meter })
  running.push(authority)

  const keepers = await Promise.all(nodes.map(async ({ node, change }) => {
    const own = await host(node, 'node')
    const entry = change.role === 'gateway' ? await host(node, 'entry') : null
    const ask = askOver(own.rpc, at.target)
    const keeper = new DirectoryKeeper({
      suite, trust, ports: portsOf(node.name), log: quiet, meter, sources: [ask],
      node: {
        secret: node.secret, mixKeys: change.mixKeys === undefined ? new MemoryKeys() : null, publishTo: () => [ask],
        describe: async () => ({ role: change.role ?? 'mix', kind: change.kind ?? '', addresses: [...own.target.addresses], entry: [...entry?.target.addresses ?? []], body: change.body ?? new Uint8Array(0) })
      }
    })
    await keeper.start()
    for (const door of [own, ...(entry === null ? [] : [entry])]) {
      await serveDirectory(door.host.node, async request => await answerAsMirror(keeper.client, clock, request), { meter })
    }
    running.push(keeper)
    return keeper
  }))
  const views = await Promise.all(keepers.map(async keeper => await keeper.ready(AbortSignal.timeout(20_000))))
  for (const view of views) expect(view.signed).toEqual(views[0].signed)

  // The wallet knows only a gateway.
  const wallet = await host(testNode('wallet'), 'wallet')
  const mirror = new DirectoryKeeper({ suite, trust, ports: portsOf('wallet'), log: quiet, meter, sources: [askOver(wallet.rpc, entryOf(views[0].gateways[0]))] })
  running.push(mirror)
  await mirror.start()
  expect((await mirror.ready(AbortSignal.timeout(20_000))).signed).toEqual(views[0].signed)
})
