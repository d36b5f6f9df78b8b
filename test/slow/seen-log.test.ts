/**
 * Seen tags, as the kernel sees them (strace: on disk before anybody is told), on a disk that is full, and in a mix that is
 * killed under load: what it had handed on before it does not hand on again.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { fromHex } from '@mixmint/core/kit/bytes'
import { MixEngine } from '@mixmint/mixnet/mixing/engine'
import { addressBlock } from '@mixmint/mixnet/sphinx/address'
import { wrap } from '@mixmint/mixnet/sphinx/wrap'
import { MixNode } from '@mixmint/mixnet/wire/mix-node'
import { systemClock, systemRng } from '../../nodes/clock.ts'
import { startHost, until } from '../mixnet/hosts.ts'
import { HERE, suite } from '../mixnet/mix-material.ts'

const root = mkdtempSync(join(tmpdir(), 'mixmint-seen-'))
const child = fileURLToPath(new URL('seen-child.ts', import.meta.url))
const secret = randomBytes(32)
const hasStrace = spawnSync('strace', ['-V']).status === 0
/** A mount namespace of our own: as root, or as a user where the kernel allows that. */
const unshare = [['-m'], ['-rm']].find(flags => spawnSync('unshare', [...flags, 'mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', root]).status === 0)
const children: ChildProcess[] = []
afterAll(() => {
  for (const process of children) process.kill('SIGKILL')
  rmSync(root, { recursive: true, force: true })
})

it.skipIf(!hasStrace)('tags are written and synced before it is told that they are', () => {
  const [dir, trace] = [join(root, 'traced'), join(root, 'trace')]
  mkdirSync(dir)
  const run = spawnSync('strace', ['-f', '-qq', '-y', '-e', 'trace=write,pwrite64,fsync,fdatasync,rename', '-o', trace, process.execPath, child, dir, 'one by one', secret.toString('hex')], { encoding: 'utf8' })
  expect(run.status, run.stderr).toBe(0)
  const events = readFileSync(trace, 'utf8').split('\n').flatMap(line =>
    /write\(1<.*"ASK/.test(line) ? 'ask'
      : /write\(1<.*"TOLD/.test(line) ? 'told'
        // What has ended: a call that was interrupted in the trace counts where it is resumed.
        : /pwrite64(\(\d+<[^>]*tags>| resumed>).* = \d+$/.test(line) && !line.includes('unfinished') ? 'data'
          : /fdatasync(\(\d+<[^>]*tags>| resumed>).* = 0$/.test(line) ? 'sync'
            : /rename\(.*tags"\) = 0/.test(line) ? 'made'
              : /fsync\(.*\/seen>\) *= 0/.test(line) ? 'folder' : [])
  // The header follows one behind: from the second time on two writes.
  expect(events).toEqual(['made', 'folder', 'ask', 'data', 'sync', 'told', ...Array.from({ length: 4 }, () => ['ask', 'data', 'data', 'sync', 'told']).flat()])
})

it.skipIf(unshare === undefined)('a full disk refuses tags, keeps those it has, and takes more when there is room', () => {
  const script = `mount -t tmpfs -o size=1m tmpfs ${root} && exec "$0" "$1" ${root} fill ${secret.toString('hex')}`
  const run = spawnSync('unshare', [...unshare as string[], 'sh', '-c', script, process.execPath, child], { encoding: 'utf8' })
  expect(run.status, run.stderr).toBe(0)
  const { refusal, again, later, done, found } = JSON.parse(run.stdout) as Record<string, unknown>
  expect({ refusal, again, later }).toEqual({ refusal: 'seen-log-failed', again: false, later: [true, true] })
  expect(done).toBeGreaterThan(5000)
  expect(found).toBe(done)
})

describe('a mix that is killed', () => {
  interface Running { readonly peer: Uint8Array, readonly addresses: string[], readonly heard: string[], readonly kill: () => Promise<void> }

  async function start (dir: string): Promise<Running> {
    const process_ = spawn(process.execPath, [child, dir, 'mix', secret.toString('hex')], { stdio: ['ignore', 'pipe', 'inherit'] })
    children.push(process_)
    const heard: string[] = []
    const ready = Promise.withResolvers<{ peer: string, addresses: string[] }>()
    createInterface(process_.stdout).on('line', line => {
      const said = JSON.parse(line) as { peer: string, addresses: string[] } | { heard: string }
      if ('heard' in said) heard.push(said.heard)
      else ready.resolve(said)
    })
    const { peer, addresses } = await ready.promise
    const kill = async (): Promise<void> => {
      const ended = new Promise(resolve => { process_.once('close', resolve) })
      process_.kill('SIGKILL')
      await ended
    }
    return { peer: fromHex(peer), addresses, heard, kill }
  }

  async function sender (to: Running): Promise<MixNode> {
    const host = await startHost()
    const engine = new MixEngine({
      suite, self: host.peer, parameters: { strategy: { kind: 'poisson' }, meanDelay: 1, packetSize: 4608, queueLimit: 10, replayLimit: 10 }, topology: { mayForward: () => false, mayReachWallet: () => false }
    })
    return new MixNode({
      node: host.node, engine, neighbourhood: { addresses: () => to.addresses, accepts: () => true }, clock: systemClock, rng: systemRng, meter: { count: () => {} }, limits: { queue: 1000 }
    })
  }

  it.each([1, 20, 150])('after %i messages, hands none on that it had handed on before', async count => {
    const dir = join(root, `killed-${count}`)
    mkdirSync(dir)
    const publicKey = suite.x25519Base(new Uint8Array(secret))
    const messages = Array.from({ length: 400 }, () => systemRng.bytes(3968))
    const names = messages.map(message => createHash('sha256').update(message).digest('hex'))
    const before = await start(dir)
    const packets = messages.map(message => wrap(suite, systemRng.bytes(32), [{ publicKey, address: addressBlock(before.addresses[0], before.peer), delay: 0 }], HERE, message))
    const first = await sender(before)
    for (const packet of packets) first.sendPacket(before.peer, packet)
    await until(() => before.heard.length >= count)
    await before.kill()
    await first.stop(100)

    const after = await start(dir)
    const second = await sender(after)
    // All of them again, and one that is new, to know when they have been through.
    const last = systemRng.bytes(3968)
    const closing = wrap(suite, systemRng.bytes(32), [{ publicKey, address: addressBlock(after.addresses[0], after.peer), delay: 0 }], HERE, last)
    for (const packet of [...packets, closing]) second.sendPacket(after.peer, packet)
    await until(() => after.heard.includes(createHash('sha256').update(last).digest('hex')))
    const twice = names.filter(name => before.heard.includes(name) && after.heard.includes(name))
    expect(twice).toEqual([])
    // What had been taken and not handed on may be lost with the process; the rest comes now.
    expect(new Set([...before.heard, ...after.heard]).size).toBeGreaterThan(count)
    await after.kill()
    await second.stop(100)
  })
})
