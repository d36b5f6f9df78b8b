/** The short known-answer test at the start of a daemon. */
import type { Suite } from '@mixmint/core/crypto/suite'
import { describe, expect, it } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { PACKET, selfTest } from '../../nodes/selftest.ts'
import { nativeSuite, pureSuite, suites } from '../crypto/suites.ts'
import { twinWrap } from '../reference/sphinx.ts'

const wrong = (bytes: Uint8Array | null): Uint8Array | null => bytes === null ? null : bytes.map((byte, i) => i === 3 ? byte ^ 1 : byte)

describe('the self-test', () => {
  it.each(suites)('passes with the $name suite', suite => {
    expect(() => { selfTest(suite) }).not.toThrow()
  })

  it.each(['sha256', 'sha384', 'hmacSha256', 'blake2b256', 'shake128', 'aes128ctr', 'chacha20', 'open', 'x25519', 'ed25519Sign', 'rsaPublicRaw'] as const)('notices a wrong %s', name => {
    const broken = { ...nativeSuite, [name]: (...args: never[]) => wrong((nativeSuite[name] as (...args: never[]) => Uint8Array | null)(...args)) } as Suite
    expect(() => { selfTest(broken) }).toThrow(expect.objectContaining({ code: 'selftest-failed', fault: 'us' }))
  })

  it.each([['ed25519Verify', true], ['ed25519Verify', false], ['rsaVerifyPss', true], ['rsaVerifyPss', false]] as const)('notices that %s always says %s', (name, answer) => {
    expect(() => { selfTest({ ...nativeSuite, [name]: () => answer }) }).toThrow(expect.objectContaining({ code: 'selftest-failed' }))
  })

  it('notices a primitive that throws, and a box that opens whatever it is bound to', () => {
    expect(() => { selfTest({ ...nativeSuite, sha256: () => { throw new Error('boom') } }) }).toThrow(expect.objectContaining({ code: 'selftest-failed' }))
    expect(() => { selfTest({ ...nativeSuite, open: (key, nonce, box) => nativeSuite.open(key, nonce, box, new TextEncoder().encode('mixmint')) }) })
      .toThrow(expect.objectContaining({ code: 'selftest-failed' }))
  })

  it('knows a packet by its slow twin', () => {
    const hops = PACKET.keys.map((key, i) => ({ publicKey: pureSuite.x25519Base(key), address: PACKET.addresses[i], delay: PACKET.delays[i] }))
    expect(toHex(pureSuite.sha256(twinWrap(PACKET.ephemeral, hops, new Uint8Array(94), PACKET.message)))).toBe(PACKET.digest)
  })
})
