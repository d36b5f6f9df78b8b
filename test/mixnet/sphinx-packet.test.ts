import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat, isZero } from '@mixmint/core/kit/bytes'
import type { Peeled } from '@mixmint/mixnet/sphinx/peel'
import { geometryOf } from '@mixmint/mixnet/sphinx/layout'
import { createSurb, openReply, useSurb } from '@mixmint/mixnet/sphinx/surb'
import { wrap } from '@mixmint/mixnet/sphinx/wrap'
import { twinHeader, twinLast, twinOpenBeta, twinOpenReply, twinPeel, twinReply, twinSurb, twinWrap } from '../reference/sphinx.ts'
import { bytesFrom, bytesOf, HERE, message, native, pathOf, reason, seeds, suites, walk } from './sphinx-material.ts'

test('the native suite is the one under test', () => {
  expect(suites.map(suite => suite.name)).toEqual(['native', 'pure'])
})

/** Messages of packets of the least size, 1500, 2048, 4608, 8192 and 32768 bytes, and of any up to 6000. */
const sizes = fc.oneof(fc.constantFrom(48, 860, 1408, 3968, 7552, 32128), fc.integer({ min: 48, max: 5360 }))

test('sizes follow from that of the packet', () => {
  expect(geometryOf(4608)).toEqual({ packetSize: 4608, payloadSize: 3984, messageSize: 3968 })
  expect(geometryOf(688).messageSize).toBe(48)
  expect(geometryOf(65536).messageSize).toBe(64896)
  for (const size of [687, 65537, 0, -1, 4608.5, NaN, Infinity]) {
    expect(() => geometryOf(size)).toThrow(expect.objectContaining({ code: 'bad-packet-size', fault: 'operator' }))
  }
})

describe.each([3, 4, 5])('the slow twin agrees on paths of %i hops', length => {
  test('forward: packets byte for byte, and every step', () => {
    fc.assert(fc.property(seeds, sizes, fc.constantFrom(...suites), fc.boolean(), (seed, size, suite, here) => {
      const { hops, keys } = pathOf(length, seed)
      const destination = here ? HERE : bytesFrom(seed, 'destination', 94)
      const text = bytesFrom(seed, 'message', size)
      const ephemeral = bytesFrom(seed, 'ephemeral', 32)
      let packet = wrap(suite, ephemeral, hops, destination, text)
      expect(packet).toEqual(twinWrap(ephemeral, hops, destination, text))
      const steps = walk(suite, keys, packet)
      for (const [i, step] of steps.entries()) {
        expect(step).toEqual(twinPeel(keys[i], packet))
        if (step.kind === 'forward') packet = step.packet
      }
      expect(steps.map(step => step.kind)).toEqual([...hops.slice(1).map(() => 'forward'), 'exit'])
      expect(steps.at(-1)).toMatchObject({ destination, message: text })
    }), { numRuns: 6 })
  })

  test('SURB: creation, use, every step and opening', () => {
    fc.assert(fc.property(seeds, sizes, fc.constantFrom(...suites), (seed, size, suite) => {
      const { hops, keys } = pathOf(length, seed)
      const [ephemeral, id, key] = [bytesFrom(seed, 'ephemeral', 32), bytesFrom(seed, 'id', 16), bytesFrom(seed, 'key', 16)]
      const text = bytesFrom(seed, 'reply', size)
      const { surb, secrets } = createSurb(suite, ephemeral, hops, id, key)
      const twin = twinSurb(ephemeral, hops, id, key)
      expect(surb).toEqual(twin.surb)
      const used = useSurb(suite, surb, text)!
      expect(used.firstHop).toEqual(hops[0].address)
      let { packet } = used
      expect(packet).toEqual(twinReply(surb, text))
      const steps = walk(suite, keys, packet)
      for (const [i, step] of steps.entries()) {
        expect(step).toEqual(twinPeel(keys[i], packet))
        if (step.kind === 'forward') packet = step.packet
      }
      const last = steps.at(-1)
      if (last?.kind !== 'reply') throw new Error(`the last hop made a ${last?.kind} of it`)
      expect(last.surbId).toEqual(id)
      expect(openReply(suite, secrets, last.payload)).toEqual(text)
      expect(twinOpenReply(key, twin.s, last.payload)).toEqual(text)
    }), { numRuns: 5 })
  })
})

describe('the last hop\'s block', () => {
  const { hops, keys } = pathOf(5)
  const ephemeral = bytesOf('ephemeral', 32)
  const end = (last: Uint8Array): Peeled => walk(native, keys, twinWrap(ephemeral, hops, HERE, message, last)).at(-1)!
  const block = (change: (last: Uint8Array) => void): Uint8Array => {
    const last = twinLast(hops, HERE, new Uint8Array(16))
    change(last)
    return last
  }

  test('with both an id and an address is dropped', () => {
    expect(end(block(last => { last[0] = 1; last[96] = 1 }))).toEqual({ kind: 'drop', reason: 'block' })
    expect(end(block(last => { last[93] = 1; last[111] = 1 }))).toEqual({ kind: 'drop', reason: 'block' })
  })

  test('with a delay or without the zeros behind it is not a last hop\'s', () => {
    expect(reason(end(block(() => {})))).toBe('exit')
    for (const at of [94, 95, 112, 119, 127]) expect(reason(end(block(last => { last[at] = 1 })))).toBe('forward')
  })

  test('makes a reply of any id that is not zero', () => {
    for (const at of [96, 104, 111]) expect(reason(end(block(last => { last[at] = 0x80 })))).toBe('reply')
  })

  test.each([1, 2, 3, 4, 5])('carries nothing but address and id, on paths of %i', length => {
    const path = pathOf(length, 7)
    const destination = bytesOf('destination', 94)
    const id = bytesOf('id', 16)
    for (const [address, surbId] of [[destination, new Uint8Array(16)], [HERE, new Uint8Array(16)], [HERE, id]]) {
      const header = isZero(surbId)
        ? wrap(native, ephemeral, path.hops, address, message).subarray(0, 624)
        : createSurb(native, ephemeral, path.hops, id, bytesOf('key', 16)).surb.subarray(94, 718)
      const { s } = twinHeader(ephemeral, path.hops, twinLast(path.hops, address, surbId))
      let beta = header.slice(32, 608)
      for (const secret of s.slice(0, -1)) beta = twinOpenBeta(secret, beta).slice(112)
      const plain = twinOpenBeta(s[length - 1], beta).subarray(0, 576 - 112 * (length - 1))
      expect(plain).toEqual(concat(address, new Uint8Array(2), surbId, new Uint8Array(plain.length - 112)))
    }
  })
})

describe('what a caller may not ask', () => {
  const { hops } = pathOf(5)
  const ephemeral = bytesOf('ephemeral', 32)
  const bent = (i: number, change: object): typeof hops => hops.map((hop, j) => i === j ? { ...hop, ...change } : hop)

  test.each([
    ['no hops', []],
    ['six hops', [...pathOf(1).hops, ...hops]],
    ['a short key', bent(1, { publicKey: new Uint8Array(31) })],
    ['a short address', bent(1, { address: new Uint8Array(93) })],
    ['a delay that does not fit', bent(1, { delay: 65536 })],
    ['a negative delay', bent(1, { delay: -1 })],
    ['a fractional delay', bent(1, { delay: 0.5 })],
    ['a last hop that delays', bent(4, { delay: 1 })]
  ])('%s: bad-path', (_, path) => {
    expect(() => wrap(native, ephemeral, path, HERE, message)).toThrow(expect.objectContaining({ code: 'bad-path', fault: 'caller' }))
    expect(() => createSurb(native, ephemeral, path, bytesOf('id', 16), bytesOf('key', 16))).toThrow(expect.objectContaining({ code: 'bad-path' }))
  })

  test('wrong sizes', () => {
    expect(() => wrap(native, ephemeral.subarray(1), hops, HERE, message)).toThrow(expect.objectContaining({ code: 'bad-path' }))
    expect(() => wrap(native, ephemeral, hops, HERE.subarray(1), message)).toThrow(expect.objectContaining({ code: 'bad-path' }))
    expect(() => wrap(native, ephemeral, hops, HERE, message.subarray(0, 47))).toThrow(expect.objectContaining({ code: 'bad-message' }))
    expect(() => wrap(native, ephemeral, hops, HERE, new Uint8Array(64897))).toThrow(expect.objectContaining({ code: 'bad-message' }))
    expect(wrap(native, ephemeral, hops, HERE, message.subarray(0, 48))).toHaveLength(688)
    expect(wrap(native, ephemeral, hops, HERE, new Uint8Array(64896))).toHaveLength(65536)
    const { surb } = createSurb(native, ephemeral, hops, bytesOf('id', 16), bytesOf('key', 16))
    expect(() => useSurb(native, surb, message.subarray(0, 47))).toThrow(expect.objectContaining({ code: 'bad-message' }))
    expect(() => createSurb(native, ephemeral, hops, bytesOf('id', 15), bytesOf('key', 16))).toThrow(expect.objectContaining({ code: 'bad-surb' }))
    expect(() => createSurb(native, ephemeral, hops, bytesOf('id', 16), bytesOf('key', 15))).toThrow(expect.objectContaining({ code: 'bad-surb' }))
  })

  test('a SURB id of zeros, which would make an exit of its owner', () => {
    expect(() => createSurb(native, ephemeral, hops, new Uint8Array(16), bytesOf('key', 16))).toThrow(expect.objectContaining({ code: 'bad-surb' }))
  })

  test('a path through a key of low order', () => {
    for (const suite of suites) {
      expect(() => wrap(suite, ephemeral, bent(2, { publicKey: new Uint8Array(32) }), HERE, message)).toThrow(expect.objectContaining({ code: 'bad-hop-key', fault: 'peer' }))
    }
  })

  test('a SURB from a peer that is none is answered with null', () => {
    const { surb } = createSurb(native, ephemeral, hops, bytesOf('id', 16), bytesOf('key', 16))
    expect(useSurb(native, surb.subarray(1), message)).toBeNull()
    expect(useSurb(native, concat(HERE, surb.subarray(94)), message)).toBeNull()
    expect(useSurb(native, new Uint8Array(0), message)).toBeNull()
  })
})
