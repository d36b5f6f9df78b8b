/** The example runs as its readers run it, and shows what it claims. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const root = new URL('../../', import.meta.url)

it('ten nodes: everybody sees the one before, and nobody the client but its entry', async () => {
  const { scripts } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { scripts: Record<string, string> }
  const [, ...args] = scripts.example.split(' ')
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: fileURLToPath(root), timeout: 100_000 })
  expect(stderr).toBe('')
  for (const shown of [
    /pings the server, the last hop +\d+ ms/, /pings the node outside, through the exit +\d+ ms/, /a greeting +"hello from nowhere"/,
    /the client spoke with +the entry$/m, /the server was greeted by +somebody without a name$/m, /the node outside was pinged by +the exit$/m
  ]) expect(stdout).toMatch(shown)
  const packets = [...stdout.matchAll(/^ {2}(the entry|the server|the exit|mix \d) +(\d+) packets passed on, (\d+) for itself$/gm)].map(([, who, on, own]) => ({ who, on: Number(on), own: Number(own) }))
  expect(packets).toHaveLength(10)
  // Three exchanges, each there and back over the entry; two of them end at the server, one at the exit.
  expect(packets[0]).toMatchObject({ who: 'the entry', own: 0 })
  expect(packets[0].on).toBeGreaterThanOrEqual(6)
  expect(packets[1].own).toBeGreaterThanOrEqual(2)
  expect(packets[2].own).toBeGreaterThanOrEqual(1)
  expect(packets.slice(3).every(({ own }) => own === 0)).toBe(true)
})
