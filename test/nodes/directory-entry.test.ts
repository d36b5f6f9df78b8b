/** What an operator hands to others: the public side of the keys that the node will run with, and nothing else. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { fromHex, toHex } from '@mixmint/core/kit/bytes'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { parseTarget } from '@mixmint/mixnet/wire/peers'
import { admissionEntry, authorityEntry } from '../../nodes/directory-entry.ts'

const ADDRESS = '/ip4/192.0.2.1/tcp/4001'
let dir: string

beforeEach(() => { dir = mkdtempSync(join(tmpdir(), 'mixmint-entry-')) })
afterEach(() => { rmSync(dir, { recursive: true, force: true }) })

test('an authority\'s keys are made once, and its entry says their public side', async () => {
  const entry = await authorityEntry(dir, ADDRESS)
  expect(await authorityEntry(dir, ADDRESS)).toEqual(entry)
  const [secret, identity] = ['authority.key', 'identity.key'].map(file => readFileSync(join(dir, file), 'utf8').trim())
  expect(entry.key).toBe(toHex((await defaultSuite()).ed25519KeyPair(fromHex(secret)).publicKey))
  expect(parseTarget(entry.address).addresses).toEqual([ADDRESS])
  for (const key of [secret, identity]) expect(JSON.stringify(entry)).not.toContain(key)
})

test('a node\'s entry has the same peer id, its role, and the kind of a service; it makes no key of an authority', async () => {
  const entry = admissionEntry(dir, 'mix', '')
  expect(readdirSync(dir)).toEqual(['identity.key'])
  expect(entry).toEqual({ peer: expect.stringMatching(/^16Uiu2/), role: 'mix' })
  expect(admissionEntry(dir, 'service', 'bank')).toEqual({ peer: entry.peer, role: 'service', kind: 'bank' })
  expect((await authorityEntry(dir, ADDRESS)).address).toBe(`${ADDRESS}/p2p/${entry.peer}`)
})

test.each(['', 'example.org:4001', `${ADDRESS}/p2p/16Uiu2HAkzBNhGWBUJK94ZGKVTj8kRya9CHmN8zfQMPbxhZJdnoQD`])('an address such as "%s" is refused before a key of an authority is made', async address => {
  await expect(authorityEntry(dir, address)).rejects.toMatchObject({ code: 'bad-argument' })
  expect(readdirSync(dir)).toEqual(['identity.key'])
})
