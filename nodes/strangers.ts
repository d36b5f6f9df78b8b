/** What strangers may ask of this machine, wherever they come in: the program's answers to the ports of mixnet/abuse. */
import type { Millis } from '@mixmint/core/kit/ports'
import type { Admit } from '@mixmint/mixnet/abuse/admit'
import { RateLimit, walletRate, type Rate } from '@mixmint/mixnet/abuse/rate-limit'
import type { Parameters } from '@mixmint/mixnet/directory/formats'
import type { RpcServerLimits } from '@mixmint/mixnet/wire/rpc-server'

/** Whoever would send more than its rate for so long has nothing to do here. */
const PATIENCE: Millis = 60_000
/** What a gateway takes from all its wallets together: some 20 % of a processor for the first hop of each. */
const ALL_PACKETS: Rate = { perSecond: 2000, burst: 4000 }
/** Direct requests of one peer, and of all: documents, withdrawals. A node's retries are fewer. */
const REQUESTS: Rate = { perSecond: 20, burst: 100 }
const ALL_REQUESTS: Rate = { perSecond: 500, burst: 1000 }

/** Packets of wallets at a gateway, by the cover that the directory prescribes now. */
export function admitPackets (parameters: () => Parameters): Admit {
  return new RateLimit(() => ({ each: walletRate(parameters().cover), all: ALL_PACKETS, patience: PATIENCE }))
}

/** Requests where strangers ask. */
export function admitRequests (): Admit {
  return new RateLimit(() => ({ each: REQUESTS, all: ALL_REQUESTS, patience: PATIENCE }))
}

/** Of strangers' streams: so few that what is gathered for requests that are never finished stays small. */
export const STRANGERS_STREAMS: Partial<RpcServerLimits> = { maxInFlight: 8, streamsPerPeer: 2, streams: 256 }
