/** What service managers and shells are given: the unit, under systemd's own eyes; what a daemon tells them; completion. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { completion } from '../../nodes/completion.ts'
import { wholeProgram } from '../../nodes/main.ts'
import { ServiceManager } from '../../nodes/service-manager.ts'
import { unitText } from '../../nodes/unit.ts'

/** Of 10, as `systemd-analyze security` counts; docs/operating.md tells it. */
const EXPOSURE = 1.4

let dir: string
beforeEach(() => { dir = mkdtempSync(join(tmpdir(), 'mixmint-unit-')) })
afterEach(() => { rmSync(dir, { recursive: true, force: true }) })

const hasSystemd = ((): boolean => {
  try {
    return /^systemd (2[5-9]\d|[3-9]\d\d)/.test(execFileSync('systemd-analyze', ['--version'], { encoding: 'utf8' }))
  } catch {
    return false
  }
})()

const has = (program: string): boolean => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0

describe('the unit', () => {
  const unit = unitText({ program: `${process.execPath} /opt/mixmint.js`, base: '/var/lib/mixmint', user: 'root' })

  test('runs a node of any role from its folder, and waits for it as long as a drain takes', () => {
    expect(unit).toContain(`ExecStart=${process.execPath} /opt/mixmint.js run --dir /var/lib/mixmint/%i\n`)
    expect(Number(/TimeoutStopSec=(\d+)/.exec(unit)?.[1])).toBeGreaterThan(60)
    expect(unit).toContain('kill -HUP $MAINPID')
  })

  test.skipIf(!hasSystemd)('is right by systemd-analyze verify, and as closed as the docs say', () => {
    const file = join(dir, 'mixmint@.service')
    writeFileSync(file, unit)
    // What it finds amiss, it says and exits all the same.
    const verified = execFileSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
    expect(verified).toBe('')
    writeFileSync(file, unit.replace('PrivateTmp', 'PrivatTmp'))
    expect(execFileSync('sh', ['-c', `systemd-analyze verify --man=no '${file}' 2>&1`], { encoding: 'utf8' })).toContain('PrivatTmp')
    writeFileSync(file, unit.replace('User=root', 'User=mixmint').replace('Group=root', 'Group=mixmint'))
    const judged = execFileSync('systemd-analyze', ['security', '--offline=true', '--no-pager', file], { encoding: 'utf8' })
    expect(Number(/Overall exposure level for [^:]*: ([\d.]+)/.exec(judged)?.[1])).toBeLessThanOrEqual(EXPOSURE)
    expect(readFileSync(new URL('../../docs/operating.md', import.meta.url), 'utf8')).toContain(`${EXPOSURE} of 10`)
  })
})

describe('a service manager', () => {
  /** A program of that name that writes down what it is told. */
  function listener (): { environment: Record<string, string>, said: () => string[] } {
    const heard = join(dir, 'heard')
    const program = join(dir, 'systemd-notify')
    writeFileSync(program, `#!/bin/sh\necho "$@" >> '${heard}'\n`)
    chmodSync(program, 0o755)
    writeFileSync(heard, '')
    return { environment: { PATH: `${dir}${delimiter}${process.env.PATH ?? ''}`, NOTIFY_SOCKET: '/run/none' }, said: () => readFileSync(heard, 'utf8').trim().split('\n') }
  }
  const silent = { info: () => {}, warn: () => {}, error: () => {} }

  test('is told what a daemon waits for, that it serves, lives, and stops; in this order', async () => {
    const { environment, said } = listener()
    const manager = new ServiceManager({ ...environment, WATCHDOG_USEC: '40000', WATCHDOG_PID: String(process.pid) }, silent)
    manager.status('waits for being listed')
    manager.ready()
    while (said().filter(line => line === 'WATCHDOG=1').length < 2) await new Promise(resolve => setTimeout(resolve, 10))
    manager.stopping()
    await manager.close()
    const all = said()
    expect(all.slice(0, 3)).toEqual(['STATUS=waits for being listed', 'READY=1 STATUS=serving', 'WATCHDOG=1'])
    expect(all).toContain('STOPPING=1 STATUS=stopping')
  })

  test('a watchdog of another process is not ours; without a listener nothing is started; one that is not there is told of once', async () => {
    const { environment, said } = listener()
    const other = new ServiceManager({ ...environment, WATCHDOG_USEC: '1000', WATCHDOG_PID: '1' }, silent)
    other.ready()
    await other.close()
    expect(said()).toEqual(['READY=1 STATUS=serving'])
    const alone = new ServiceManager({ PATH: environment.PATH }, silent)
    alone.ready()
    await alone.close()
    expect(said()).toHaveLength(1)
    const warnings: string[] = []
    const without = new ServiceManager({ PATH: '/nowhere', NOTIFY_SOCKET: '/run/none' }, { ...silent, warn: message => { warnings.push(message) } })
    without.ready()
    without.stopping()
    await without.close()
    expect(warnings).toEqual([expect.stringContaining('systemd-notify')])
  })
})

describe('completion', async () => {
  const program = await wholeProgram()
  const complete = (...words: string[]): string[] => {
    writeFileSync(join(dir, 'c.bash'), completion('bash', program))
    return execFileSync('bash', ['-c', 'source "$0"; COMP_WORDS=(mixmint "$@"); COMP_CWORD=$#; _mixmint; printf "%s\\n" "${COMPREPLY[@]}"', join(dir, 'c.bash'), ...words], { encoding: 'utf8' }).trim().split('\n')
  }

  test('knows commands, their commands, roles and options, whatever stands between', () => {
    expect(complete('do')).toEqual(['doctor'])
    expect(complete('init', 'm')).toEqual(['mix', 'merchant'])
    expect(complete('bank', '--net', 'x', 'cr')).toEqual(['credit'])
    expect(complete('wallet', 'buy', 'coffee', '--w')).toEqual(['--with'])
    expect(complete('bank', 'books', '--n')).toEqual(['--net'])
  })

  const CASES = [['mixmint doc', 'mixmint doctor'], ['mixmint init me', 'mixmint init merchant'], ['mixmint bank --net x cre', 'mixmint bank --net x credit'], ['mixmint wallet buy coffee --wi', 'mixmint wallet buy coffee --with']]

  // A terminal is given by `script`, of util-linux.
  test.skipIf(!has('zsh') || !has('script'))('is taken by zsh as it starts, at its prompt', async () => {
    const file = join(dir, 'c.zsh')
    writeFileSync(file, completion('zsh', program))
    const shell = spawn('script', ['-qec', 'stty cols 200; exec zsh -f -i', '/dev/null'], { cwd: dir, env: { PATH: process.env.PATH, HOME: dir, TERM: 'xterm' }, stdio: ['pipe', 'pipe', 'inherit'] })
    let screen = ''
    shell.stdout.setEncoding('utf8').on('data', text => { screen += stripVTControlCharacters(String(text)) })
    const typed = async (keys: string, shown: string): Promise<void> => {
      const from = screen.length
      shell.stdin.write(keys)
      while (!screen.slice(from).includes(shown)) await once(shell.stdout, 'data')
    }
    await typed(`source ${file} && echo lo''aded\r`, 'loaded')
    for (const [begun, whole] of CASES) await typed(`\x15${begun}\t`, whole)
    shell.stdin.write('\x15exit\r')
    await once(shell, 'close')
    expect(screen).not.toMatch(/command not found|unrecognized/)
  })

  test.skipIf(!has('fish'))('is taken by fish', () => {
    const file = join(dir, 'c.fish')
    writeFileSync(file, completion('fish', program))
    for (const [begun, whole] of CASES) {
      const said = execFileSync('fish', ['-c', 'source $argv[1]; complete -C $argv[2]', file, begun], { encoding: 'utf8', env: { PATH: process.env.PATH, HOME: dir } })
      expect(said.split('\t')[0]).toBe(whole.split(' ').at(-1))
    }
  })

  test('is there for fish, each word with what it is', () => {
    const script = completion('fish', program)
    expect(script).toContain('complete -c mixmint -n \'__fish_use_subcommand\' -f -a \'doctor\' -d \'look a node over, before its start or while it runs\'')
    expect(script).toMatch(/__fish_seen_subcommand_from bank; and __fish_seen_subcommand_from credit' -l reference/)
  })
})
