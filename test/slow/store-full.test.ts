/** A full disk and a failing one: the store says which, loses nothing that it has answered, and goes on or stays shut. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'

const root = mkdtempSync(join(tmpdir(), 'mixmint-full-'))
const child = fileURLToPath(new URL('store-child.ts', import.meta.url))
/** A mount namespace of our own: as root, or as a user where the kernel allows that. */
const unshare = [['-m'], ['-rm']].find(flags => spawnSync('unshare', [...flags, 'mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', root]).status === 0)
afterAll(() => { rmSync(root, { recursive: true, force: true }) })

function said (stdout: string): Array<Record<string, unknown>> {
  return stdout.trim().split('\n').map(line => JSON.parse(line) as Record<string, unknown>)
}

describe('a store without room', () => {
  it.skipIf(unshare === undefined)('refuses with store-full, keeps what it has, and goes on when there is room', () => {
    const script = `mount -t tmpfs -o size=4m tmpfs ${root} && exec "$0" "$1" ${root}/store fill`
    const run = spawnSync('unshare', [...unshare as string[], 'sh', '-c', script, process.execPath, child], { encoding: 'utf8' })
    expect(run.status, run.stderr).toBe(0)
    const [full, after] = said(run.stdout)
    expect(full.others).toEqual(['store-full'])
    expect(full.kept).toBe(full.done)
    expect(full.done).toBeGreaterThan(10)
    expect(after).toEqual({ small: ['done', 'done'], again: 'done' })
  })

  it('stays shut after an error that it does not know', () => {
    // SIGXFSZ is ignored, so that writing beyond the limit (in KiB) is an error to the store and not its end.
    const run = spawnSync('bash', ['-c', 'trap "" XFSZ; ulimit -f 2048; exec "$0" "$1" "$2" limit', process.execPath, child, join(root, 'limited')], { encoding: 'utf8' })
    expect(run.status, run.stderr).toBe(0)
    const [{ done, later, after }] = said(run.stdout)
    expect(done).toBeGreaterThan(5)
    expect(later).toEqual(['store-failed'])
    expect(after).toBe('store-failed')
  })
})
