/** Who runs a relay says which packets of its clients are worked on. */
import { lpStream } from '@libp2p/utils'
import { expect, it } from 'vitest'
import { utf8 } from '@mixmint/core/kit/bytes'
import { RateLimit } from '@mixmint/mixnet/abuse/rate-limit'
import { lengthPrefixed } from '@mixmint/mixnet/service/reply-rule'
import { mix } from '@mixmint/mixnet/service/mix'
import { FAST, introduce, mixedNetwork, mixedNode } from './service-nodes.ts'

const ECHO = '/echo/1'

it('by a port that is asked for each packet of a client, and for none of a node', async () => {
  const WIDE = { perSecond: 1e6, burst: 1e6 }
  const limit = new RateLimit(() => ({ each: WIDE, all: WIDE, patience: 1000 }))
  const asked: string[] = []
  const admit = { admit: (from: string, now: number) => { asked.push(from); return limit.admit(from, now) }, forget: limit.forget }
  const nodes = await mixedNetwork(5, [{ relay: { clients: true, admit } }, { relay: true, serve: { [ECHO]: lengthPrefixed({ max: 1000 }) } }])
  await nodes[1].handle(ECHO, async stream => {
    const lp = lpStream(stream)
    await lp.write((await lp.read()).subarray())
    await stream.close()
  })
  const client = await mixedNode({ parameters: FAST }, { listen: [] })
  introduce(client, nodes)
  const lp = lpStream(await client.services.mix.dialProtocol(nodes[1].peerId, ECHO))
  await lp.write(utf8('hello'))
  expect(new TextDecoder().decode((await lp.read()).subarray())).toBe('hello')
  expect(asked.length).toBeGreaterThan(0)
  expect(new Set(asked)).toEqual(new Set([Buffer.from(client.peerId.toMultihash().bytes).toString('hex')]))
})

it('refused at once, where no clients are taken', () => {
  const admit = new RateLimit(() => ({ each: { perSecond: 1, burst: 1 }, all: { perSecond: 1, burst: 1 }, patience: 1 }))
  expect(() => mix({ relay: { admit } })).toThrow(expect.objectContaining({ code: 'bad-init', message: expect.stringContaining('relay.admit') }))
})
