/** RSA in both suites: strict import, raw operations, strict PSS verification. */
import { constants, createPrivateKey, generateKeyPairSync, generatePrimeSync, privateEncrypt, sign, type KeyObject } from 'node:crypto'
import { compare } from '@mixmint/core/kit/bytes'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nativeSuite, pureSuite, seeded, suites } from './suites.ts'

const object = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const pkcs8 = der(object)
const message = seeded('message', 40)

function der (key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ format: 'der', type: 'pkcs8' }))
}

function pss (saltLength: number, digest = 'sha384'): Uint8Array {
  return new Uint8Array(sign(digest, message, { key: object, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }))
}

function number (bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
}

function bytes (n: bigint, length = 256): Uint8Array {
  return new Uint8Array(Buffer.from(n.toString(16).padStart(2 * length, '0'), 'hex'))
}

function inverse (a: bigint, n: bigint): bigint {
  let [r0, r1, t0, t1] = [n, a, 0n, 1n]
  while (r1 !== 0n) [r0, r1, t0, t1] = [r1, r0 % r1, t1, t0 - r0 / r1 * t1]
  return (t0 + n) % n
}

/** A key of 2049 bits, which node:crypto does not make by itself: the PSS encoding is a byte shorter than the modulus. */
function oddKey (): { odd: KeyObject, n: Uint8Array } {
  for (;;) {
    // Both anew: with a small first one the second would be looked for among few.
    const [p, q] = [generatePrimeSync(1024, { bigint: true }), generatePrimeSync(1025, { bigint: true })]
    const [n, order] = [p * q, (p - 1n) * (q - 1n)]
    if (n >> 2047n !== 3n || order % 65537n === 0n) continue
    const d = inverse(65537n, order)
    const numbers = { n, e: 65537n, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q % p, p) }
    const encoded = Object.fromEntries(Object.entries(numbers).map(([name, v]) => [name, Buffer.from(v.toString(16).padStart(2 * Math.ceil(v.toString(16).length / 2), '0'), 'hex').toString('base64url')]))
    return { odd: createPrivateKey({ key: { kty: 'RSA', ...encoded }, format: 'jwk' }), n: bytes(n, 257) }
  }
}

/** A PKCS #8 file from the numbers of a key, some of them replaced. */
function forged (change: (jwk: Record<string, bigint>) => void, tail = 0, inner = 0): Uint8Array {
  const jwk = object.export({ format: 'jwk' })
  const names = ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'] as const
  const numbers: Record<string, bigint> = Object.fromEntries(names.map(name => [name, number(Buffer.from(jwk[name] as string, 'base64url'))]))
  change(numbers)
  const wrap = (tag: number, body: Buffer): Buffer => Buffer.concat([Buffer.from(body.length < 128 ? [tag, body.length]
    : body.length < 256 ? [tag, 0x81, body.length] : [tag, 0x82, body.length >> 8, body.length & 255]), body])
  const integer = (n: bigint): Buffer => {
    const body = Buffer.from(n.toString(16).padStart(2 * Math.ceil(n.toString(16).length / 2), '0'), 'hex')
    return wrap(2, body[0] >= 0x80 ? Buffer.concat([Buffer.of(0), body]) : body)
  }
  const key = wrap(0x30, Buffer.concat([integer(0n), ...names.map(name => integer(numbers[name])), Buffer.alloc(inner)]))
  const algorithm = Buffer.from('300d06092a864886f70d0101010500', 'hex')
  return new Uint8Array(Buffer.concat([wrap(0x30, Buffer.concat([integer(0n), algorithm, wrap(4, key)])), Buffer.alloc(tail)]))
}

describe.each(suites)('$name suite, RSA', suite => {
  const key = suite.rsaImportPrivate(pkcs8)
  const { n } = key.publicKey

  it('imports a PKCS #8 key and gives its modulus without leading zeros', () => {
    expect(Buffer.from(n).toString('base64url')).toBe(object.export({ format: 'jwk' }).n)
    expect(suite.rsaImportPrivate(forged(() => {})).publicKey.n).toEqual(n)
  })

  it('refuses private keys of another kind, size, exponent, or with numbers that do not fit', () => {
    const others = [
      der(generateKeyPairSync('ed25519').privateKey),
      der(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey),
      der(generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }).privateKey),
      der(generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey),
      new Uint8Array(createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' }).export({ format: 'der', type: 'pkcs1' })),
      new Uint8Array(0), pkcs8.subarray(0, pkcs8.length - 1), forged(() => {}, 1), forged(() => {}, 0, 3),
      forged(j => { j.n += 2n }), forged(j => { j.e = 3n }), forged(j => { j.d += 2n }), forged(j => { j.dp += 1n }),
      // A private exponent that is right for one prime only, with CRT values to match.
      ...[true, false].map(first => forged(j => {
        const [right, wrong] = first ? [j.p, j.q] : [j.q, j.p]
        while ((j.e * j.d) % (wrong - 1n) === 1n) j.d = (j.d + 2n * (right - 1n)) % ((j.p - 1n) * (j.q - 1n))
        j.dp = j.d % (j.p - 1n)
        j.dq = j.d % (j.q - 1n)
      })),
      forged(j => { j.dq += 1n }), forged(j => { j.qi += 1n }), forged(j => { [j.p, j.q] = [j.q, j.p] }), forged(j => { j.p = 1n; j.q = j.n })
    ]
    for (const [i, other] of others.entries()) {
      expect(() => suite.rsaImportPrivate(other), `key ${i}`).toThrow(expect.objectContaining({ code: 'bad-argument', fault: 'caller' }))
    }
  })

  it('signs a number so that the public operation gives it back, the edges included', () => {
    const modulus = number(n)
    for (const m of [0n, 1n, 2n, modulus - 1n, number(seeded('m', 255))]) {
      const signature = suite.rsaBlindSign(key, bytes(m))
      expect(signature).not.toBeNull()
      expect(suite.rsaPublicRaw({ n: n.slice() }, signature as Uint8Array)).toEqual(bytes(m))
      expect(signature).toEqual(nativeSuite.rsaBlindSign(nativeSuite.rsaImportPrivate(pkcs8), bytes(m)))
    }
  })

  it('answers null to numbers not below the modulus, or of another length', () => {
    const modulus = number(n)
    for (const bad of [bytes(modulus), bytes(modulus + 1n), new Uint8Array(256).fill(0xff), new Uint8Array(255), new Uint8Array(257), new Uint8Array(0)]) {
      expect(suite.rsaBlindSign(key, bad)).toBeNull()
      expect(suite.rsaPublicRaw(key.publicKey, bad)).toBeNull()
    }
  })

  it('gives out nothing that fails its own check: a key whose prime is none', () => {
    const faulty = suite.rsaImportPrivate(forged(j => {
      // Composite, of the same size as q, so that everything but primality holds.
      for (let p = j.p - 2n; ; p -= 2n) {
        const [n, order] = [p * j.q, (p - 1n) * (j.q - 1n)]
        if (p % 3n !== 0n || n.toString(2).length !== 2048 || order % j.e === 0n) continue
        Object.assign(j, { p, n, d: inverse(j.e, order), dp: inverse(j.e, p - 1n), dq: inverse(j.e, j.q - 1n), qi: inverse(j.q % p, p) })
        return
      }
    }))
    let faults = 0
    for (let i = 0; i < 4; i++) {
      try {
        const m = seeded(`m${i}`, 255)
        const signature = suite.rsaBlindSign(faulty, new Uint8Array([0, ...m])) as Uint8Array
        expect(suite.rsaPublicRaw(faulty.publicKey, signature)).toEqual(new Uint8Array([0, ...m]))
      } catch (error) {
        expect(error).toMatchObject({ code: 'signing-fault', fault: 'us' })
        faults++
      }
    }
    expect(faults).toBe(4)
  })

  it('refuses to sign with a key of another suite', () => {
    const other = (suite === nativeSuite ? pureSuite : nativeSuite).rsaImportPrivate(pkcs8)
    expect(() => suite.rsaBlindSign(other, bytes(2n))).toThrow(expect.objectContaining({ code: 'bad-argument' }))
  })

  it.each([0, 32, 48])('verifies PSS with a salt of %i bytes as exactly that', salt => {
    const signature = pss(salt)
    for (const claimed of [0, 1, 32, 47, 48, 49]) expect(suite.rsaVerifyPss(key.publicKey, message, signature, claimed)).toBe(claimed === salt)
  })

  it('verifies only the right message, digest, length, and a signature below the modulus', () => {
    const signature = pss(0)
    expect(suite.rsaVerifyPss(key.publicKey, message, signature, 0)).toBe(true)
    expect(suite.rsaVerifyPss(key.publicKey, seeded('another', 40), signature, 0)).toBe(false)
    expect(suite.rsaVerifyPss(key.publicKey, message, pss(0, 'sha256'), 0)).toBe(false)
    expect(suite.rsaVerifyPss(key.publicKey, message, new Uint8Array([0, ...signature]), 0)).toBe(false)
    expect(suite.rsaVerifyPss(key.publicKey, message, signature.subarray(0, 255), 0)).toBe(false)
    expect(suite.rsaVerifyPss(key.publicKey, message, new Uint8Array(0), 0)).toBe(false)
    expect(suite.rsaVerifyPss(key.publicKey, message, n, 0)).toBe(false)
  })

  it('refuses s + n, which stands for the same number', () => {
    const modulus = number(n)
    let found = false
    for (let i = 0; i < 40 && !found; i++) {
      const m = seeded(`small ${i}`, 20)
      const signature = number(new Uint8Array(sign('sha384', m, { key: object, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 0 })))
      if (signature + modulus >= 2n ** 2048n) continue
      found = true
      expect(suite.rsaVerifyPss(key.publicKey, m, bytes(signature), 0)).toBe(true)
      expect(suite.rsaVerifyPss(key.publicKey, m, bytes(signature + modulus), 0)).toBe(false)
    }
    expect(found || modulus > 2n ** 2048n - 2n ** 2043n).toBe(true)
  })

  it('answers false to public keys that are none', () => {
    const signature = pss(0)
    const even = n.slice()
    even[255] ^= 1
    for (const bad of [new Uint8Array(0), new Uint8Array(256), new Uint8Array([0, ...n]), n.subarray(1), even, new Uint8Array(513).fill(255)]) {
      expect(suite.rsaVerifyPss({ n: bad }, message, signature, 0)).toBe(false)
      expect(suite.rsaPublicRaw({ n: bad }, signature)).toBeNull()
    }
  })
})

describe('native and pure RSA agree', () => {
  it('on any modulus and number, short moduli and moduli of odd sizes included', () => {
    const modulus = fc.tuple(fc.uint8Array({ minLength: 256, maxLength: 300 }), fc.integer({ min: 1, max: 255 })).map(([n, first]) => {
      n[0] = first
      n[n.length - 1] |= 1
      return n
    })
    fc.assert(fc.property(modulus, fc.infiniteStream(fc.nat(255)), fc.nat(64), (n, stream, salt) => {
      const signature = Uint8Array.from({ length: n.length }, () => stream.next().value)
      signature[0] %= n[0] + 1
      expect(nativeSuite.rsaPublicRaw({ n }, signature)).toEqual(pureSuite.rsaPublicRaw({ n }, signature))
      expect(nativeSuite.rsaVerifyPss({ n }, message, signature, salt)).toBe(pureSuite.rsaVerifyPss({ n }, message, signature, salt))
    }), { numRuns: 50 })
  })

  it('on encodings whose every field is mutated, signed as they are', () => {
    const native = nativeSuite.rsaImportPrivate(pkcs8)
    const good = nativeSuite.rsaPublicRaw(native.publicKey, pss(0)) as Uint8Array
    let valid = 0
    fc.assert(fc.property(fc.nat(8 * 256 - 1), fc.constantFrom(0, 48), (bit, salt) => {
      const encoded = good.slice()
      encoded[bit >> 3] ^= 0x80 >> (bit & 7)
      const signature = nativeSuite.rsaBlindSign(native, encoded)
      if (signature === null) return
      const [a, b] = [nativeSuite, pureSuite].map(s => s.rsaVerifyPss(native.publicKey, message, signature, salt))
      expect(a).toBe(b)
      if (a) valid++
    }), { numRuns: 150 })
    expect(valid).toBe(0)
  })

  it('on an encoding whose unused top bit is set', () => {
    const native = nativeSuite.rsaImportPrivate(pkcs8)
    let tried = 0
    for (let i = 0; i < 200 && tried < 3; i++) {
      const m = seeded(`top ${i}`, 20)
      const encoded = nativeSuite.rsaPublicRaw(native.publicKey, new Uint8Array(sign('sha384', m, { key: object, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 0 }))) as Uint8Array
      encoded[0] |= 0x80
      const signature = nativeSuite.rsaBlindSign(native, encoded)
      if (signature === null) continue
      tried++
      for (const suite of suites) expect(suite.rsaVerifyPss(native.publicKey, m, signature, 0), suite.name).toBe(false)
    }
    expect(tried).toBe(3)
  })

  it('on an encoding that is right but for a byte before it, where it is shorter than the modulus', () => {
    const { odd, n } = oddKey()
    expect([n.length, n[0]]).toEqual([257, 1])
    let tried = 0
    for (let i = 0; i < 200 && tried < 3; i++) {
      const m = seeded(`before ${i}`, 20)
      const good = new Uint8Array(sign('sha384', m, { key: odd, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 0 }))
      const encoded = nativeSuite.rsaPublicRaw({ n }, good) as Uint8Array
      expect(encoded[0]).toBe(0)
      encoded[0] = 1
      if (compare(encoded, n) >= 0) continue
      tried++
      const signature = new Uint8Array(privateEncrypt({ key: odd, padding: constants.RSA_NO_PADDING }, encoded))
      for (const suite of suites) expect([suite.rsaVerifyPss({ n }, m, good, 0), suite.rsaVerifyPss({ n }, m, signature, 0)], suite.name).toEqual([true, false])
    }
    expect(tried).toBeGreaterThan(0)
  })

  it('on keys whose size is no whole number of bytes, where the encoding is shorter', () => {
    for (const bits of [2050, 2056, 3072]) {
      const odd = generateKeyPairSync('rsa', { modulusLength: bits }).privateKey
      const n = new Uint8Array(Buffer.from(odd.export({ format: 'jwk' }).n as string, 'base64url'))
      const signature = new Uint8Array(sign('sha384', message, { key: odd, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 0 }))
      for (const suite of suites) {
        expect(suite.rsaVerifyPss({ n }, message, signature, 0), `${suite.name} ${bits}`).toBe(true)
        expect(suite.rsaVerifyPss({ n }, message, signature, 48)).toBe(false)
      }
    }
  })
})
