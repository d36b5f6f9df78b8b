/** A center in a process of its own, as the daemon serves it: a libp2p host, the engine, and LMDB; told by its parent what to be. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromHex, toHex } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { Ring, SignedKeyset } from '@mixmint/core/cash/formats'
import { CENTER_PROTOCOL, CenterReply, CenterRequest } from '@mixmint/core/cash/messages'
import { serveRpc } from '@mixmint/mixnet/wire/rpc-server'
import { createHost } from '../nodes/host.ts'
import { freshIdentity } from '../nodes/identity.ts'
import { openLmdb } from '../nodes/store/lmdb.ts'
import { centerOf } from './center-of.ts'
import { run } from './durable.ts'

/** What the parent sends first, in hexadecimal. */
export interface Setup { readonly keyset: string, readonly ring: string }

export interface Ready { readonly peer: string, readonly address: string }

/** Answer to 'report': ms since the start in which its thread had something to do. */
export type Report = number

async function serve ({ keyset, ring }: Setup): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'mixmint-bench-'))
  const store = await openLmdb(folder)
  const meter = { count: () => {} }
  const { engine } = centerOf(await defaultSuite(), decode(SignedKeyset, fromHex(keyset)), decode(Ring, fromHex(ring)))
  const host = await createHost({ privateKey: await freshIdentity(), role: 'node', isKnown: () => true, listen: ['/ip4/127.0.0.1/tcp/0'], meter })
  const { close } = await serveRpc(host.node, CENTER_PROTOCOL, async (_from, _protocol, body) => encode(CenterReply, await run(store, engine.handle(decode(CenterRequest, body)))), { meter })
  process.on('message', (told: 'report' | 'stop') => {
    if (told === 'report') {
      process.send?.(performance.eventLoopUtilization().active satisfies Report)
    } else {
      close().then(async () => { await host.stop(); await store.close() }).finally(() => {
        rmSync(folder, { recursive: true, force: true })
        process.disconnect()
      }).catch(() => {})
    }
  })
  process.send?.({ peer: toHex(host.peer), address: host.addresses()[0] } satisfies Ready)
}

process.once('message', (setup: Setup) => {
  serve(setup).catch((error: unknown) => {
    console.error(error)
    process.exit(1)
  })
})
