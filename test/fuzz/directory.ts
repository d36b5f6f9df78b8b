/**
 * Authorities and a reader of their documents, under descriptors, requests, answers and documents as they should not be,
 * clocks that jump, and crashes: only documented errors, one document an epoch, and a reader that never goes back.
 */
import { equal, toHex } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import type { Log, Millis } from '@mixmint/core/kit/ports'
import { drive, type Saga } from '@mixmint/core/kit/saga'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { Authority } from '@mixmint/mixnet/directory/authority'
import { DirectoryClient } from '@mixmint/mixnet/directory/client'
import { signDescriptor } from '@mixmint/mixnet/directory/descriptor'
import { quorum, verifyDocument } from '@mixmint/mixnet/directory/document'
import type { AuthorityEffect } from '@mixmint/mixnet/directory/exchange'
import { Descriptor, Document, SignedDocument, type SignedDescriptor } from '@mixmint/mixnet/directory/formats'
import { DirectoryReply, type DirectoryRequest } from '@mixmint/mixnet/directory/messages'
import { VirtualClock } from '../doubles/clock.ts'
import { Council, TINY } from '../doubles/council.ts'
import { admissionOf, authorityKeys, describe, EPOCH, keysOf, NETWORK, PARAMETERS, signedBy, START, testDocument, testNetwork } from '../doubles/directory.ts'
import { MemoryStore } from '../doubles/memory-store.ts'
import { CountingMeter } from '../doubles/meter.ts'
import type { Chance } from './chance.ts'
import { documented, must, type Target } from './fuzz.ts'
import { mutated } from './mutate.ts'

const suite = await defaultSuite()
const keys = authorityKeys(suite, 1)
const trust = { network: NETWORK, authorities: [keys[0].publicKey] }
const nodes = testNetwork(1)
const quiet: Log = { info: () => {}, warn: () => {}, error: () => {} }
const { epochLength } = PARAMETERS

/** What a node says of itself at this time, as it should, or as it might be bent before it is signed; or after. */
function descriptor (now: Millis, chance: Chance): SignedDescriptor | null {
  const { node, change } = chance.pick(nodes)
  const epoch = Math.floor(now / epochLength)
  const honest = describe(suite, node, { published: now, ...change, ...(change.mixKeys === undefined ? { mixKeys: keysOf(suite, node, epoch) } : {}) })
  if (chance.often(0.7)) return signDescriptor(node.secret, honest)
  const bent = documented(/^bad-encoding$/, () => decode(Descriptor, mutated([encode(Descriptor, honest)], chance)))
  if (bent === undefined) return null
  return chance.often(0.7) ? signDescriptor(chance.pick(nodes).node.secret, bent) : { descriptor: bent, signature: chance.bytes(64) }
}

async function authorityRound (chance: Chance): Promise<void> {
  const clock = new VirtualClock(START + chance.below(epochLength))
  const store = new MemoryStore()
  const given = new Map<number, Uint8Array>()
  const run = async <T> (saga: Saga<T, AuthorityEffect>): Promise<T> => await drive(saga, { clock, rng: chance, store, wait: clock.wait }, async () => null)
  const start = async (): Promise<Authority> => {
    const authority = new Authority(suite, {
      key: keys[0], trust, parameters: PARAMETERS, admitted: nodes.map(node => admissionOf(node)), bootstrapWait: 3000,
      checkService: (_kind, body) => body.length > 20 ? 'too-much' : null
    }, new CountingMeter(), quiet)
    await run(authority.open())
    return authority
  }
  let authority = await start()
  const ask = async (request: DirectoryRequest): Promise<void> => {
    const reply = await run(authority.handle(request))
    encode(DirectoryReply, reply)
    if (reply.is !== 'document') return
    const { document } = reply.signed
    const bytes = encode(Document, document)
    must(equal(given.get(document.epoch) ?? bytes, bytes), 'two documents of one epoch')
    given.set(document.epoch, bytes)
    verifyDocument(suite, reply.signed, trust, document.validFrom)
  }
  for (let n = chance.between(5, 40); n > 0; n--) {
    switch (chance.below(6)) {
      case 0: clock.advance(chance.pick([1, 5000, epochLength / 8, epochLength, -1000, -epochLength])); break
      case 1: await run(authority.tick()); break
      case 2: await ask({ op: chance.pick(['get', 'agreement'] as const), epoch: Math.max(0, Math.floor(clock.now() / epochLength) + chance.pick([-1, 0, 1, 2 ** 40])) }); break
      case 3: await ask(chance.often(0.5) ? { op: 'schedule' } : { op: 'get', epoch: null }); break
      case 4:
        if (chance.often(0.2)) authority = await start()
        break
      default: {
        const signed = descriptor(clock.now(), chance)
        if (signed !== null) await ask({ op: 'publish', signed })
      }
    }
  }
}

/** Four authorities, of which one answers with bytes that were changed on the way, or with its own engine's after a loss. */
async function councilRound (chance: Chance): Promise<void> {
  const council = await Council.of(suite, 4, TINY)
  const { key, authority } = council.seats[3]
  const replies: Uint8Array[] = []
  council.liars.set(toHex(key.publicKey), async (_asker, request) => {
    const reply = encode(DirectoryReply, await council.run(3, authority.handle(request)))
    replies.push(reply)
    return chance.often(0.3) ? decode(DirectoryReply, reply) : documented(/^bad-encoding$/, () => decode(DirectoryReply, mutated([reply, chance.pick(replies)], chance))) ?? null
  })
  await council.publishAll(council.nodes, [0, 1, 2, 3])
  for (let n = chance.between(10, 40); n > 0; n--) {
    const i = chance.below(4)
    if (chance.often(0.3)) await council.tick(i)
    else await council.pull(i, chance.often(0.5) ? 3 : (i + chance.between(1, 3)) % 4)
    council.advance(chance.below(chance.often(0.2) ? 5000 : 200))
    if (chance.often(0.03)) await council.restart(chance.below(3))
  }
  await council.settle(() => council.honest.every(i => council.seats[i].authority.status.epoch >= EPOCH), { step: 400 })
  for (const i of council.honest) {
    must(await council.get(i, EPOCH) !== null, 'a valid document that is not given out')
    must(council.seats[i].authority.evidence.proofs.length === 0, 'bytes that were changed convict somebody')
  }
  must(council.valid(EPOCH, quorum(4)).length === 1, 'two documents of one epoch')
}

const documents = [0, 1, 2].map(ahead => testDocument(suite, nodes, { epoch: EPOCH + ahead }))

/** An honest document, another of the same epoch by the same authority, or one that was changed on the way. */
function document (chance: Chance): SignedDocument | null {
  const honest = chance.pick(documents)
  switch (chance.below(4)) {
    case 0: {
      const bent = documented(/^bad-encoding$/, () => decode(Document, mutated([encode(Document, honest)], chance)))
      return bent === undefined ? null : signedBy(suite, bent, keys)
    }
    case 1: return documented(/^bad-encoding$/, () => decode(SignedDocument, mutated([encode(SignedDocument, signedBy(suite, honest, keys))], chance))) ?? null
    default: return signedBy(suite, honest, keys)
  }
}

function readerRound (chance: Chance): void {
  const client = new DirectoryClient(suite, trust)
  let [now, newest] = [START + chance.below(epochLength), 0]
  for (let n = chance.between(3, 15); n > 0; n--) {
    now += chance.pick([0, 1000, epochLength / 2, epochLength, -epochLength])
    const signed = document(chance)
    const source = chance.often(0.5) ? undefined : { time: now + chance.pick([0, 4000, -60_000]), asked: now - 10 }
    if (signed !== null) documented(/^(document|descriptor|clock)-/, () => client.accept(signed, now, source))
    const view = client.view(now)
    must(view === null || (view.epoch >= newest && view.isInForce(now)), 'a document of before, or of no force')
    newest = Math.max(newest, view?.epoch ?? 0)
    const next = client.nextFetch(now, chance)
    must(Number.isFinite(next) && next >= now, `the next fetch at ${next - now}`)
    client.nextChange(now)
    must(client.takeProofs().length <= 1, 'proofs against nobody')
  }
}

export const directory: readonly Target[] = [
  { name: 'authority', round: authorityRound },
  { name: 'council', round: councilRound },
  { name: 'directory-reader', round: readerRound }
]
