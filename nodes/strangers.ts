/** What strangers may ask of this machine, wherever they come in: the program's answers to the ports of mixnet/abuse. */
import type { Millis } from '@mixmint/core/kit/ports'
import type { Admit } from '@mixmint/mixnet/abuse/admit'
import { RateLimit, type Rate } from '@mixmint/mixnet/abuse/rate-limit'
import type { RpcServerLimits } from '@mixmint/mixnet/wire/rpc-server'

/** Direct requests of one peer, and of all: documents, withdrawals. A node's retries are fewer. */
const REQUESTS: Rate = { perSecond: 20, burst: 100 }
const ALL_REQUESTS: Rate = { perSecond: 500, burst: 1000 }
/** Whoever would ask more than that for so long has nothing to do here. */
const PATIENCE: Millis = 60_000

/** Requests where strangers ask. */
export function admitRequests (): Admit {
  return new RateLimit(() => ({ each: REQUESTS, all: ALL_REQUESTS, patience: PATIENCE }))
}

/** Of strangers' streams: so few that what is gathered for requests that are never finished stays small. */
export const STRANGERS_STREAMS: Partial<RpcServerLimits> = { maxInFlight: 8, streamsPerPeer: 2, streams: 256 }
