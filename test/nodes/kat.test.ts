/** `runKat`: both formats, both suites, and files that are none. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { runKat } from '../../nodes/kat.ts'

const rsabssa = fileURLToPath(new URL('../vectors/rsabssa.json', import.meta.url))
const sphinx = fileURLToPath(new URL('../vectors/lip99-sphinx.json', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'mixmint-kat-'))
afterAll(() => { rmSync(root, { recursive: true, force: true }) })

function written (name: string, text: string): string {
  writeFileSync(join(root, name), text)
  return join(root, name)
}

describe('known-answer tests of files', () => {
  it('hold for the files of this repository, with both suites', async () => {
    expect(await runKat([rsabssa, sphinx])).toEqual([rsabssa, sphinx].flatMap(file => ['native', 'pure'].map(suite => ({ file, suite, failures: [] }))))
  })

  it('name what failed in a file that is not so', async () => {
    const wrong = JSON.parse(readFileSync(rsabssa, 'utf8')) as { vectors: Array<{ sig: string }> }
    wrong.vectors[2].sig = `00${wrong.vectors[2].sig.slice(2)}`
    for (const { failures } of await runKat([written('wrong.json', JSON.stringify(wrong))])) {
      expect(failures).toContain('vector 2 (RSABSSA-SHA384-PSSZERO-Deterministic): sig')
      expect(failures.every(f => f.startsWith('vector 2 '))).toBe(true)
    }
  })

  it('fail for files that are missing, no JSON, or of another shape', async () => {
    const files = [join(root, 'missing.json'), written('text.json', 'vectors'), ...['null', '[]', '{}', '{"vectors":[]}', '{"vectors":[1]}', '{"vectors":[{"suite":1}]}', '{"vectors":[{"hops":1}]}']
      .map((text, i) => written(`${i}.json`, text))]
    const results = await runKat(files)
    expect(results.length).toBe(2 * files.length)
    for (const { file, failures } of results) expect(failures.length, file).toBeGreaterThan(0)
  })
})
