/**
 * A daemon that cannot start, or is in want while it runs: a clear message, nothing changed, and all as before once what was
 * missing is there. One authority, which needs nobody else.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { callControl } from '../../nodes/control.ts'
import { createNetwork, SMALL_NETWORK } from '../../nodes/layout.ts'
import { PROGRAM } from '../../nodes/program.ts'
import { READY } from '../../nodes/supervisor.ts'
import { until } from './probe.ts'
import { hasSmallDisks } from './small-disk.ts'

let root: string
let dir: string
let running: ChildProcess | null = null

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'mixmint-starting-'))
  dir = join(root, 'authority-1')
  await createNetwork(await defaultSuite(), root, { ...SMALL_NETWORK, authorities: 1 })
  return () => { rmSync(root, { recursive: true, force: true }) }
})
afterEach(async () => {
  if (running !== null && running.exitCode === null && running.signalCode === null) {
    running.kill('SIGKILL')
    await once(running, 'exit')
  }
  running = null
})

/** Runs the authority, `within` such words; resolves when it is ready, or has ended with what it said. */
async function run (...within: string[]): Promise<{ code: number | null, said: string }> {
  const [program, ...words] = [...within, process.execPath, PROGRAM, 'run', '--dir', dir]
  const child = running = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  const ready = new Promise<void>(resolve => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        said += chunk.toString('utf8')
        if (said.includes(READY)) resolve()
      })
    }
  })
  await Promise.race([ready, once(child, 'close')])
  return { code: child.exitCode, said }
}

async function stop (): Promise<void> {
  running?.kill('SIGTERM')
  if (running !== null) await once(running, 'exit')
}

/** Does whoever comes to this port, and begins as libp2p does, get an answer? */
async function isAnswered (port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const heard = new Promise<boolean>(resolve => {
    socket.once('data', () => { resolve(true) }).once('close', () => { resolve(false) }).on('error', () => {})
  })
  socket.write('\x13/multistream/1.0.0\n')
  return await heard.finally(() => { socket.destroy() })
}

test('a daemon that was killed by the kernel starts again as if it had stopped', async () => {
  expect(await run()).toMatchObject({ code: null })
  running?.kill('SIGKILL')
  if (running !== null) await once(running, 'exit')
  expect(await run()).toMatchObject({ code: null })
  await stop()
})

test('a configuration that was written by half is named, and read whole once it is whole', async () => {
  const file = join(dir, 'config.toml')
  const whole = readFileSync(file, 'utf8')
  writeFileSync(file, whole.slice(0, whole.lastIndexOf('"')))
  expect(await run()).toMatchObject({ code: 3, said: expect.stringMatching(/config\.toml: not TOML.*\(bad-config\)/) })
  writeFileSync(file, '')
  expect(await run()).toMatchObject({ code: 3, said: expect.stringContaining('bad-config') })
  writeFileSync(file, whole)
  expect(await run()).toMatchObject({ code: null })
  await stop()
})

test.skipIf(!hasSmallDisks)('on a disk that can only be read it does not start, and says why', async () => {
  const before = readFileSync(join(dir, 'store', 'data.mdb'))
  const { code, said } = await run('unshare', '-m', 'sh', '-c', `mount --bind ${root} ${root} && mount -o remount,ro,bind ${root} && exec "$@"`, 'sh')
  expect({ code, said }).toMatchObject({ code: 3, said: expect.stringMatching(/cannot be opened: .*(Read-only|read-only|Permission).*\(store-failed\)/) })
  expect(readFileSync(join(dir, 'store', 'data.mdb'))).toEqual(before)
  expect(await run()).toMatchObject({ code: null })
  await stop()
})

describe('out of file descriptors', () => {
  test('with too few to start it says so', async () => {
    const { code, said } = await run('sh', '-c', 'ulimit -n 24 && exec "$@"', 'sh')
    expect({ code, said }).toMatchObject({ code: expect.any(Number), said: expect.stringMatching(/EMFILE|[Tt]oo many open files/) })
    expect(code).not.toBe(0)
  })

  test('that strangers took, it goes on with those it has, and takes newcomers when they have gone', async () => {
    expect(await run('sh', '-c', 'ulimit -n 64 && exec "$@"', 'sh')).toMatchObject({ code: null })
    const port = Number(/^listen = "\/ip4\/127\.0\.0\.1\/tcp\/(\d+)"/m.exec(readFileSync(join(dir, 'config.toml'), 'utf8'))?.[1])
    const pid = running?.pid ?? 0
    const used = (): number => spawnSync('ls', [`/proc/${pid}/fd`], { encoding: 'utf8' }).stdout.trim().split('\n').length
    const sockets: Socket[] = Array.from({ length: 100 }, () => connect(port, '127.0.0.1').on('error', () => {}))
    // Handshakes that nobody begins end by themselves: what is full is looked at while it is.
    await until(() => used() >= 60)
    for (const socket of sockets) socket.destroy()
    await until(async () => await callControl(dir, 'status').then(() => true, () => false))
    expect(running?.exitCode).toBeNull()
    await until(async () => await isAnswered(port))
    await stop()
    expect(running?.exitCode).toBe(0)
  })
})

test('a copy of its folder beside it is not run', async () => {
  expect(await run()).toMatchObject({ code: null })
  const copy = join(root, 'copy')
  cpSync(dir, copy, { recursive: true, filter: name => !name.endsWith('.sock') })
  const { status, stderr } = spawnSync(process.execPath, [PROGRAM, 'run', '--dir', copy], { encoding: 'utf8' })
  expect({ status, stderr }).toMatchObject({ status: 3, stderr: expect.stringContaining('folder-in-use') })
  await stop()
})
