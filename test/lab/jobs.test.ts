/** Jobs on many machines give what the sweep gives. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { pointOf, readFolder, writeFolder } from '../../lab/run/folder.ts'
import { foldersOf, jobName } from '../../lab/run/jobs.ts'
import { simulate } from '../../lab/run/simulate.ts'
import { readScenario } from '../../lab/scenario/read.ts'

const dir = mkdtempSync(join(tmpdir(), 'lab-'))
afterAll(() => { rmSync(dir, { recursive: true }) })

const bytes = (folder: string): string[] => readdirSync(folder).sort().map(file => `${file}: ${readFileSync(join(folder, file), 'utf8')}`)

test('what is no finite number is the same after a file as before: one target, clients from a trace, nothing sent', () => {
  const file = join(dir, 'trace.csv')
  writeFileSync(file, '1,0,1\n1.5,1,0\n')
  const points = [{ behaviour: 'trace', file }, { total_rate: 100 }, { total_rate: 1e-6 }].map((clients, i) => {
    const scenario = readScenario({
      topology: { layers: 1, width: 1 }, delay: { per_mix_s: 0.1 }, clients: { count: 2, ...clients }, measure: { targets: 1 }, run: { warmup_s: 1, duration_s: 2, seed: i + 1 }
    }, 'test')
    return pointOf(scenario, simulate(scenario))
  })
  expect(points.map(({ summary }) => summary.entropy_bits?.n)).toEqual([1, 1, undefined])
  writeFolder(join(dir, 'sweep'), points)
  points.forEach((point, i) => { writeFolder(join(dir, String(i)), [point]) })
  const merged = points.flatMap((_, i) => readFolder(join(dir, String(i))))
  expect(merged).toEqual(points)
  writeFolder(join(dir, 'merged'), merged)
  expect(bytes(join(dir, 'merged'))).toEqual(bytes(join(dir, 'sweep')))
  expect(bytes(join(dir, 'sweep')).join('')).not.toMatch(/NaN|Infinity/)
})

test.each([3, 9999, 10_000, 123_456])('names of %i jobs are listed in their order', count => {
  const names = [0, 1, 8, 9, 99, 998, 1000, count - 1].filter(i => i < count).map(i => jobName(i, count))
  expect(names.toSorted()).toEqual(names)
})

test('a job without a folder is not passed over', () => {
  const jobs = ['0001', '0002', '0003']
  expect(foldersOf(jobs, ['r/0003', 'r/0001/', 'r/0002'])).toEqual(['r/0001/', 'r/0002', 'r/0003'])
  expect(() => foldersOf(jobs, ['r/0003', 'r/0001'])).toThrow(/1 of 3 jobs have no folder: 0002/)
  expect(() => foldersOf(jobs, ['r/0001', 'r/0002', 'r/0003', 'r/0004'])).toThrow(/no job for r\/0004/)
  expect(() => foldersOf(jobs, ['r/0001', 'r/0002', 'r/0003', 's/0003'])).toThrow(/two folders/)
})
