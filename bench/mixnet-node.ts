/**
 * One mix in a process of its own, as the daemon runs it: a libp2p host, the engine, links, and the log of seen tags on
 * disk; told by its parent what to be. Its delays come from a seed, so that the parent can draw the same.
 */
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromHex, toHex } from '@mixmint/core/kit/bytes'
import type { Rng } from '@mixmint/core/kit/ports'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { MixEngine, type MixParameters, type MixCounts } from '@mixmint/mixnet/mixing/engine'
import { MixNode } from '@mixmint/mixnet/wire/mix-node'
import { SeenLog } from '@mixmint/mixnet/wire/seen-log'
import { systemClock } from '../nodes/clock.ts'
import { createHost } from '../nodes/host.ts'
import { freshIdentity } from '../nodes/identity.ts'

/** What the parent sends first. */
export interface Setup {
  /** X25519, hexadecimal. */
  readonly secret: string
  readonly meanDelay: number
  readonly seed: string
  /** The one node behind it: peer id in hexadecimal, addresses. */
  readonly next: { readonly peer: string, readonly addresses: readonly string[] }
}

export interface Ready { readonly peer: string, readonly addresses: readonly string[] }

/** Answer to 'report'. Memory in bytes: what this process alone holds (not files that it maps). CPU in ms since its start. */
export interface Report { readonly anonymous: number, readonly cpu: number, readonly mix: MixCounts }

/** SHA-256 of the seed and a counter, as a stream. */
export function streamOf (seed: string): Rng {
  let block = 0
  let held = Buffer.alloc(0)
  return {
    bytes: length => {
      while (held.length < length) held = Buffer.concat([held, createHash('sha256').update(`${seed}/${block++}`).digest()])
      const out = new Uint8Array(held.subarray(0, length))
      held = held.subarray(length)
      return out
    }
  }
}

/** Anonymous resident memory of this process, bytes (Linux). */
function anonymousMemory (): number {
  const line = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))
  return line === null ? process.memoryUsage().rss : Number(line[1]) * 1024
}

async function run ({ secret, meanDelay, seed, next }: Setup): Promise<void> {
  const suite = await defaultSuite()
  const host = await createHost({ privateKey: await freshIdentity(), role: 'node', isKnown: () => true, listen: ['/ip4/127.0.0.1/tcp/0'], meter: { count: () => {} } })
  const folder = mkdtempSync(join(tmpdir(), 'mixmint-bench-'))
  const drawn = streamOf(seed)
  const parameters: MixParameters = { packetSize: 4608, strategy: { kind: 'poisson' }, meanDelay, queueLimit: 1 << 16, replayLimit: 1 << 22 }
  const seenLog = new SeenLog(folder)
  // The first draw salts the seen tags; the parent skips it.
  const node = new MixNode({
    node: host.node, clock: systemClock, rng: drawn, meter: { count: () => {} }, seenLog,
    engine: new MixEngine({
      suite, self: host.peer, parameters,
      topology: { mayForward: () => true, mayReachWallet: () => false }
    }),
    neighbourhood: { addresses: peer => peer === next.peer ? next.addresses : [], accepts: () => true }
  })
  let epoch = 0
  const install = (): void => {
    seenLog.create(epoch, fromHex(secret))
    node.install({ epoch, privateKey: fromHex(secret), from: 0, until: Infinity })
  }
  install()
  await node.start()
  process.on('message', (told: 'report' | 'rotate' | 'stop') => {
    if (told === 'report') {
      const { user, system } = process.cpuUsage()
      process.send?.({ anonymous: anonymousMemory(), cpu: (user + system) / 1000, mix: node.counts().mix } satisfies Report)
    } else if (told === 'rotate') {
      epoch += 1
      install()
      node.setEpoch(epoch, parameters)
      if (epoch > 1) node.retire(epoch - 2)
    } else {
      node.stop(1000).then(async () => { await host.stop() }).finally(() => {
        rmSync(folder, { recursive: true, force: true })
        process.disconnect()
      }).catch(() => {})
    }
  })
  process.send?.({ peer: toHex(host.peer), addresses: host.addresses() } satisfies Ready)
}

if (process.send !== undefined) {
  process.once('message', (setup: Setup) => {
    run(setup).catch((error: unknown) => {
      console.error(error)
      process.exit(1)
    })
  })
}
