/** The demo, interrupted: whatever way it ends, its processes end with it and its data goes. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { PROGRAM } from '../../nodes/program.ts'

let temporary: string

beforeEach(() => { temporary = mkdtempSync(join(tmpdir(), 'mixmint-test-')) })
afterEach(() => { rmSync(temporary, { recursive: true, force: true }) })

/** Start the demo; resolves when it has told this much. */
async function demo (until: string): Promise<{ child: ChildProcess, ended: Promise<unknown> }> {
  const child = spawn(process.execPath, [PROGRAM, 'demo'], { env: { ...process.env, TMPDIR: temporary }, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  let said = ''
  await new Promise<void>((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8')
      if (said.includes(until)) resolve()
    })
    void ended.then(() => { reject(new Error(`the demo ended before it said ${until}: ${said}`)) })
  })
  return { child, ended }
}

/** Processes whose command line names our temporary folder. */
function alive (): string[] {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).flatMap(pid => {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      return line.includes(temporary) ? [line] : []
    } catch {
      return [] // it has just ended
    }
  })
}

test('stopped by a signal, it stops every process and removes its data', async () => {
  const { child, ended } = await demo('Money comes in')
  expect(alive().length).toBeGreaterThanOrEqual(18)
  child.kill('SIGINT')
  await ended
  expect(child.exitCode).toBe(3)
  expect(alive()).toEqual([])
  expect(readdirSync(temporary)).toEqual([])
})

test('killed while it starts, no process outlives it', async () => {
  const { child, ended } = await demo('mixmint:')
  while (alive().length < 10) await new Promise(resolve => setImmediate(resolve))
  child.kill('SIGKILL')
  await ended
  while (alive().length > 0) await new Promise(resolve => setImmediate(resolve))
  expect(existsSync(temporary)).toBe(true)
})
