/** What the operating system refuses is told as the operator's, with what to do; and no key file is blamed for it. */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test } from 'vitest'
import { PROGRAM } from '../../nodes/program.ts'
import { ofSystem } from '../../nodes/system-error.ts'

const root = mkdtempSync(join(tmpdir(), 'mixmint-system-'))
chmodSync(root, 0o755)
/** Whoever is root is refused nothing: then as nobody. */
const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}
const closed = join(root, 'closed')
mkdirSync(closed)
writeFileSync(join(closed, 'config.toml'), 'role = "mix"\nlisten = "x"\n')
const cleanups: Array<() => void> = [() => { rmSync(root, { recursive: true, force: true }) }]
afterAll(() => { for (const clean of cleanups) clean() })
afterEach(() => { chmodSync(closed, 0o755) })

/** The sources are closed to others on some machines: then nobody can run them. */
const isReadable = spawnSync(process.execPath, [PROGRAM, '--version'], nobody).status === 0

function run (...args: string[]): { status: number | null, stderr: string } {
  const { status, stderr } = spawnSync(process.execPath, [PROGRAM, ...args], { cwd: root, encoding: 'utf8', ...nobody })
  return { status, stderr }
}

test.skipIf(!isReadable)('a folder that cannot be written, or read, by who asks', () => {
  mkdirSync(join(root, 'readable'), { mode: 0o755 })
  if (nobody.uid === undefined) chmodSync(join(root, 'readable'), 0o555)
  expect(run('init', 'mix', '--dir', 'readable', '--address', '127.0.0.1', '--yes')).toEqual({ status: 3, stderr: expect.stringMatching(/permission denied|not permitted/) })
  expect(readdirSync(join(root, 'readable'))).toEqual([])
  chmodSync(closed, 0)
  for (const args of [['status', '--dir', 'closed'], ['run', '--dir', 'closed'], ['config', 'check', 'closed/config.toml']]) {
    expect(run(...args), args.join(' ')).toEqual({ status: 3, stderr: expect.stringContaining('run it as the user whose files they are') })
  }
  const doctor = spawnSync(process.execPath, [PROGRAM, 'doctor', '--dir', 'closed'], { cwd: root, encoding: 'utf8', ...nobody })
  expect(doctor).toMatchObject({ status: 3, stdout: expect.stringMatching(/FAIL +configuration +permission denied[^]*→ run it as the user/) })
})

test.skipIf(!isReadable || nobody.uid === undefined)('the control socket of another user\'s node', async () => {
  const server = createServer().listen(join(closed, 'control.sock'))
  cleanups.push(() => { server.close() })
  await new Promise(resolve => { server.once('listening', resolve) })
  chmodSync(join(closed, 'control.sock'), 0o600)
  expect(run('status', '--dir', 'closed')).toEqual({ status: 3, stderr: expect.stringContaining('run it as the user whose files they are') })
})

test('where there is no node, none is to be started', () => {
  expect(run('status', '--dir', 'nowhere')).toEqual({ status: 3, stderr: expect.stringContaining('nor is there a node in that folder') })
  expect(run('config', 'check', 'nowhere')).toEqual({ status: 3, stderr: expect.stringContaining('`mixmint init ROLE --dir nowhere`') })
})

test('other errors are as they were', () => {
  const defect = new TypeError('x is not a function')
  expect(ofSystem(defect)).toBe(defect)
  expect(ofSystem('EACCES')).toBe('EACCES')
  let failed: unknown
  try { execFileSync('/nowhere/at/all') } catch (error) { failed = error }
  expect(ofSystem(failed)).toMatchObject({ code: 'system-refused', fault: 'operator' })
})
