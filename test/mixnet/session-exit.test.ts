import { expect, it } from 'vitest'
import type { ResponderEffect } from '@mixmint/mixnet/session/engines'
import { bindingOf, writeRequest } from '@mixmint/mixnet/session/fragment'
import { Responder } from '@mixmint/mixnet/session/responder'
import { parseAddress, type PacketAddress } from '@mixmint/mixnet/sphinx/address'
import { encodeMessage } from '@mixmint/mixnet/sphinx/message'
import { CountingMeter } from '../doubles/meter.ts'
import { blockOf, suite } from './mix-material.ts'

it('at an exit a request is one of its destination: parts for another, or for the exit itself, are not joined to it', () => {
  const protocol = '/test/1'
  const refused = parseAddress(blockOf('refused'))
  const meter = new CountingMeter()
  const responder = new Responder({
    suite, meter, gatherFor: 1000, memoryLimit: 1 << 20, requestsLimit: 10, runLimit: 10,
    knows: (_, destination) => destination?.peer.join() !== refused?.peer.join(),
    parameters: () => ({ strategy: { kind: 'poisson' }, cover: { send: 0, echoes: 0, pace: 0, loop: 0 }, pathLength: 3, packetSize: 4608, meanDelay: 1, requestLimit: 1000, surbsPerPacket: 4, answerKept: 1000 })
  })
  const content = new Uint8Array(200).fill(7)
  const id = new Uint8Array(16)
  const deliver = (index: number, destination: PacketAddress | null): ResponderEffect[] => responder.step({
    is: 'delivered', destination,
    message: encodeMessage(3968, {
      codec: protocol, surbs: [], sequence: 0,
      data: writeRequest({ id, binding: bindingOf(suite, id, protocol, content), total: 200, chunk: 100, index, flight: 0, wants: [], data: content.subarray(100 * index, 100 * index + 100) })
    })
  }, 0)
  const places = [null, parseAddress(blockOf('a')), parseAddress(blockOf('b')), parseAddress(blockOf('a', 'c'))]
  for (const place of places) expect(deliver(0, place)).toEqual([])
  expect(responder.held.requests).toBe(4)
  for (const place of places) expect(deliver(1, place)).toMatchObject([{ do: 'run', protocol, content, destination: place }])
  expect(deliver(0, refused)).toEqual([])
  expect(meter.of('responder_refused', { code: 'exit-refused' })).toBe(1)
  expect(responder.held.requests).toBe(4)
})
