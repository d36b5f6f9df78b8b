/** `mixmint status --watch`: what changes shows by how much a second, a daemon may go away and come back, and a signal ends it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test } from 'vitest'
import { serveControl } from '../../nodes/control.ts'
import { PROGRAM } from '../../nodes/program.ts'

const dir = mkdtempSync(join(tmpdir(), 'mixmint-status-'))
writeFileSync(join(dir, 'config.toml'), '')
let watching: ChildProcess | null = null
afterEach(() => { watching?.kill('SIGKILL') })
afterAll(() => { rmSync(dir, { recursive: true, force: true }) })

/** A daemon of which two figures move. */
async function daemon (): ReturnType<typeof serveControl> {
  let asked = 0
  return await serveControl(dir, {
    status: async () => {
      asked += 1
      return { role: 'mix', version: '0', state: 'serving', waitsFor: '', pid: 7, uptime: 61, memory: 1 << 20, received: 1000 * asked, waiting: 50_000 - asked, epoch: 4, counters: { mix_shed: asked } }
    }
  }, () => 'serving')
}

async function watch (...options: string[]): Promise<{ readonly shows: (text: RegExp) => Promise<void>, readonly end: () => Promise<number | null> }> {
  const child = watching = spawn(process.execPath, [PROGRAM, 'status', '--dir', dir, '--watch', '0.1', ...options], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout?.setEncoding('utf8').on('data', text => { said += String(text) })
  return {
    shows: async text => {
      const from = said.length
      while (!text.test(said.slice(from))) await once(child.stdout as NodeJS.ReadableStream, 'data')
    },
    end: async () => {
      child.kill('SIGINT')
      await once(child, 'close')
      return child.exitCode
    }
  }
}

test('for people: rates of what moves, and of nothing else', async () => {
  const server = await daemon()
  expect(statSync(join(dir, 'control.sock')).mode & 0o777).toBe(0o600)
  const { shows, end } = await watch()
  await shows(/^mix, serving; for 1 min; version 0, process 7, 1 MiB$/m)
  await shows(/^received +\d+ +\+\d+\.\d\/s$/m)
  await shows(/^waiting +\d+ +-\d+\.\d\/s\nepoch +4$/m)
  await shows(/^mix_shed +\d+ +\+\d+\.\d\/s$/m)
  await server.close()
  await shows(/^no daemon runs in .*\(daemon-not-running\)$/m)
  const again = await daemon()
  await shows(/^received +1000$/m)
  expect(await end()).toBe(0)
  await again.close()
})

test('for programs: one object a line', async () => {
  const { shows, end } = await watch('--json')
  await shows(/^\{"error":\{"code":"daemon-not-running",.*\}$/m)
  const server = await daemon()
  await shows(/^\{"role":"mix",.*"received":\d+.*\}$/m)
  expect(await end()).toBe(0)
  await server.close()
})
