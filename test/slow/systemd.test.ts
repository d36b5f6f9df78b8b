/**
 * The unit under systemd itself, as the first process of namespaces with an overlay for a disk: installed as docs/operating.md says,
 * started, found ready, watched over, reloaded and stopped. One authority, which needs nobody else.
 */
import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { until } from './probe.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const MACHINE = fileURLToPath(new URL('systemd/machine.sh', import.meta.url))
const NAMESPACES = ['--mount', '--pid', '--fork', '--kill-child', '--uts', '--ipc', '--cgroup', '--net']
const UNIT = 'mixmint@authority'
const DIR = '/var/lib/mixmint/authority'

/** Why not, or null. */
function lacking (): string | null {
  if (process.getuid?.() !== 0) return 'root'
  if (!/ 0$/.test(spawnSync('sh', ['-c', 'test -x /lib/systemd/systemd && grep -q overlay /proc/filesystems; echo " $?"'], { encoding: 'utf8' }).stdout.trimEnd())) return 'systemd, or overlayfs'
  const probe = spawnSync('unshare', [...NAMESPACES, 'sh', '-c', 'mount --make-rprivate / && mount -t tmpfs tmpfs /mnt && mkdir /mnt/u /mnt/w /mnt/r /mnt/c && mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/r && mount -t cgroup2 cgroup2 /mnt/c'])
  return probe.status === 0 ? null : 'namespaces with overlayfs and cgroup2'
}

const missing = lacking()
if (missing !== null) process.stderr.write(`the unit is not tried under systemd: this machine lacks ${missing}\n`)

describe.skipIf(missing !== null)('a node as a service', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mixmint-systemd-'))
  let machine: ChildProcess
  let first: string

  beforeAll(async () => {
    machine = spawn('unshare', [...NAMESPACES, 'bash', MACHINE, folder, process.execPath, ROOT], { stdio: ['ignore', 'pipe', 'ignore'] })
    const ended = once(machine, 'exit').then(() => { throw new Error('the machine did not start') })
    ended.catch(() => {}) // it ends when the test does
    await Promise.race([once(machine.stdout as NodeJS.ReadableStream, 'data'), ended])
    first = readFileSync(`/proc/${machine.pid}/task/${machine.pid}/children`, 'utf8').trim()
    await until(async () => (await inside('systemctl is-system-running || true')).includes('running'))
  })

  afterAll(async () => {
    if (machine.exitCode === null && machine.signalCode === null) {
      process.kill(Number(first), 'SIGKILL') // all that is inside ends with it
      await once(machine, 'exit')
    }
    rmSync(folder, { recursive: true, force: true })
  })

  async function inside (script: string): Promise<string> {
    const { stdout } = await promisify(execFile)('nsenter', ['-t', first, '-m', '-p', '-n', '-i', '-u', 'env', '-i', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'bash', '--norc', '-ec', script], { timeout: 120_000 })
    return stdout
  }

  async function shown (property: string): Promise<string> {
    return (await inside(`systemctl show -P ${property} ${UNIT}`)).trim()
  }

  test('is installed by the commands of docs/operating.md, and ready when it says so', async () => {
    const page = readFileSync(join(ROOT, 'docs', 'operating.md'), 'utf8')
    const install = [...page.matchAll(/^\$ (.*)$/gm)].map(([, command]) => command).filter(command => /useradd|chmod|mixmint unit|daemon-reload/.test(command))
    expect(install).toHaveLength(4)
    await inside(install.join('\n'))
    await inside(`runuser -u mixmint -- sh -c 'umask 077; mixmint init authority --dir ${DIR} --address 127.0.0.1 --set authority.profile=demo --yes; { echo "network = \\"one\\""; mixmint directory entry --dir ${DIR}; } > ${DIR}/network.toml'`)
    // Sooner than the unit has it, so that the test need not wait for minutes.
    await inside(`mkdir /etc/systemd/system/mixmint@.service.d; printf '[Service]\\nWatchdogSec=8\\nTimeoutAbortSec=1\\nRestartSec=1\\n' > /etc/systemd/system/mixmint@.service.d/test.conf; systemctl daemon-reload`)
    await inside(`systemctl start ${UNIT}`)
    expect(await shown('ActiveState')).toBe('active')
    expect(await shown('StatusText')).toBe('serving')
    expect(await inside(`mixmint status --dir ${DIR}`)).toMatch(/^authority, serving; /)
    const pid = await shown('MainPID')
    expect((await inside(`stat -c %U /proc/${pid}; grep -h NoNewPrivs /proc/${pid}/status`)).split('\n')).toEqual(['mixmint', 'NoNewPrivs:\t1', ''])
  })

  test('gives signs of life for as long as it lives, and is started again when it gives none', async () => {
    const pid = await shown('MainPID')
    const signs = new Set<string>()
    await until(async () => signs.add(await shown('WatchdogTimestampMonotonic')).size > 2)
    expect(await shown('MainPID')).toBe(pid)
    await inside(`kill -STOP ${pid}`)
    await until(async () => await shown('NRestarts') === '1' && await shown('StatusText') === 'serving')
    expect(await shown('MainPID')).not.toBe(pid)
  })

  test('reload takes up what can change; a file that is wrong changes nothing', async () => {
    const pid = await shown('MainPID')
    await inside(`echo 'log = "warn"' | cat - ${DIR}/config.toml > /tmp/config; cat /tmp/config > ${DIR}/config.toml; systemctl reload ${UNIT}`)
    await until(async () => await shown('StatusText') === 'serving; configuration read again')
    await inside(`echo 'lgo = "warn"' | cat - ${DIR}/config.toml > /tmp/config; cat /tmp/config > ${DIR}/config.toml`)
    await expect(inside(`systemctl reload ${UNIT}`)).rejects.toThrow()
    expect(await shown('ActiveState')).toBe('active')
    expect(await shown('MainPID')).toBe(pid)
    await inside(`sed -i 1d ${DIR}/config.toml`)
  })

  test('stop ends it in good order', async () => {
    await inside(`systemctl stop ${UNIT}`)
    expect([await shown('ActiveState'), await shown('Result'), await shown('ExecMainStatus')]).toEqual(['inactive', 'success', '0'])
    await inside(`systemctl start ${UNIT}`)
    expect(await shown('ActiveState')).toBe('active')
  })
})
