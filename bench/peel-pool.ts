/**
 * Would a pool of threads that peel pay? The same packets peeled on the main thread, and by workers that get them in
 * batches. A worker cannot share the set of seen tags, so the pool is also spared that; and yet its main thread is busy
 * with handing over, which counts against it: what matters to a node is the time of the thread that has the sockets.
 */
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { randomBytes } from 'node:crypto'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { peel } from '@mixmint/mixnet/sphinx/peel'
import { wrap } from '@mixmint/mixnet/sphinx/wrap'

const BATCH = 16
const PACKETS = 6000
/** Batches that a worker has at one time. */
const AHEAD = 4

export interface PoolFigures {
  /** Packets per second. */
  readonly alone: number
  readonly pooled: number
  /** Of the main thread, µs for a packet, while the pool peels. */
  readonly handing: number
}

export async function comparePool (workers: number): Promise<PoolFigures> {
  const suite = await defaultSuite()
  const [key, other, message, here] = [32, 32, 3968, 94].map(length => new Uint8Array(randomBytes(length)))
  const hops = [key, other].map((secret, i) => ({ publicKey: suite.x25519Base(secret), address: new Uint8Array(94), delay: i === 1 ? 0 : 50 }))
  const packets = Array.from({ length: PACKETS }, () => wrap(suite, new Uint8Array(randomBytes(32)), hops, here, message))
  const started = performance.now()
  for (const packet of packets) peel(suite, key, packet)
  const alone = PACKETS * 1000 / (performance.now() - started)

  const pool = await Promise.all(Array.from({ length: workers }, async () => {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: key })
    await new Promise(resolve => worker.once('message', resolve))
    return worker
  }))
  const busy = performance.eventLoopUtilization()
  const from = performance.now()
  let next = 0
  let back = 0
  await new Promise<void>(resolve => {
    for (const worker of pool) {
      const give = (): void => {
        const batch = packets.slice(next, next += BATCH)
        if (batch.length > 0) worker.postMessage(batch)
      }
      worker.on('message', (peeled: unknown[]) => {
        back += peeled.length
        if (back === PACKETS) resolve()
        else give()
      })
      for (let i = 0; i < AHEAD; i++) give()
    }
  })
  const took = performance.now() - from
  const { utilization } = performance.eventLoopUtilization(busy)
  for (const worker of pool) await worker.terminate()
  return { alone, pooled: PACKETS * 1000 / took, handing: utilization * took * 1000 / PACKETS }
}

if (!isMainThread && parentPort !== null) {
  const port = parentPort
  const suite = await defaultSuite()
  port.on('message', (batch: Uint8Array[]) => { port.postMessage(batch.map(packet => peel(suite, workerData as Uint8Array, packet))) })
  port.postMessage([])
}
