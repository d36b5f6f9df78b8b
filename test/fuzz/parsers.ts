/** Every parser of bytes from outside: it gives null or a documented error, or what writes the same bytes again. */
import { equal, utf8 } from '@mixmint/core/kit/bytes'
import { decode, encode, type Codec } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import { readCover, writeCover } from '@mixmint/mixnet/cover/message'
import type { Certificate } from '@mixmint/mixnet/directory/agreement'
import { verifyDescriptor, signDescriptor } from '@mixmint/mixnet/directory/descriptor'
import { decodeDocument, verifyDocument } from '@mixmint/mixnet/directory/document'
import { Descriptor, Document, SignedDescriptor, SignedDocument } from '@mixmint/mixnet/directory/formats'
import { DirectoryReply, DirectoryRequest } from '@mixmint/mixnet/directory/messages'
import { choosePath } from '@mixmint/mixnet/directory/route'
import { EquivocationProof, signStatement, verifyEquivocation, type SignedStatement, type Statement } from '@mixmint/mixnet/directory/statement'
import { DirectoryView } from '@mixmint/mixnet/directory/view'
import type { Vote } from '@mixmint/mixnet/directory/vote'
import { exactly, lengthPrefixed, ReplyGatherer, untilEnd } from '@mixmint/mixnet/service/reply-rule'
import { readReply, readRequest, writeReply, writeRequest, type ReplyPart } from '@mixmint/mixnet/session/fragment'
import { addressBlock, parseAddress } from '@mixmint/mixnet/sphinx/address'
import { decodeBare, decodeMessage, encodeBare, encodeMessage } from '@mixmint/mixnet/sphinx/message'
import { peel } from '@mixmint/mixnet/sphinx/peel'
import { openReply, useSurb } from '@mixmint/mixnet/sphinx/surb'
import { formatTarget, parseTarget } from '@mixmint/mixnet/wire/peers'
import { decodeRefusal, encodeRefusal, parseRpcFrame, rpcFrame } from '@mixmint/mixnet/wire/rpc'
import { authorityKeys, EPOCH, NETWORK, signed, signedBy, START, testDocument, testNetwork, testNode } from '../doubles/directory.ts'
import { bytesOf, native as suite, packetAt, pathOf } from '../mixnet/sphinx-material.ts'
import { peerOf } from '../mixnet/mix-material.ts'
import { Chance } from './chance.ts'
import { documented, must, type Target } from './fuzz.ts'
import { mutated } from './mutate.ts'

const SIZE = 3968
const message = (codec: string, surbs: number, length: number): Uint8Array => encodeMessage(SIZE, { codec, surbs: Array.from({ length: surbs }, (_, i) => bytesOf(`surb ${i}`, 734)), data: bytesOf('data', 4000).subarray(0, length), sequence: surbs })
const tally = { flight: 1, seen: 2, held: 1, unsent: 3 }

/** A target that parses mutations of these samples. */
function target (name: string, samples: readonly Uint8Array[], parse: (bytes: Uint8Array) => void): Target {
  return { name, round: chance => { parse(mutated(samples, chance)) } }
}

/** Read and written again it must be the same. */
function again<T> (read: (bytes: Uint8Array) => T | null, write: (value: T, length: number) => Uint8Array): (bytes: Uint8Array) => void {
  return bytes => {
    const value = read(bytes)
    if (value !== null) must(equal(write(value, bytes.length), bytes), 'another encoding of the value was taken')
  }
}

function said (what: Statement['what'], value = 'value'): SignedStatement {
  return signStatement(suite, keys[0], { network: NETWORK, epoch: EPOCH, what, round: 2, value: bytesOf(value, 32) })
}

function coded<T> (name: string, codec: Codec<T>, samples: readonly T[], then: (value: T) => void = () => {}): Target {
  return target(name, samples.map(sample => encode(codec, sample)), bytes => {
    const value = documented(/^bad-encoding$/, () => decode(codec, bytes))
    if (value === undefined) return
    must(equal(encode(codec, value), bytes), 'another encoding of the value was taken')
    then(value)
  })
}

const peelTargets = [0, 2, 4].flatMap(place => (['forward', 'surb'] as const).map(kind => {
  const { key, packet } = packetAt(place, kind)
  const whole = peel(suite, key, packet).kind
  return target(`peel-${kind}-${place}`, [packet], bytes => {
    const before = bytes.slice()
    const peeled = peel(suite, key, bytes, () => 'new')
    must(equal(bytes, before), 'the packet was changed')
    if (peeled.kind === 'drop') return
    must(peeled.kind === whole, `${whole} became ${peeled.kind}`)
    // Bit 255 of alpha means nothing to X25519, but such an alpha is not below p and is dropped.
    must(equal(bytes.subarray(0, 624), packet.subarray(0, 624)), 'a changed header was taken')
    if (peeled.kind === 'exit') must(equal(bytes, packet), 'a changed payload was taken')
  })
}))

const keys = authorityKeys(suite, 1)
const trust = { network: NETWORK, authorities: [keys[0].publicKey] }
const now = START + 1000
const document = testDocument(suite, testNetwork(1))
const ballot: Vote = { parameters: document.parameters, previous: { epoch: EPOCH - 1, document: bytesOf('document', 32) }, nodes: [{ descriptor: bytesOf('descriptor', 32), layer: 2 }] }
const certificate: Certificate = {
  choice: { document: bytesOf('document', 32), votes: [{ authority: keys[0].publicKey, vote: bytesOf('vote', 32) }] },
  round: 1, signatures: [{ authority: keys[0].publicKey, signature: bytesOf('signature', 64) }]
}
const descriptor = signed(suite, testNode('mix 0'), { published: now })
const gateway = signed(suite, testNode('gateway 0'), { role: 'gateway', entry: ['/ip4/127.0.0.1/tcp/4002', '/dns/gateway.example/tcp/443/tls/ws'], published: now })
const service = signed(suite, testNode('bank'), { role: 'service', kind: 'bank', body: utf8('listing'), published: now })
const rules = { network: NETWORK, latest: now + 5000, earliest: START - 2_400_000 }
const DESCRIPTOR = /^descriptor-(network|peer|signature|early|stale|kind|body|address|keys|key-order|low-order)$/
const DOCUMENT = /^(document-(network|signature|quorum|too-early|expired|times|parameters|order|layer|key-missing)|descriptor-.*)$/


/** A document in force is used: paths are drawn from it. */
function use (found: SignedDocument): void {
  const view = new DirectoryView(found)
  const [from, to] = [view.gateways[0]?.peer, view.services('bank')[0]?.peer]
  if (from === undefined || to === undefined) return
  documented(/^route-/, () => choosePath(view, new Chance('path'), now, { from, to }))
}

export const parsers: readonly Target[] = [
  ...peelTargets,
  target('address', [addressBlock('/ip4/192.0.2.7/tcp/4001', peerOf('a')), addressBlock('/ip4/192.0.2.7/udp/9/quic-v1', peerOf('a'), peerOf('b')), new Uint8Array(94)],
    again(parseAddress, ({ multiaddr, peer, client }) => addressBlock(multiaddr, peer, client))),
  target('message', [message('/a/1', 0, 100), message('/a/1', 4, 700), message('x'.repeat(200), 1, 0), message('', 0, 1)],
    again(decodeMessage, (value, length) => encodeMessage(length, value))),
  target('bare', [encodeBare(SIZE, bytesOf('bare', 100), 0), encodeBare(SIZE, new Uint8Array(0), 0)],
    again(bytes => { const data = decodeBare(bytes); return data === null ? null : { data, sequence: new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 4).getUint32(0) } },
      ({ data, sequence }, length) => encodeBare(length, data, sequence))),
  target('request', [
    writeRequest({ id: bytesOf('id', 16), binding: bytesOf('binding', 32), total: 250, chunk: 100, index: 2, flight: 1, wants: [1, 2], data: new Uint8Array(50) }),
    writeRequest({ id: bytesOf('id', 16), binding: bytesOf('binding', 32), total: 0, chunk: 64, index: 0, flight: 0, wants: [], data: new Uint8Array(0) }),
    writeRequest({ id: bytesOf('id', 16), binding: bytesOf('binding', 32), total: 262_144, chunk: 3800, index: null, flight: 0xffff, wants: [0, 65_535], data: new Uint8Array(0) })
  ], again(readRequest, writeRequest)),
  target('reply', ([
    { ...tally, kind: 'answer', answer: bytesOf('answer', 16), total: 5000, chunk: 3000, index: 1, data: new Uint8Array(2000) },
    { ...tally, kind: 'gathering', count: 9, missing: [0, 8] }, { ...tally, kind: 'gathering', count: 700, missing: [699] }, { ...tally, kind: 'running' },
    { ...tally, kind: 'refused', refusal: { code: 'busy', fault: 'peer', retry: true, message: 'later' } }
  ] satisfies ReplyPart[]).map(writeReply), again(readReply, writeReply)),
  target('cover', [
    writeCover(SIZE, { is: 'drop' }), writeCover(SIZE, { is: 'answer' }), writeCover(SIZE, { is: 'echo', surb: bytesOf('surb', 734) }), writeCover(SIZE, { is: 'loop', nonce: bytesOf('nonce', 16) })
  ], bytes => {
    const decoded = decodeMessage(bytes)
    const cover = decoded === null ? null : readCover(decoded)
    if (decoded !== null && cover !== null) must(equal(encodeMessage(bytes.length, { ...decodeMessage(writeCover(SIZE, cover)) ?? decoded, codec: decoded.codec }), bytes), 'another encoding of cover was taken')
  }),
  target('surb', [bytesOf('surb', 734)], bytes => { useSurb(suite, bytes, message('/a/1', 0, 0)) }),
  target('payload', [bytesOf('payload', 3984)], bytes => {
    must(openReply(suite, { id: bytesOf('id', 16), key: bytesOf('key', 16), secrets: pathOf(3).keys }, bytes) === null, 'chance opened')
  }),
  coded('signed-descriptor', SignedDescriptor, [descriptor, gateway, service], found => { documented(DESCRIPTOR, () => { verifyDescriptor(suite, found, rules) }) }),
  // What a node of the network may sign, whatever that is.
  coded('descriptor', Descriptor, [descriptor.descriptor, gateway.descriptor, service.descriptor], found => {
    for (const { secret } of [testNode('mix 0'), testNode('gateway 0'), testNode('bank')]) documented(DESCRIPTOR, () => { verifyDescriptor(suite, signDescriptor(secret, found), rules) })
  }),
  target('signed-document', [encode(SignedDocument, signedBy(suite, document, keys))], bytes => {
    const found = documented(/^bad-encoding$/, () => decodeDocument(bytes))
    if (found !== undefined && documented(DOCUMENT, () => { verifyDocument(suite, found, trust, now); return true }) === true) use(found)
  }),
  // What an authority may sign.
  coded('document', Document, [document], found => {
    const whole = signedBy(suite, found, keys)
    if (documented(DOCUMENT, () => { verifyDocument(suite, whole, trust, now); return true }) === true) use(whole)
  }),
  coded<DirectoryRequest>('directory-request', DirectoryRequest, [{ op: 'get', epoch: null }, { op: 'get', epoch: EPOCH }, { op: 'schedule' }, { op: 'agreement', epoch: 1 }, { op: 'vote', epoch: 1, authority: keys[0].publicKey, vote: bytesOf('vote', 32) },
    { op: 'descriptors', epoch: 1, hashes: [bytesOf('descriptor', 32)] }, { op: 'publish', signed: descriptor }, { op: 'recall', kind: 'bank', after: null }, { op: 'recall', kind: 'bank', after: descriptor.descriptor.peer }]),
  coded<DirectoryReply>('directory-reply', DirectoryReply, [
    { is: 'schedule', time: now, epochLength: 1, epochGrace: 2, clockSkew: 3 }, { is: 'published' }, { is: 'refused', code: 'x', fault: 'us', retry: true, message: 'why' },
    { is: 'document', time: now, signed: signedBy(suite, document, keys) }, { is: 'descriptors', signed: [descriptor, gateway] }, { is: 'vote', signed: said('vote'), vote: ballot },
    {
      is: 'agreement', time: now, parameters: document.parameters, statements: [said('vote'), said('prevote'), said('precommit')],
      proposals: [{ signed: said('proposal'), proposal: { choice: certificate.choice, lock: certificate } }], lock: certificate, decision: certificate,
      document: { hash: bytesOf('document', 32), signatures: certificate.signatures }, proofs: [{ first: said('prevote'), second: said('precommit') }]
    }
  ]),
  coded<EquivocationProof>('equivocation', EquivocationProof, [{ first: said('vote'), second: said('vote', 'other') }], found => {
    documented(/^proof-/, () => { verifyEquivocation(suite, found) })
  }),
  target('refusal', [encodeRefusal(new MixmintError('busy', 'peer', 'later', { retry: true })), encodeRefusal(new MixmintError('x'.repeat(80), 'us', 'ü'.repeat(600)))], bytes => {
    const error = documented(/^bad-encoding$/, () => decodeRefusal(bytes))
    if (error !== undefined) must(equal(encodeRefusal(error), bytes), 'another encoding of a refusal was taken')
  }),
  target('rpc', [rpcFrame(1, 0, bytesOf('body', 20)), rpcFrame(2 ** 32 - 1, 2, new Uint8Array(0))], bytes => {
    if (bytes.length >= 5) again(parseRpcFrame, ({ id, kind, body }) => rpcFrame(id, kind, body))(bytes)
  }),
  target('target', [utf8(formatTarget({ peer: testNode('mix 0').peer, addresses: ['/ip4/192.0.2.1/tcp/4001'] })), utf8(formatTarget({ peer: testNode('mix 1').peer, addresses: ['/dns/x.example/tcp/443/tls/ws'] }))], bytes => {
    const text = new TextDecoder().decode(bytes)
    const found = documented(/^bad-address$/, () => parseTarget(text))
    if (found !== undefined) must(formatTarget(parseTarget(formatTarget(found))) === formatTarget(found), 'what was read is not read again')
  }),
  {
    name: 'gathered-reply',
    round: chance => {
      const rule = chance.pick([exactly(100), lengthPrefixed({ max: 200 }), untilEnd({ max: 150 })])
      const bytes = mutated([Uint8Array.of(5, 1, 2, 3, 4, 5), Uint8Array.of(0x80, 0x01, ...bytesOf('reply', 128)), bytesOf('reply', 100)], chance)
      const gathered = (cut: number): Uint8Array | 'more' | 'error' => {
        const gatherer = new ReplyGatherer(rule, 300)
        const result = documented(/^reply-(too-long|malformed)$/, () => {
          for (let at = 0; at < bytes.length; at += cut) if (gatherer.take(bytes.subarray(at, at + cut))) return gatherer.end()
          return 'more' as const
        })
        return result ?? 'error'
      }
      const [whole, cut] = [gathered(1 << 20), gathered(chance.between(1, 7))]
      must(typeof whole === 'string' || typeof cut === 'string' ? whole === cut : equal(whole, cut), 'cut in pieces it is another reply')
    }
  }
]
