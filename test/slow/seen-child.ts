/**
 * The process under test of seen-log.test.ts: does as the word says in a folder, and writes to standard output (descriptor
 * 1, at once) what it has done.
 */
import { createHash, randomBytes } from 'node:crypto'
import { rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { toHex } from '@mixmint/core/kit/bytes'
import { asMixmintError } from '@mixmint/core/kit/saga'
import { MixEngine } from '@mixmint/mixnet/mixing/engine'
import { MixNode } from '@mixmint/mixnet/wire/mix-node'
import { SeenLog } from '@mixmint/mixnet/wire/seen-log'
import { systemClock, systemRng } from '../../nodes/clock.ts'
import { createHost } from '../../nodes/host.ts'
import { freshIdentity } from '../../nodes/identity.ts'

const [dir, task, secret] = process.argv.slice(2)
const pause = new Int32Array(new SharedArrayBuffer(4))
const say = (what: unknown): void => {
  const line = Buffer.from(`${typeof what === 'string' ? what : JSON.stringify(what)}\n`)
  for (let done = 0; done < line.length;) {
    try {
      done += writeSync(1, line, done)
    } catch (error) {
      // Whoever reads is slower: nothing said is lost.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      Atomics.wait(pause, 0, 0, 1)
    }
  }
}
const key = new Uint8Array(Buffer.from(secret, 'hex'))
const tags = (count: number): Uint8Array[] => Array.from({ length: count }, () => new Uint8Array(randomBytes(32)))
const log = new SeenLog(join(dir, 'seen'))
log.create(1, key)

if (task === 'one by one') {
  log.load(1, key)
  for (let i = 0; i < 5; i++) {
    say(`ASK ${i}`)
    await log.append(1, tags(3))
    say(`TOLD ${i}`)
  }
} else if (task === 'fill') {
  // A small disk: fill it, be refused, make room, go on; then say what a reader finds.
  log.load(1, key)
  const ballast = join(dir, 'ballast')
  writeFileSync(ballast, new Uint8Array(1 << 18))
  let done = 0
  let refusal = 'none'
  const append = async (count: number): Promise<boolean> => await log.append(1, tags(count)).then(() => { done += count; return true }, (error: unknown) => { refusal = asMixmintError(error).code; return false })
  while (await append(500)) if (done > 1e6) throw new Error('the disk has no end')
  const again = await append(500)
  rmSync(ballast)
  const later = [await append(500), await append(1)]
  await log.close()
  const found = [...new SeenLog(join(dir, 'seen')).load(1, key)].length
  say({ refusal, again, later, done, found })
} else if (task === 'mix') {
  // The end of paths: says the name of each message that it was handed, at once.
  const suite = await defaultSuite()
  const host = await createHost({ privateKey: await freshIdentity(), role: 'node', listen: ['/ip4/127.0.0.1/tcp/0'], isKnown: () => true, meter: { count: () => {} } })
  const engine = new MixEngine({
    suite, self: host.peer, parameters: { strategy: { kind: 'poisson' }, meanDelay: 1, packetSize: 4608, queueLimit: 10_000, replayLimit: 1 << 20 },
    topology: { mayForward: () => false, mayReachWallet: () => false }
  })
  const node = new MixNode({
    node: host.node, engine, neighbourhood: { addresses: () => [], accepts: () => true }, clock: systemClock, rng: systemRng, meter: { count: () => {} }, seenLog: log,
    onDeliver: message => { say({ heard: createHash('sha256').update(message).digest('hex') }) }
  })
  node.install({ epoch: 1, privateKey: key, from: 0, until: Infinity })
  await node.start()
  say({ peer: toHex(host.peer), addresses: host.addresses() })
}
