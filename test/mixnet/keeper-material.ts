/** Authorities, keepers and nodes of the directory in one process, and time that passes in a test's hands. */
import { afterEach, beforeEach, expect, vi } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import type { Log, Store } from '@mixmint/core/kit/ports'
import type { BasePorts } from '@mixmint/core/kit/saga'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { Authority } from '@mixmint/mixnet/directory/authority'
import type { Ask } from '@mixmint/mixnet/wire/directory'
import { AuthorityServer } from '@mixmint/mixnet/wire/directory-authority'
import { DirectoryKeeper, type KeeperOptions } from '@mixmint/mixnet/wire/directory-keeper'
import { admissionOf, authorityKeys, NETWORK, PARAMETERS, START, testNetwork, type Placed } from '../doubles/directory.ts'
import { MemoryKeys } from '../doubles/memory-keys.ts'
import { MemoryStore } from '../doubles/memory-store.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'

export const suite = await defaultSuite()
export const keys = authorityKeys(suite, 4)
export const nodes = testNetwork(1)
export const NOW = START + 600_000
export const clock = { now: (): number => Date.now() }
export const quiet: Log = { info: () => {}, warn: () => {}, error: () => {} }
const running: Array<{ stop: () => Promise<void> }> = []
let seeds = 0

/** Time passes in a test's own hands, from NOW on; what it has started ends with it. */
export function withTime (): void {
  beforeEach(() => { vi.useFakeTimers({ now: NOW, toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] }) })
  afterEach(async () => {
    await Promise.all(running.splice(0).map(async part => { await part.stop() }))
    vi.useRealTimers()
  })
}

export function portsOn (store: Store = new MemoryStore()): BasePorts {
  return { clock, store, rng: seededRng(seeds++), wait: async ms => { await new Promise(resolve => setTimeout(resolve, ms)) } }
}

/** Authorities that reach each other, and how nodes ask them. */
export async function authorities (n: number, parts: { readonly store?: Store, readonly meter?: CountingMeter, readonly more?: readonly Placed[] } = {}): Promise<Ask[]> {
  const { store, meter = new CountingMeter(), more = [] } = parts
  const trust = { network: NETWORK, authorities: keys.slice(0, n).map(({ publicKey }) => publicKey) }
  const asks = new Map<string, Ask>()
  for (const key of keys.slice(0, n)) {
    const authority = new Authority(suite, { key, trust, parameters: PARAMETERS, admitted: [...nodes, ...more].map(node => admissionOf(node)), bootstrapWait: 3_000 }, new CountingMeter(), quiet)
    const server = new AuthorityServer({ authority, ports: portsOn(store), log: quiet, meter, askOther: other => asks.get(toHex(other)) ?? null })
    asks.set(toHex(key.publicKey), async request => await server.answer(request))
    await server.start()
    running.push(server)
  }
  return [...asks.values()]
}

export async function keeper (sources: readonly Ask[], more: Partial<KeeperOptions> = {}, n = 1): Promise<DirectoryKeeper> {
  const made = new DirectoryKeeper({
    suite, ports: portsOn(), log: quiet, meter: new CountingMeter(), sources,
    trust: { network: NETWORK, authorities: keys.slice(0, n).map(({ publicKey }) => publicKey) }, ...more
  })
  running.push(made)
  await made.start()
  return made
}

export async function nodeKeeper ({ node, change }: Placed, asks: readonly Ask[], more: Partial<KeeperOptions> = {}, part: object = {}): Promise<DirectoryKeeper> {
  return await keeper(asks, {
    ...more,
    node: {
      secret: node.secret,
      mixKeys: change.mixKeys === undefined ? new MemoryKeys() : null,
      publishTo: () => asks,
      describe: async () => ({ role: change.role ?? 'mix', kind: change.kind ?? '', addresses: ['/ip4/127.0.0.1/tcp/4001'], entry: change.entry ?? [], body: change.body ?? new Uint8Array(0) }),
      ...part
    }
  }, asks.length)
}

export const pass = async (ms: number): Promise<void> => { await vi.advanceTimersByTimeAsync(ms) }
/** Let a stretch of time pass in steps, as long waits re-arm on the way. */
export const passUntil = async (time: number): Promise<void> => { while (clock.now() < time) await pass(Math.min(30_000, time - clock.now())) }
export const withCode = (code: string): object => expect.objectContaining({ name: 'MixmintError', code })
export const never = new AbortController().signal
