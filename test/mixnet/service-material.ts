/** Streams of the service whose exchanges go straight to a handler, as if the mix were a wire without length. */
import type { StreamHandler, StreamMiddleware } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import { MixmintError } from '@mixmint/core/kit/errors'
import { HandlerBridge, type Served } from '@mixmint/mixnet/service/bridge'
import { MixStream, type MixStreamOptions } from '@mixmint/mixnet/service/stream'
import { systemClock } from '../../nodes/clock.ts'
import { CountingMeter } from '../doubles/meter.ts'

export const LIMIT = 1 << 18
export const log = defaultLogger().forComponent('test')

export interface Straight {
  readonly meter: CountingMeter
  /** What has been asked, each request as it left. */
  readonly requests: Uint8Array[]
  readonly bridge: HandlerBridge
  /** What the registrar knows. */
  readonly handlers: Map<string, StreamHandler>
  readonly middleware: Map<string, StreamMiddleware[]>
  readonly open: (protocol: string, changes?: Partial<MixStreamOptions>) => MixStream
}

/** All protocols that have a handler are served, unless told otherwise. */
export function straight (handlers: Record<string, StreamHandler> = {}, served?: Served, patience = 5_000): Straight {
  const meter = new CountingMeter()
  const known = new Map(Object.entries(handlers))
  const middleware = new Map<string, StreamMiddleware[]>()
  const requests: Uint8Array[] = []
  const bridge = new HandlerBridge({
    registrar: {
      getHandler: protocol => {
        const handler = known.get(protocol)
        if (handler === undefined) throw new Error('no handler')
        return { handler, options: {} }
      },
      getMiddleware: protocol => middleware.get(protocol) ?? []
    },
    logger: defaultLogger(), clock: systemClock, meter, served: served ?? (protocol => known.has(protocol)), patience
  })
  let opened = 0
  const open = (protocol: string, changes: Partial<MixStreamOptions> = {}): MixStream => new MixStream({
    id: String(opened++), protocol, log, leave: 'quiet', quiet: 0, requestLimit: LIMIT,
    exchange: async request => {
      requests.push(request)
      return await bridge.answer(protocol, request, LIMIT)
    },
    ...changes
  })
  return { meter, requests, bridge, handlers: known, middleware, open }
}

export function failure (code: string): MixmintError {
  return new MixmintError(code, 'peer', code)
}
