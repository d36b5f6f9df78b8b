/** SIGHUP: what can change is taken up, what wants a restart is named, and what is wrong changes nothing. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { NodeConfig } from '../../nodes/config.ts'
import { reloader } from '../../nodes/reload.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mixmint-reload-'))
  writeFileSync(join(dir, 'network.toml'), `network = "n"\n[[authority]]\nkey = "${'ab'.repeat(32)}"\naddress = "/ip4/127.0.0.1/tcp/1/p2p/x"\n`)
})
afterEach(() => { rmSync(dir, { recursive: true, force: true }) })

const write = (top: string, own = ''): void => {
  writeFileSync(join(dir, 'config.toml'), `role = "merchant"\nnetwork = "network.toml"\nlisten = "x"\n${top}\n[merchant]\nbank = "${'cd'.repeat(32)}"\n${own}\n`)
}

test('each change is told once, and taken up or waited with', () => {
  const said: Array<[string, string, unknown]> = []
  const taken: NodeConfig[] = []
  const log = Object.fromEntries((['info', 'warn', 'error'] as const).map(level =>
    [level, (message: string, fields: Record<string, unknown> = {}) => { said.push([level, message, fields.changed ?? fields.settings ?? fields.code]) }])) as unknown as Parameters<typeof reloader>[0]['log']
  write('')
  const reload = reloader({ dir, given: { set: ['name=Corner'] }, log, take: config => { taken.push(config) } })
  const told = (): typeof said => {
    reload()
    return said.splice(0)
  }
  const READ = 'configuration read again'
  expect(told()).toEqual([['info', READ, 'nothing']])
  write('log = "debug"', '[[merchant.catalogue]]\nitem = "tea"\nprice = 3')
  expect(told()).toEqual([['info', READ, 'log merchant.catalogue']])
  expect(taken.at(-1)).toMatchObject({ log: 'debug', name: 'Corner', catalogue: [{ item: 'tea', price: 3 }] })
  // What holds by a flag holds.
  write('log = "debug"', 'name = "Other"\n[[merchant.catalogue]]\nitem = "tea"\nprice = 3')
  expect(told()).toEqual([['info', READ, 'nothing']])
  expect(taken.at(-1)?.name).toBe('Corner')
  write('', 'depositMinutes = 5')
  const waiting = ['warn', 'settings that want a restart have changed', 'merchant.depositMinutes']
  expect(told()).toEqual([['info', READ, 'log merchant.catalogue'], waiting])
  expect(told()).toEqual([['info', READ, 'nothing'], waiting])
  const before = taken.length
  write('lgo = "debug"')
  expect(told()).toEqual([['error', expect.stringMatching(/the one before holds: .*unknown key lgo; did you mean log/), 'bad-config']])
  expect(taken).toHaveLength(before)
  write('')
  expect(told()).toEqual([['info', READ, 'nothing']])
})

test('what a role refuses is as if it had not been said', () => {
  write('')
  const said: string[] = []
  const log = { info: () => {}, warn: () => {}, error: (message: string) => { said.push(message) } }
  const reload = reloader({ dir, given: {}, log, take: () => { throw new Error('no') } })
  write('log = "debug"')
  reload()
  expect(said).toEqual([expect.stringContaining('the one before holds')])
})
