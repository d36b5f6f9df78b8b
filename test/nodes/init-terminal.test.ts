/** `mixmint init` asked at a terminal: what is typed is answered, what cannot be is asked again, and whoever breaks it off has made nothing. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { PROGRAM } from '../../nodes/program.ts'

const [ENTER, CTRL_C, BACKSPACE] = ['\r', '\u0003', '\u007f']
const BANK = 'ab'.repeat(32)
/** A pseudo-terminal is given by `script`, of util-linux. */
const hasTerminal = spawnSync('script', ['-qec', 'true', '/dev/null'], { stdio: 'ignore' }).status === 0
if (!hasTerminal) process.stderr.write('questions at a terminal are not tested: this machine lacks script, of util-linux\n')

let dir: string
beforeEach(() => { dir = mkdtempSync(join(tmpdir(), 'mixmint-terminal-')) })
afterEach(() => { rmSync(dir, { recursive: true, force: true }) })

/**
 * At a terminal: each question is waited for, and then answered.
 * @param talk pairs of what is shown and what is typed then
 */
async function converse (args: string, talk: ReadonlyArray<readonly [shown: string | RegExp, typed: string]>): Promise<{ code: number | null, screen: string }> {
  const child = spawn('script', ['-qec', `stty cols 120 rows 40; exec '${process.execPath}' '${PROGRAM}' ${args}`, '/dev/null'], { cwd: dir, env: { ...process.env, TERM: 'xterm' }, stdio: ['pipe', 'pipe', 'inherit'] })
  let screen = ''
  let seen = 0
  const todo = [...talk]
  const go = (): void => {
    const [next] = todo
    if (next === undefined) return
    const [shown, typed] = next
    const rest = screen.slice(seen)
    if (typeof shown === 'string' ? !rest.includes(shown) : !shown.test(rest)) return
    seen = screen.length
    todo.shift()
    child.stdin.write(typed)
  }
  child.stdout.on('data', (chunk: Buffer) => {
    screen += stripVTControlCharacters(chunk.toString('utf8'))
    go()
  })
  await once(child, 'close')
  expect(todo, screen).toEqual([])
  return { code: child.exitCode, screen }
}

describe.skipIf(!hasTerminal)('at a terminal', () => {
  test('a merchant is asked for what it cannot be without; an answer that cannot be is asked for again, and may be corrected', async () => {
    writeFileSync(join(dir, 'half.toml'), 'network = "exam')
    const { code, screen } = await converse('init merchant', [
      ['By which IP address or name', ENTER],
      ['One is wanted', `192.0.2.700${ENTER}`],
      ['is neither an IP address nor a name', BACKSPACE.repeat(2) + ENTER],
      ['Where is the network\'s file', `nowhere.toml${ENTER}`],
      ['There is no such file', `${BACKSPACE.repeat(12)}half.toml${ENTER}`],
      ['not TOML', BACKSPACE.repeat(9) + ENTER],
      ['The shop\'s name', `Café 7${ENTER}`],
      ['The bank\'s key', `xyz${ENTER}`],
      ['64 hexadecimal digits are wanted', BACKSPACE.repeat(3) + BANK + ENTER],
      ['What is counted?', ENTER]
    ])
    expect({ code, screen }).toMatchObject({ code: 0, screen: expect.stringContaining('merchant holds a new merchant') })
    const config = readFileSync(join(dir, 'merchant', 'config.toml'), 'utf8')
    expect(config).toMatch(/^name = "Café 7"$/m)
    expect(config).toMatch(new RegExp(`^bank = "${BANK}"$`, 'm'))
    expect(config).toMatch(/^unit = "cent"$/m)
    expect(config).toMatch(/^announce = \[ *"\/ip4\/192\.0\.2\.7\/tcp\/4001" *\]$/m)
    expect(statSync(join(dir, 'merchant', 'payee.key')).mode & 0o777).toBe(0o600)
  })

  test('what flags have said is not asked', async () => {
    const { code, screen } = await converse('init bank --address 192.0.2.8 --set bank.unit=øre', [['Where is the network\'s file', ENTER]])
    expect(code).toBe(0)
    expect(screen).not.toContain('By which IP address')
    expect(readFileSync(join(dir, 'bank', 'config.toml'), 'utf8')).toMatch(/^unit = "øre"$/m)
  })

  test.each([
    ['at the first question', [['By which IP address or name', CTRL_C]]],
    ['in the middle of an answer', [['By which IP address or name', `192.0${CTRL_C}`]]],
    ['at the last one', [['By which IP address or name', `192.0.2.7${ENTER}`], ['Where is the network\'s file', ENTER], ['The shop\'s name', ENTER], ['The bank\'s key', BANK + ENTER], ['What is counted?', CTRL_C]]]
  ] as ReadonlyArray<[string, ReadonlyArray<[string, string]>]>)('broken off %s, nothing was made', async (_when, talk) => {
    const { code, screen } = await converse('init merchant', talk)
    expect({ code, screen }).toMatchObject({ code: expect.any(Number), screen: expect.stringContaining('nothing was made') })
    expect(code).not.toBe(0)
    expect(readdirSync(dir)).toEqual([])
  })
})
