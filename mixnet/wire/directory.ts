/**
 * `/mixmint/directory/1.0.0` from both ends: what a client asks, and how a node that holds the document answers. One
 * request and one reply, carried by whatever an `Ask` is (rpc.ts in daemons).
 */
import { compare } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Clock } from '@mixmint/core/kit/ports'
import { checkClock, type DirectoryClient, type SourceTime } from '../directory/client.ts'
import type { Schedule } from '../directory/epoch.ts'
import type { SignedDescriptor, SignedDocument } from '../directory/formats.ts'
import {
  DESCRIPTORS_ASKED, DIRECTORY_PROTOCOL, DIRECTORY_REPLY_LIMIT, DIRECTORY_REQUEST_LIMIT, DirectoryReply, DirectoryRequest, refusal, type ReplyOf
} from '../directory/messages.ts'
import type { Target } from './peers.ts'
import type { RpcClient } from './rpc-client.ts'
import { serveRpc, type RpcServer, type RpcServerOptions } from './rpc-server.ts'
import type { StreamHost } from './stream-host.ts'

/** Send a request to one node. Rejects when there is no reply. */
export type Ask = (request: Uint8Array, signal: AbortSignal) => Promise<Uint8Array>

export function askOver (rpc: RpcClient, node: Target): Ask {
  return async (request, signal) => await rpc.request(node, DIRECTORY_PROTOCOL, request, { signal })
}

/**
 * @param answer `AuthorityServer.answer`, or `answerAsMirror` of what a keeper holds
 * @param options.limits only for streams: of requests and replies they are the protocol's
 */
export async function serveDirectory (
  node: StreamHost, answer: (request: Uint8Array) => Promise<Uint8Array>, options: RpcServerOptions
): Promise<RpcServer> {
  return await serveRpc(node, DIRECTORY_PROTOCOL, async (_from, _protocol, body) => await answer(body), {
    ...options, limits: { ...options.limits, maxRequest: DIRECTORY_REQUEST_LIMIT, maxReply: DIRECTORY_REPLY_LIMIT, maxInFlight: 4 }
  })
}

/**
 * @param epoch null for the document in force
 * @throws document-unavailable, directory-refused, directory-reply, bad-encoding (peer), and what `ask` throws
 */
export async function fetchDocument (ask: Ask, epoch: number | null, clock: Clock, signal: AbortSignal): Promise<{ signed: SignedDocument, source: SourceTime }> {
  const asked = clock.now()
  const { signed, time } = await call(ask, { op: 'get', epoch }, 'document', signal)
  return { signed, source: { time, asked } }
}

/**
 * Not signed: enough to make keys by, which authorities refuse if it was wrong.
 * @throws clock-skewed (operator), and as fetchDocument
 */
export async function fetchSchedule (ask: Ask, clock: Clock, signal: AbortSignal): Promise<Schedule> {
  const asked = clock.now()
  const { time, epochLength, epochGrace, clockSkew } = await call(ask, { op: 'schedule' }, 'schedule', signal)
  if (epochLength < 1 || epochGrace > epochLength) throw new MixmintError('directory-reply', 'peer', 'no schedule that can be kept')
  checkClock(clockSkew, clock.now(), { time, asked })
  return { epochLength, epochGrace }
}

/** @throws what the node refused with, directory-reply and bad-encoding (peer), and what `ask` throws */
export async function publishDescriptor (ask: Ask, signed: SignedDescriptor, signal: AbortSignal): Promise<void> {
  await call(ask, { op: 'publish', signed }, 'published', signal)
}

/**
 * What services of a kind said last, as this authority keeps it, also where it lists them no more. Signatures are not checked.
 * @throws directory-reply (peer) when it names more than there can be or names them in another order, and as fetchDocument
 */
export async function * recallServices (ask: Ask, kind: string, signal: AbortSignal): AsyncGenerator<SignedDescriptor> {
  let after: Uint8Array | null = null
  for (let left = DESCRIPTORS_ASKED; ;) {
    const { signed }: ReplyOf<'descriptors'> = await call(ask, { op: 'recall', kind, after }, 'descriptors', signal)
    if (signed.length === 0) return
    for (const each of signed) {
      if (left-- === 0 || (after !== null && compare(each.descriptor.peer, after) <= 0)) throw new MixmintError('directory-reply', 'peer', 'the node does not come to an end of what it recalls')
      after = each.descriptor.peer
      yield each
    }
  }
}

/** Any request, and whatever the node answers, a refusal too. @throws bad-encoding (peer), and what `ask` throws */
export async function askDirectory (ask: Ask, request: DirectoryRequest, signal: AbortSignal): Promise<DirectoryReply> {
  return decode(DirectoryReply, await ask(encode(DirectoryRequest, request), signal), DIRECTORY_REPLY_LIMIT)
}

/** Answer one request in bytes; rejects only for a defect of ours. */
export async function answerDirectory (request: Uint8Array, handle: (request: DirectoryRequest) => Promise<DirectoryReply>): Promise<Uint8Array> {
  let reply: DirectoryReply
  try {
    reply = await handle(decode(DirectoryRequest, request, DIRECTORY_REQUEST_LIMIT))
  } catch (error) {
    reply = refusal(error)
  }
  return encode(DirectoryReply, reply)
}

/** The answers of a node that is no authority: the documents it holds. */
export async function answerAsMirror (client: DirectoryClient, clock: Clock, request: Uint8Array): Promise<Uint8Array> {
  return await answerDirectory(request, async asked => {
    const now = clock.now()
    if (asked.op !== 'get' && asked.op !== 'schedule') {
      throw new MixmintError('not-an-authority', 'peer', 'this node is no authority: it only passes on the document')
    }
    const view = asked.op === 'get' && asked.epoch !== null ? client.of(asked.epoch) : client.view(now)
    if (view === null) throw new MixmintError('document-unavailable', 'peer', 'this node does not hold that document; ask another, or again soon', { retry: true })
    return asked.op === 'get'
      ? { is: 'document', time: now, signed: view.signed }
      : { is: 'schedule', time: now, epochLength: view.parameters.epochLength, epochGrace: view.parameters.epochGrace, clockSkew: view.parameters.clockSkew }
  })
}

async function call<K extends DirectoryReply['is']> (ask: Ask, request: DirectoryRequest, wanted: K, signal: AbortSignal): Promise<ReplyOf<K>> {
  const reply = await askDirectory(ask, request, signal)
  if (reply.is === 'refused') {
    // Who publishes is told why. A fetch has failed for one of few reasons, which are counted: not for any word that a peer chooses.
    const code = request.op === 'publish' || reply.code === 'document-unavailable' ? reply.code : 'directory-refused'
    throw new MixmintError(code, reply.fault, reply.message, { retry: reply.retry })
  }
  if (reply.is !== wanted) throw new MixmintError('directory-reply', 'peer', 'the node answered something else than it was asked')
  return reply as ReplyOf<K>
}
