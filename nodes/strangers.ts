/** What strangers may ask of this machine, wherever they come in: the program's answers to the ports of mixnet/abuse. */
import type { Millis } from '@mixmint/core/kit/ports'
import type { Admit } from '@mixmint/mixnet/abuse/admit'
import { RateLimit, type Rate } from '@mixmint/mixnet/abuse/rate-limit'
import type { LinkId } from '@mixmint/mixnet/mixing/engine'
import type { RpcServerLimits } from '@mixmint/mixnet/wire/rpc-server'

/** Direct requests of one peer, and of all: documents, withdrawals. A node's retries are fewer. */
const REQUESTS: Rate = { perSecond: 20, burst: 100 }
const ALL_REQUESTS: Rate = { perSecond: 500, burst: 1000 }
/** Whoever would ask more than that for so long has nothing to do here. */
const PATIENCE: Millis = 60_000

/** Requests where strangers ask. @param isKnown whoever asks as often as it has to: authorities each other while they agree */
export function admitRequests (isKnown: (peer: LinkId) => boolean = () => false): Admit {
  const limit = new RateLimit(() => ({ each: REQUESTS, all: ALL_REQUESTS, patience: PATIENCE }))
  return {
    admit: (from, now) => isKnown(from) ? 0 : limit.admit(from, now),
    forget: from => { limit.forget(from) }
  }
}

/** Of strangers' streams: so few that what is gathered for requests that are never finished stays small. */
export const STRANGERS_STREAMS: Partial<RpcServerLimits> = { maxInFlight: 8, streamsPerPeer: 2, streams: 256 }
