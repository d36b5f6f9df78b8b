/** The program itself: what it writes, where, and with which exit code it ends. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest'
import { main } from '../../lab/main.ts'

const dir = mkdtempSync(join(tmpdir(), 'lab-'))
afterAll(() => { rmSync(dir, { recursive: true }) })
afterEach(() => { vi.restoreAllMocks() })

interface Said { readonly code: number, readonly out: string, readonly err: string }

async function lab (...words: string[]): Promise<Said> {
  const said = { out: '', err: '' }
  for (const stream of ['out', 'err'] as const) {
    vi.spyOn(stream === 'out' ? process.stdout : process.stderr, 'write').mockImplementation((text: string | Uint8Array) => {
      said[stream] += String(text)
      return true
    })
  }
  process.exitCode = undefined
  await main(['node', 'mixmint-lab', ...words])
  const code = Number(process.exitCode ?? 0)
  process.exitCode = undefined
  vi.restoreAllMocks()
  return { code, ...said }
}

const SMALL = `
[topology]
layers = 2
width = 2
[delay]
per_mix_s = 0.05
[clients]
count = 4
total_rate = 20
[run]
warmup_s = 1
duration_s = 5
`
const small = join(dir, 'small.toml')
writeFileSync(small, SMALL)
const at = (...parts: string[]): string => join(dir, ...parts)
const read = (...parts: string[]): string => readFileSync(at(...parts), 'utf8')
const files = (folder: string): Record<string, string> => Object.fromEntries(readdirSync(at(folder)).map(file => [file, read(folder, file)]))

describe('run', () => {
  test('writes a folder with all that its README names, and says where', async () => {
    const { code, out, err } = await lab('run', small, '--out', at('one'))
    expect([code, err]).toEqual([0, ''])
    expect(out).toContain(`written to ${at('one')}`)
    expect(readdirSync(at('one')).sort()).toEqual(['latency.csv', 'report.html', 'results.csv', 'results.jsonl', 'run.json', 'scenario.toml', 'summary.json', 'targets.csv'])
    expect(JSON.parse(read('one', 'run.json'))).toMatchObject({ program: 'mixmint-lab', scenario: 'small', seed: 1, runs: 1 })
  })

  test('from the scenario that it wrote comes the same again', async () => {
    await lab('run', small, '--set', 'topology.width=3', '--out', at('first'))
    await lab('run', at('first', 'scenario.toml'), '--out', at('again'))
    expect(files('again')).toEqual(files('first'))
  })

  test('sets any key, sweeps any, and prints summaries for programs', async () => {
    const { out } = await lab('run', small, '--set', 'run.seed=7', '--sweep', 'topology.layers=1,2', '--repeat', '2', '--out', at('sweep'), '--json')
    expect(JSON.parse(out)).toHaveLength(4)
    const rows = (JSON.parse(read('sweep', 'summary.json')) as { rows: Array<Record<string, unknown>> }).rows
    expect(rows.map(row => [row['topology.layers'], row['run.seed']])).toEqual([[1, 7], [1, 8], [2, 7], [2, 8]])
  })

  test.each<[string, string[], RegExp]>([
    ['a misspelt key', ['--set', 'topology.layer=3'], /there is no topology\.layer; did you mean topology\.layers\? \(bad-scenario\)/],
    ['a key of no section', ['--sweep', 'layers=1,2'], /layers: section\.key wanted/],
    ['a value that the key cannot have', ['--set', 'link.loss=2'], /link\.loss: a number from 0 to 1 wanted/],
    ['no number of seeds', ['--repeat', '0'], /--repeat: a whole number from 1 wanted/]
  ])('refuses %s', async (_, words, why) => {
    const { code, err, out } = await lab('run', small, '--out', at('refused'), ...words)
    expect(code).toBe(1)
    expect(err).toMatch(why)
    expect(out).toBe('')
    expect(existsSync(at('refused'))).toBe(false)
  })

  test('refuses a scenario that is not there; of one that is no TOML it names the file', async () => {
    expect(await lab('run', at('none.toml'))).toMatchObject({ code: 1, err: expect.stringMatching(/no-such-scenario/) as string })
    writeFileSync(at('broken.toml'), '[topology\n')
    expect(await lab('run', at('broken.toml'))).toMatchObject({ code: 1, err: expect.stringMatching(/broken\.toml: .*bad-scenario/) as string })
  })

  test.each([['1'], ['2']])('a file of a sweep that is bad is named, on %s threads', async threads => {
    writeFileSync(at('bad.csv'), '0,0\n1,9\n')
    const { code, err, out } = await lab('run', small, '--set', 'clients.behaviour=trace', '--set', 'clients.total_rate=0', '--set', `clients.file=${at('bad.csv')}`, '--sweep', 'topology.layers=1,2,3', '--threads', threads, '--out', at('bad'), '--json')
    expect([code, err]).toEqual([1, ''])
    expect(JSON.parse(out)).toMatchObject({ error: { code: 'bad-scenario', fault: 'caller', message: expect.stringMatching(/bad\.csv: line 2/) as string } })
  })

  test('writes what became of each message, of every point of a sweep', async () => {
    const { out } = await lab('run', small, '--sweep', 'run.seed=1,2', '--trace', '--out', at('traced'), '--json')
    const sent = (JSON.parse(out) as Array<{ messages: { sent: number } }>).map(({ messages }) => messages.sent)
    expect(['1', '2'].map(i => read('traced', `trace-000${i}.jsonl`).trim().split('\n').length)).toEqual(sent)
  })
})

describe('files that a scenario names', () => {
  const trace = '1,0,1\n1.5,1,2\n2,3,0\n'

  test('go with the folder, which says nothing of the machine, and runs where it is moved', async () => {
    mkdirSync(at('data'))
    writeFileSync(at('data', 'mail.csv'), trace)
    writeFileSync(at('filed.toml'), SMALL.replace('total_rate = 20', 'behaviour = "trace"\nfile = "data/mail.csv"'))
    await lab('run', at('filed.toml'), '--out', at('filed'))
    expect(read('filed', 'mail.csv')).toBe(trace)
    expect(Object.values(files('filed')).join('')).not.toContain(dir)
    renameSync(at('data'), at('elsewhere'))
    renameSync(at('filed'), at('moved'))
    await lab('run', at('moved', 'scenario.toml'), '--out', at('filed'))
    expect(files('filed')).toEqual(files('moved'))
  })

  test('go with jobs, whose folders are joined', async () => {
    writeFileSync(at('mail.csv'), trace)
    const words = [small, '--set', 'clients.behaviour=trace', '--set', 'clients.total_rate=0', '--set', `clients.file=${at('mail.csv')}`, '--sweep', 'topology.width=1,2', '--set', 'run.trace=true']
    await lab('run', ...words, '--out', at('whole'))
    await lab('split', ...words, '--out', at('jobs'))
    expect(Object.values(files('jobs')).join('')).not.toContain(dir)
    for (const job of ['0001', '0002']) await lab('run', at('jobs', `${job}.toml`), '--out', at('done', job))
    expect(await lab('merge', at('done', '0002'), at('done', '0001'), '--jobs', at('jobs'), '--out', at('joined'))).toMatchObject({ code: 0 })
    expect(files('joined')).toEqual(files('whole'))
    expect(Object.keys(files('joined'))).toEqual(expect.arrayContaining(['mail.csv', 'trace-0001.jsonl', 'trace-0002.jsonl']))
    expect(await lab('merge', at('done', '0002'), '--jobs', at('jobs'), '--out', at('half'))).toMatchObject({ code: 1, err: expect.stringMatching(/1 of 2 jobs have no folder: 0001/) as string })
  })

  test('of one name are refused where they differ', async () => {
    for (const [folder, text] of [['a', '1,0,1\n'], ['b', '1,1,0\n']]) {
      mkdirSync(at(folder))
      writeFileSync(at(folder, 'mail.csv'), text)
    }
    const { code, err } = await lab('run', small, '--set', 'clients.behaviour=trace', '--set', 'clients.total_rate=0', '--sweep', `clients.file=${at('a', 'mail.csv')},${at('b', 'mail.csv')}`, '--out', at('both'))
    expect(code).toBe(1)
    expect(err).toMatch(/mail\.csv: .* has the same name, and says something else/)
  })
})

describe('other commands', () => {
  test('keys: every key, with what it means', async () => {
    const { code, out } = await lab('keys')
    expect(code).toBe(0)
    expect(out).toMatch(/^\[topology\]\n(?:.*\n)* {2}layers +3 +mixes on a path$/m)
  })

  test('ring: refuses what makes no sense, and says what would', async () => {
    for (const [words, why] of [[['--coins', '0'], /--coins: a whole number from 1 wanted, not 0/], [['--down', '1,21'], /--down: no more than the 20 centers/], [['--utilisation', '1'], /--utilisation: a part/], [['--payment', '0'], /--payment: a whole/], [['--virtual-nodes', ''], /--virtual-nodes: .* not nothing/], [['--centers', '3', '--down', '1'], /more keepers/]] as const) {
      expect(await lab('ring', ...words)).toMatchObject({ code: 1, err: expect.stringMatching(why) as string, out: '' })
    }
    const { out } = await lab('ring', '--virtual-nodes', '8', '--down', '2', '--coins', '50', '--old-costs', '--out', at('ring'), '--json')
    expect(Object.keys(files('ring'))).toEqual(['ring-losses.csv', 'ring-losses.json', 'ring.csv', 'ring.json'])
    expect(JSON.parse(out)).toMatchObject({ loads: [{ virtualNodes: 8, over_even: expect.any(Array) as number[], payments_s: expect.any(Number) as number }], losses: [{ down: 2, exact: expect.closeTo(6 / 190, 9) as number }] })
  })

  test('disclosure, intersection and flushing: refuse what they cannot measure', async () => {
    expect(await lab('disclosure', '--people', '10', '--friends', '10')).toMatchObject({ code: 1, err: expect.stringMatching(/fewer friends than people/) as string })
    for (const [words, why] of [[['--there', '1'], /--there: a part/], [['--real', '2'], /--real: a part/], [['--batch', '1.5'], /--batch: a whole/], [['--people', '1'], /--people: a number above 1/], [['--runs', ''], /--runs/]] as const) {
      expect(await lab('intersection', ...words)).toMatchObject({ code: 1, err: expect.stringMatching(why) as string, out: '' })
    }
    expect(JSON.parse((await lab('intersection', '--people', '50', '--batch', '5', '--real', '1', '--there', '0.2', '--runs', '20', '--json')).out)).toMatchObject([{ of: 'receivers', right: 1 }, { of: 'senders', right: 1 }])
    expect(await lab('flushing', small)).toMatchObject({ code: 1, err: expect.stringMatching(/loops are wanted/) as string })
  })

  test('attacks: rows for people, for programs, and in a folder that says what they are of', async () => {
    const { code, out } = await lab('tagging', '--packets', '2', '--out', at('tagging'))
    expect(code).toBe(0)
    expect(out).toMatch(/^wide block +payload, last byte +2 +0 +0 +hop 5: payload 2$/m)
    expect(JSON.parse(read('tagging', 'tagging.json'))).toMatchObject({ program: 'mixmint-lab', command: 'tagging', given: { packets: 2, seed: 1 }, rows: expect.arrayContaining([]) as unknown[] })
    expect(read('tagging', 'tagging.csv').split('\r\n')[0]).toMatch(/^payload,tag,packets,recognized,arrived,dropped\./)
    const rows = JSON.parse((await lab('replay', '--packets', '2', '--json')).out) as Array<{ when: string, again: number }>
    expect(rows.filter(({ again }) => again > 0).map(({ when }) => when)).toEqual(['after a loss of power', 'without tags'])
    await lab('disclosure', '--people', '50', '--friends', '3', '--batch', '4', '--real', '1', '--runs', '2', '--out', at('disclosure'))
    expect(JSON.parse(read('disclosure', 'disclosure.json'))).toMatchObject({ given: { people: 50, friends: 3 }, rows: [{ batch: 4, real: 1 }] })
  })

  test('correlation: a page with plots beside its rows', async () => {
    const { code } = await lab('correlation', '--wallets', '3', '--observed', '5,10', '--others', '2', '--out', at('correlation'))
    expect(code).toBe(0)
    expect(Object.keys(files('correlation')).sort()).toEqual(['correlation.csv', 'correlation.json', 'report.html'])
    expect(read('correlation', 'report.html').match(/<svg/g)?.length).toBeGreaterThanOrEqual(4)
    expect((JSON.parse(read('correlation', 'correlation.json')) as { rows: unknown[] }).rows).toHaveLength(4)
  })

  test('attacks: refuse what makes no sense', async () => {
    for (const [words, why] of [
      [['correlation', '--wallets', '1'], /--wallets: a whole number from 2/], [['correlation', '--observed', '60,10'], /--observed: rising times/], [['correlation', '--echoes', '2'], /--echoes: a part from 0 to 1/],
      [['correlation', '--send', '0'], /--send: a number above 0/], [['tagging', '--packets', '0'], /--packets/], [['replay', '--packets', 'x'], /--packets/],
      [['partition', small, '--authorities', '0'], /--authorities/], [['partition', small, '--keep', ''], /--keep/], [['partition', small], /measure\.targets: at least 2/], [['partition', small, '--set', 'topology.kind=cascade'], /topology\.kind: stratified wanted/]
    ] as const) expect(await lab(...words)).toMatchObject({ code: 1, err: expect.stringMatching(why) as string, out: '' })
  })

  test('what is no command, and what has no argument, is a usage error; help is none', async () => {
    expect(await lab('rnu')).toMatchObject({ code: 2, err: expect.stringMatching(/unknown command 'rnu'\s+\(Did you mean run\?\)/) as string })
    expect(await lab('run')).toMatchObject({ code: 2 })
    expect(await lab('run', small, '--sett', 'a.b=1')).toMatchObject({ code: 2, err: expect.stringMatching(/--set/) as string })
    expect(await lab('--help')).toMatchObject({ code: 0, out: expect.stringMatching(/Exit codes/) as string })
    expect(await lab('--version')).toMatchObject({ code: 0, out: '0.1.0\n' })
  })
})
