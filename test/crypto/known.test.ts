/** Published numbers for every symmetric primitive, and what both suites do with arguments of a wrong length. */
import { describe, expect, it } from 'vitest'
import { hex, suites } from './suites.ts'

const none = new Uint8Array(0)
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text)

describe.each(suites)('$name suite, published answers', suite => {
  it('SHA-256 and SHA-384 of "abc" (FIPS 180-4), in one part or several', () => {
    const h256 = hex('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
    const h384 = hex('cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7')
    expect(suite.sha256(ascii('abc'))).toEqual(h256)
    expect(suite.sha256(ascii('a'), none, ascii('bc'))).toEqual(h256)
    expect(suite.sha384(ascii('abc'))).toEqual(h384)
    expect(suite.sha384(ascii('ab'), ascii('c'))).toEqual(h384)
    expect(suite.sha256()).toEqual(hex('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'))
  })

  it('HMAC-SHA-256 (RFC 4231, cases 1 and 6)', () => {
    expect(suite.hmacSha256(new Uint8Array(20).fill(0x0b), ascii('Hi '), ascii('There')))
      .toEqual(hex('b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'))
    expect(suite.hmacSha256(new Uint8Array(131).fill(0xaa), ascii('Test Using Larger Than Block-Size Key - Hash Key First')))
      .toEqual(hex('60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54'))
  })

  it('HKDF-SHA-256 (RFC 5869, cases 1 and 3)', () => {
    expect(suite.hkdfSha256(new Uint8Array(22).fill(0x0b), hex('000102030405060708090a0b0c'), hex('f0f1f2f3f4f5f6f7f8f9'), 42))
      .toEqual(hex('3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865'))
    expect(suite.hkdfSha256(new Uint8Array(22).fill(0x0b), none, none, 42))
      .toEqual(hex('8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8'))
  })

  it('SHAKE128 of nothing (NIST)', () => {
    expect(suite.shake128(none, 32)).toEqual(hex('7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26'))
  })

  it('keyed BLAKE2b-256 of "mixmint" (computed with Python\'s hashlib)', () => {
    expect(suite.blake2b256(Uint8Array.from({ length: 32 }, (_, i) => i), ascii('mixmint')))
      .toEqual(hex('f94ac6cbc83b355a82d30fb63d423050f09b8ca44d782a9e63ed7719107d2f34'))
  })

  it('AES-128-CTR (SP 800-38A F.5.1), and a counter that runs over all 128 bits', () => {
    const key = hex('2b7e151628aed2a6abf7158809cf4f3c')
    const plain = hex(`6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51
      30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710`)
    expect(suite.aes128ctr(key, hex('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff'), plain)).toEqual(hex(`874d6191b620e3261bef6864990db6ce
      9806f66b7970fdff8617187bb9fffdff 5ae4df3edbd5d35e5b4f09020db03eab 1e031dda2fbe03d1792170a0f3009cee`))
    const wrapped = suite.aes128ctr(key, new Uint8Array(16).fill(0xff), new Uint8Array(32))
    expect(wrapped.subarray(16)).toEqual(suite.aes128ctr(key, new Uint8Array(16), new Uint8Array(16)))
  })

  it('ChaCha20 (RFC 8439 A.1, vectors 1 and 4)', () => {
    expect(suite.chacha20(new Uint8Array(32), new Uint8Array(12), new Uint8Array(64))).toEqual(hex(`76b8e0ada0f13d90405d6ae55386bd28
      bdd219b8a08ded1aa836efcc8b770dc7 da41597c5157488d7724e03fb8d84a37 6a43b8f41518a11cc387b669b2ee6586`))
  })

  it('ChaCha20 into another array, and in place, wherever these lie in memory', () => {
    const [key, nonce, data] = [new Uint8Array(32).fill(1), new Uint8Array(12).fill(2), Uint8Array.from({ length: 1001 }, (_, i) => i)]
    const fresh = suite.chacha20(key, nonce, data)
    for (const offset of [0, 1, 4]) {
      const into = new Uint8Array(2000).subarray(offset, offset + data.length)
      expect(suite.chacha20(key, nonce, data, into)).toBe(into)
      expect(into).toEqual(fresh)
      const place = new Uint8Array(2000).subarray(offset, offset + data.length)
      place.set(data)
      suite.chacha20(key, nonce, place, place)
      expect(place).toEqual(fresh)
    }
    expect(() => suite.chacha20(key, nonce, data, new Uint8Array(1000))).toThrow(expect.objectContaining({ code: 'bad-argument' }))
  })

  it('XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03 A.3.1)', () => {
    const key = hex('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f')
    const nonce = hex('404142434445464748494a4b4c4d4e4f5051525354555657')
    const associated = hex('50515253c0c1c2c3c4c5c6c7')
    const plain = ascii("Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.")
    const box = suite.seal(key, nonce, plain, associated)
    expect(box).toEqual(hex(`bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39
      ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9
      21f9664c97637da9768812f615c68b13b52e c0875924c1c7987947deafd8780acf49`))
    expect(suite.open(key, nonce, box, associated)).toEqual(plain)
    expect(suite.open(key, nonce, box, none)).toBeNull()
    expect(suite.open(key, nonce, box.subarray(0, 15), associated)).toBeNull()
    for (let i = 0; i < box.length; i++) {
      const broken = box.slice()
      broken[i] ^= 1 << (i % 8)
      expect(suite.open(key, nonce, broken, associated)).toBeNull()
    }
    expect(suite.open(key, nonce, suite.seal(key, nonce, none, none), none)).toEqual(none)
  })

  it('refuses keys, nonces and lengths that the caller got wrong', () => {
    const b = (length: number): Uint8Array => new Uint8Array(length)
    const calls: Array<() => unknown> = [
      () => suite.aes128ctr(b(32), b(16), none), () => suite.aes128ctr(b(16), b(12), none),
      () => suite.chacha20(b(31), b(12), none), () => suite.chacha20(b(32), b(8), none),
      () => suite.seal(b(32), b(12), none, none), () => suite.open(b(16), b(24), b(16), none),
      () => suite.seal(b(33), b(24), none, none), () => suite.open(b(32), b(23), b(16), none),
      () => suite.blake2b256(none, none), () => suite.blake2b256(b(65), none),
      () => suite.shake128(none, 0), () => suite.shake128(none, 1.5), () => suite.shake128(none, 1e9),
      () => suite.hkdfSha256(b(32), none, none, 8161), () => suite.hkdfSha256(b(32), none, none, -1),
      () => suite.x25519(b(31), b(32)), () => suite.x25519Base(b(33)), () => suite.ed25519KeyPair(b(64)),
      () => suite.ed25519Sign({ secret: b(64), publicKey: b(32) }, none),
      () => suite.rsaVerifyPss({ n: b(256) }, none, none, -1)
    ]
    for (const call of calls) expect(call).toThrow(expect.objectContaining({ code: 'bad-argument', fault: 'caller' }))
  })

  it('gives out plain arrays with memory of their own', () => {
    const key = new Uint8Array(32).fill(1)
    const data = new Uint8Array(100).fill(2)
    const pair = suite.ed25519KeyPair(key)
    const results = [
      suite.sha256(data), suite.sha256(data, data), suite.sha384(data), suite.hmacSha256(key, data), suite.hkdfSha256(key, key, key, 64),
      suite.blake2b256(key, data), suite.shake128(data, 200), suite.aes128ctr(key.subarray(16), key.subarray(16), data),
      suite.chacha20(key, key.subarray(20), data), suite.seal(key, key.subarray(8), data, data), suite.x25519Base(key),
      pair.secret, pair.publicKey, suite.ed25519Sign(pair, data)
    ]
    for (const result of results) {
      expect(result.constructor).toBe(Uint8Array)
      expect(result.buffer.byteLength).toBeLessThan(result.length + 64)
      expect([key.buffer, data.buffer]).not.toContain(result.buffer)
    }
    expect(key).toEqual(new Uint8Array(32).fill(1))
    expect(data).toEqual(new Uint8Array(100).fill(2))
  })
})
