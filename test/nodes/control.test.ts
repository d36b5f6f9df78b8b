/** The control socket: who is asked, and what it makes of what comes in. */
import { chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { request } from 'node:http'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { callControl, serveControl } from '../../nodes/control.ts'

let dir: string
beforeEach(() => { dir = mkdtempSync(join(tmpdir(), 'mixmint-control-')) })
afterEach(() => { rmSync(dir, { recursive: true, force: true }) })

// To give something away one has to be root.
test.skipIf(process.getuid?.() !== 0)('a socket that another user made is not asked', async () => {
  const node = join(dir, 'n'.repeat(100))
  mkdirSync(node)
  const server = await serveControl(node, { accept: async () => ({ state: 'paid' }) })
  expect(await callControl(node, 'accept')).toEqual({ state: 'paid' })
  chownSync(node, 65534, 65534)
  await expect(callControl(node, 'accept')).rejects.toMatchObject({ code: 'control-taken', fault: 'operator' })
  await server.close()
})

test.each(['{', 'null', '[]', '"text"', '7'])('%s is refused as the caller\'s mistake', async body => {
  const server = await serveControl(dir, { status: async () => ({}) })
  const said = await new Promise<string>((resolve, reject) => {
    const asked = request({ socketPath: join(dir, 'control.sock'), method: 'POST', path: '/status' }, response => {
      let text = ''
      response.on('data', (chunk: Buffer) => { text += chunk.toString('utf8') }).on('end', () => { resolve(`${response.statusCode} ${text}`) })
    })
    asked.on('error', reject).end(body)
  })
  await server.close()
  expect(said).toMatch(/^422 .*bad-argument/)
})
