/** Secret files: complete or not there. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createSecret } from '../../nodes/secrets.ts'

let dir: string
beforeEach(() => { dir = mkdtempSync(join(tmpdir(), 'mixmint-secrets-')) })
afterEach(() => { rmSync(dir, { recursive: true, force: true }) })

test('a secret is written whole, once, for its owner', () => {
  const file = join(dir, 'keys', 'one')
  expect(createSecret(file, 'x'.repeat(48_000))).toBe(true)
  expect(createSecret(file, 'y')).toBe(false)
  expect(readFileSync(file, 'utf8')).toBe('x'.repeat(48_000))
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(readdirSync(join(dir, 'keys'))).toEqual(['one'])
})

// A limit on the size of files cuts a write short just as a full disk does.
test.skipIf(process.platform !== 'linux')('a disk that takes a part of it leaves nothing behind', () => {
  const module = new URL('../../nodes/secrets.ts', import.meta.url).href
  const script = `import { createSecret } from '${module}'
process.on('SIGXFSZ', () => {})
try { createSecret('${join(dir, 'key')}', 'x'.repeat(48_000)); console.log('made') } catch (error) { console.log(error.code) }`
  const said = execFileSync('sh', ['-c', 'ulimit -f 16; exec "$0" --input-type=module -e "$1"', process.execPath, script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  expect(said.trim()).toMatch(/^E(FBIG|NOSPC)$/)
  expect(readdirSync(dir)).toEqual([])
})

test.skipIf(process.platform !== 'linux')('where no folder can be made, that is said', () => {
  expect(() => createSecret('/proc/nowhere/at/all/key', 'x')).toThrow(expect.objectContaining({ code: 'cannot-make-folder' }))
})
