/** The control socket is found by whoever names the node's folder, however long the name, and takes only what it knows. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { callControl, serveControl } from '../../nodes/control.ts'

const root = mkdtempSync(join(tmpdir(), 'mixmint-control-'))
afterAll(() => { rmSync(root, { recursive: true, force: true }) })
const serving = (): string => 'serving'

test.each(['short', `long/${'very-long-name-of-a-folder/'.repeat(8)}ñ 日`])('in a folder named %s', async name => {
  const dir = join(root, name)
  mkdirSync(dir, { recursive: true })
  const alias = join(root, `alias-${name.length}`)
  symlinkSync(dir, alias)
  const server = await serveControl(dir, { echo: async input => input }, serving)
  expect(readdirSync(dir)).toEqual(['control.sock'])
  for (const path of [dir, alias]) expect(await callControl(path, 'echo', { a: 1 })).toEqual({ a: 1 })
  await server.close()
  expect(readdirSync(dir)).toEqual([])
  await expect(callControl(dir, 'echo')).rejects.toMatchObject({ code: 'daemon-not-running', fault: 'operator', retry: false })
})

test('no folder, no daemon', async () => {
  for (const name of ['none', 'n'.repeat(120)]) {
    await expect(callControl(join(root, name), 'echo')).rejects.toMatchObject({ code: 'daemon-not-running' })
  }
})

test('an operation that is not there is refused, whatever its name', async () => {
  const server = await serveControl(root, { status: async () => ({}) }, serving)
  for (const name of ['other', '__proto__', 'constructor', '../status']) {
    await expect(callControl(root, name)).rejects.toMatchObject({ code: 'unknown-operation', fault: 'caller' })
  }
  await server.close()
})

test.each(['{', 'null', '[]', '"text"', '7'])('%s is refused as the caller\'s mistake', async body => {
  const server = await serveControl(root, { status: async () => ({}) }, serving)
  const said = await new Promise<string>((resolve, reject) => {
    const asked = request({ socketPath: join(root, 'control.sock'), agent: false, method: 'POST', path: '/status' }, response => {
      let text = ''
      response.on('data', (chunk: Buffer) => { text += chunk.toString('utf8') }).on('end', () => { resolve(`${response.statusCode} ${text}`) })
    })
    asked.on('error', reject).end(body)
  })
  await server.close()
  expect(said).toMatch(/^422 .*bad-argument/)
})
