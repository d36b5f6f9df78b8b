import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encode } from '@mixmint/core/kit/codec'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import {
  addSignatures, buildDocument, decodeDocument, equivocation, quorum, signDocument, verifyDocument
} from '@mixmint/mixnet/directory/document'
import { verifyEquivocation } from '@mixmint/mixnet/directory/statement'
import { SignedDocument, type Document, type Parameters, type Strategy } from '@mixmint/mixnet/directory/formats'
import { authorityKeys, EPOCH, keysOf, NETWORK, PARAMETERS, signed, signedBy, START, testDocument, testNetwork, testNode } from '../doubles/directory.ts'

const suite = await defaultSuite()
const keys = authorityKeys(suite, 4)
const authorities = keys.map(({ publicKey }) => publicKey)
const trust = { network: NETWORK, authorities }
const nodes = testNetwork()
const document = testDocument(suite, nodes)
const full = signedBy(suite, document, keys.slice(0, 3))
const { validFrom, validUntil } = document

const verify = (given: SignedDocument, now = START, ahead = false): void => { verifyDocument(suite, given, trust, now, ahead) }
const refusedWith = (code: string, fault = 'peer'): object => expect.objectContaining({ name: 'MixmintError', code, fault })
const change = (to: Partial<Document>): SignedDocument => signedBy(suite, { ...document, ...to }, keys)

describe('the quorum', () => {
  it('is ⌊(n + f) / 2⌋ + 1 of n = 3f + 1', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 10].map(quorum)).toEqual([1, 2, 2, 3, 4, 4, 5, 7])
  })

  it('is enough, and one less is not', () => {
    verify(full)
    expect(() => { verify(signedBy(suite, document, keys.slice(0, 2))) }).toThrow(refusedWith('document-quorum'))
  })

  it('counts an authority once, however often it signs', () => {
    const two = signedBy(suite, document, keys.slice(0, 2))
    const twice = { document, signatures: [...two.signatures, two.signatures[0]] }
    expect(() => { verify(twice) }).toThrow(refusedWith('document-quorum'))
    expect(addSignatures(two, two.signatures).signatures).toHaveLength(2)
  })

  it('does not count strangers', () => {
    const stranger = suite.ed25519KeyPair(new Uint8Array(32).fill(9))
    expect(() => { verify(signedBy(suite, document, [...keys.slice(0, 2), stranger])) }).toThrow(refusedWith('document-quorum'))
    verify(signedBy(suite, document, [...keys.slice(0, 3), stranger]))
  })

  it('does not hold when an authority is configured twice, or none is', () => {
    expect(() => { verifyDocument(suite, full, { ...trust, authorities: [...authorities, authorities[0]] }, START) }).toThrow(refusedWith('trust-duplicate', 'operator'))
    expect(() => { verifyDocument(suite, full, { ...trust, authorities: [] }, START) }).toThrow(refusedWith('document-quorum'))
  })

  it('of a private network is its one authority', () => {
    verifyDocument(suite, signDocument(suite, keys[0], document), { network: NETWORK, authorities: [authorities[0]] }, START)
  })
})

describe('a document', () => {
  it('has the same bytes whatever order its nodes came in', () => {
    const { nodes: listed } = document
    fc.assert(fc.property(fc.shuffledSubarray(listed, { minLength: listed.length }), shuffled => {
      const again = signedBy(suite, buildDocument(NETWORK, EPOCH, PARAMETERS, shuffled), keys.slice(0, 3))
      expect(encode(SignedDocument, again)).toEqual(encode(SignedDocument, full))
    }), { numRuns: 10 })
  })

  it('with a signature that does not hold is refused as such', () => {
    const [first, ...others] = full.signatures
    const signature = first.signature.slice()
    signature[40] ^= 1
    expect(() => { verify({ document, signatures: [{ ...first, signature }, ...others] }) }).toThrow(refusedWith('document-signature'))
  })

  it('with any flipped bit is refused', () => {
    const bytes = encode(SignedDocument, full)
    fc.assert(fc.property(fc.nat(bytes.length - 1), fc.nat(7), (at, bit) => {
      const bent = bytes.slice()
      bent[at] ^= 1 << bit
      expect(() => { verify(decodeDocument(bent)) }).toThrow(expect.objectContaining({ name: 'MixmintError', fault: 'peer' }))
    }), { numRuns: 300 })
  })

  it('of another network is refused', () => {
    expect(() => { verify(change({ network: 'other' })) }).toThrow(refusedWith('document-network'))
  })

  it('is taken within skew and grace, and not beyond', () => {
    verify(full, validFrom - PARAMETERS.clockSkew)
    verify(full, validUntil + PARAMETERS.epochGrace)
    expect(() => { verify(full, validFrom - PARAMETERS.clockSkew - 1) }).toThrow(refusedWith('document-too-early', 'caller'))
    expect(() => { verify(full, validUntil + PARAMETERS.epochGrace + 1) }).toThrow(refusedWith('document-expired'))
  })

  it('is taken ahead of its epoch by those who ask for it, an eighth of an epoch', () => {
    const earliest = validFrom - PARAMETERS.clockSkew - PARAMETERS.epochLength / 8
    verify(full, earliest, true)
    expect(() => { verify(full, earliest - 1, true) }).toThrow(refusedWith('document-too-early', 'caller'))
  })

  it('whose times are not those of its epoch is refused', () => {
    for (const to of [{ validFrom: validFrom - 1 }, { validUntil: validUntil + 1 }, { epoch: EPOCH - 1 }]) {
      expect(() => { verify(change(to)) }).toThrow(refusedWith('document-times'))
    }
  })

  const unusable: Array<Partial<Parameters>> = [
    { pathLength: 2 }, { pathLength: 6 }, { meanDelay: 0 }, { epochLength: 0 }, { epochGrace: PARAMETERS.epochLength + 1 },
    { clockSkew: PARAMETERS.epochGrace + 1 }, { queueLimit: 0 }, { replayLimit: 0 }, { requestLimit: 0 }, { surbsPerPacket: 0 }, { answerKept: 0 }, { packetSize: 0 }, { packetSize: 1571 }, { packetSize: 1572, requestLimit: 1 << 20 }
  ]
  it.each(unusable)('with the parameter %o is refused', parameter => {
    expect(() => { verify(change({ parameters: { ...PARAMETERS, ...parameter } })) }).toThrow(refusedWith('document-parameters'))
  })

  const cover = { ...PARAMETERS.cover, loop: 1000 }
  const { queueLimit, epochGrace } = PARAMETERS
  const strategies: Array<[Strategy, Partial<Parameters>, RegExp | null]> = [
    [{ kind: 'threshold', batch: 2 }, { cover }, null],
    [{ kind: 'threshold', batch: 2 }, { cover: { ...cover, loop: 0, send: 10, pace: 10 } }, /without cover traffic a batch may never be full/],
    [{ kind: 'threshold', batch: 1 }, { cover }, /less than 2/],
    [{ kind: 'threshold', batch: queueLimit }, { cover }, null],
    [{ kind: 'threshold', batch: queueLimit + 1 }, { cover }, /queueLimit/],
    [{ kind: 'timed', interval: 0 }, {}, /at least 1 ms/],
    [{ kind: 'timed', interval: 1 }, {}, null],
    [{ kind: 'timed', interval: epochGrace / 4 }, {}, null],
    [{ kind: 'timed', interval: epochGrace / 4 + 1 }, {}, /epochGrace/],
    [{ kind: 'timed', interval: epochGrace / 2 }, { pathLength: 3 }, null],
    [{ kind: 'pool', interval: 0, threshold: 9, pool: 3 }, {}, /at least 1 ms/],
    [{ kind: 'pool', interval: 1, threshold: 2, pool: 1 }, {}, null],
    [{ kind: 'pool', interval: 100, threshold: 9, pool: 0 }, {}, /pool/],
    [{ kind: 'pool', interval: 100, threshold: 9, pool: 9 }, {}, /pool/],
    [{ kind: 'pool', interval: 100, threshold: queueLimit, pool: 3 }, {}, null],
    [{ kind: 'pool', interval: 100, threshold: queueLimit + 1, pool: 3 }, {}, /queueLimit/],
    [{ kind: 'pool', interval: epochGrace / 8, threshold: 9, pool: 3 }, {}, null],
    [{ kind: 'pool', interval: epochGrace / 8 + 1, threshold: 9, pool: 3 }, {}, /epochGrace/],
    [{ kind: 'poisson' }, { meanDelay: epochGrace / 4 }, null],
    [{ kind: 'poisson' }, { meanDelay: epochGrace / 4 + 1 }, /epochGrace/]
  ]
  it.each(strategies)('with the strategy %o and %o is taken, or refused for a reason: %o', (strategy, others, why) => {
    const given = change({ nodes: [], parameters: { ...PARAMETERS, ...others, strategy } })
    if (why === null) verify(given)
    else {
      expect(() => { verify(given) }).toThrow(refusedWith('document-parameters'))
      expect(() => { verify(given) }).toThrow(why)
    }
  })

  const traffic: Array<[Partial<Parameters['cover']>, RegExp | null]> = [
    [{ send: 100, echoes: 500, pace: 100 }, null],
    [{ send: 100, echoes: 501, pace: 100 }, /more than half/],
    [{ send: 100, echoes: 200, pace: 251 }, /more than half/],
    [{ send: 0, echoes: 1000, pace: 100 }, null],
    [{ send: 60_000, echoes: 200, pace: 60_000, loop: 60_000 }, null],
    ...(['send', 'pace', 'loop'] as const).map((which): [Partial<Parameters['cover']>, RegExp] => [{ echoes: 0, [which]: 60_001 }, /more than a minute/])
  ]
  it.each(traffic)('with the cover %o is taken, or refused for a reason: %o', (some, why) => {
    const given = change({ nodes: [], parameters: { ...PARAMETERS, cover: { ...cover, ...some } } })
    if (why === null) verify(given)
    else expect(() => { verify(given) }).toThrow(why)
  })

  it('that lists a node twice, or out of order, is refused', () => {
    const listed = document.nodes
    expect(() => { verify(change({ nodes: [listed[0], ...listed] })) }).toThrow(refusedWith('document-order'))
    expect(() => { verify(change({ nodes: listed.toReversed() })) }).toThrow(refusedWith('document-order'))
  })

  it.each([['gateway', 0, [1, 255]], ['mix', 2, [0, 4, 255]], ['service', 255, [0, 1]]] as const)('that puts a %s elsewhere than in its layer is refused', (role, right, wrong) => {
    const at = (layer: number): SignedDocument => change({
      nodes: document.nodes.map(node => node.signed.descriptor.role === role ? { ...node, layer } : node)
    })
    verify(at(right))
    for (const layer of wrong) expect(() => { verify(at(layer)) }).toThrow(refusedWith('document-layer'))
  })

  it('with a node that has no key of the epoch is refused, unless it is not reached through the mixnet', () => {
    const node = testNode('late')
    for (const role of ['mix', 'service'] as const) {
      const late = signed(suite, node, { role, kind: role === 'mix' ? '' : 'bank', mixKeys: keysOf(suite, node, EPOCH + 1) })
      expect(() => { verify(signedBy(suite, buildDocument(NETWORK, EPOCH, PARAMETERS, [{ layer: role === 'mix' ? 1 : 255, signed: late }]), keys)) }).toThrow(refusedWith('document-key-missing'))
    }
  })

  it('that lists a node without a right descriptor is refused', () => {
    const [first, ...others] = document.nodes
    const with_ = (bent: typeof first.signed): SignedDocument => change({ nodes: [{ ...first, signed: bent }, ...others] })
    const signature = others[0].signed.signature
    expect(() => { verify(with_({ ...first.signed, signature })) }).toThrow(refusedWith('descriptor-signature'))
    const own = nodes.find(({ node }) => node.peer.every((byte, i) => byte === first.signed.descriptor.peer[i]))
    if (own === undefined) throw new Error('every node is one of the network\'s')
    for (const [code, published] of [['stale', START - 2 * PARAMETERS.epochLength - PARAMETERS.clockSkew - 1], ['early', validUntil + 1]] as const) {
      expect(() => { verify(with_(signed(suite, own.node, { ...own.change, published }))) }).toThrow(refusedWith(`descriptor-${code}`))
    }
  })
})

describe('two documents of one epoch', () => {
  const other = testDocument(suite, nodes.slice(1))

  it('convict the authorities that signed both', () => {
    const liars = equivocation(suite, signedBy(suite, document, keys.slice(0, 3)), signedBy(suite, other, keys.slice(1, 4)), authorities)
    for (const proof of liars) verifyEquivocation(suite, proof)
    expect(liars.map(({ first }) => first.authority)).toEqual([authorities[1], authorities[2]])
  })

  it('convict nobody with forged signatures, strangers, or one document twice', () => {
    const a = signedBy(suite, document, keys)
    const forged = { document: other, signatures: a.signatures }
    expect(equivocation(suite, a, forged, authorities)).toEqual([])
    expect(equivocation(suite, forged, a, authorities)).toEqual([])
    expect(equivocation(suite, a, signedBy(suite, other, keys), [])).toEqual([])
    expect(equivocation(suite, a, signedBy(suite, document, keys), authorities)).toEqual([])
  })

  it('of different epochs or networks convict nobody', () => {
    const a = signedBy(suite, document, keys)
    for (const to of [{ epoch: EPOCH + 1 }, { network: 'other' }]) {
      expect(equivocation(suite, a, change(to), authorities)).toEqual([])
    }
  })
})
