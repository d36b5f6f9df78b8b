/**
 * The node that the service is part of, as the wire sees it: a `StreamHost` made of its components. An entry speaks
 * `/mix/1.0.0` with other nodes by one rule and with its clients by another, so the host can be seen as two, each of which
 * handles the protocol for its own peers.
 */
import type { Connection, PeerId, Stream, StreamHandler } from '@libp2p/interface'
import type { ConnectionManager, Registrar } from '@libp2p/interface-internal'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { StreamHost } from '../wire/stream-host.ts'

export function hostOf ({ registrar, connectionManager }: {
  readonly registrar: Pick<Registrar, 'handle' | 'unhandle'>
  readonly connectionManager: Pick<ConnectionManager, 'getConnections' | 'openStream'>
}): StreamHost {
  return {
    handle: async (protocol, handler, options) => { await registrar.handle(protocol, handler, options) },
    unhandle: async protocol => { await registrar.unhandle(protocol) },
    getConnections: peer => connectionManager.getConnections(peer),
    dialProtocol: async (addresses, protocol, options) => await connectionManager.openStream(addresses, protocol, options)
  }
}

/** One host as two: `first` has the peers that are its own, `second` all others. Of either, only streams taken differ. */
export function splitHost (host: StreamHost, isFirsts: (peer: PeerId) => boolean): { first: StreamHost, second: StreamHost } {
  const taken = new Map<string, { first?: StreamHandler, second?: StreamHandler }>()

  const side = (name: 'first' | 'second'): StreamHost => ({
    getConnections: peer => host.getConnections(peer),
    dialProtocol: async (addresses, protocol, options) => await host.dialProtocol(addresses, protocol, options),
    handle: async (protocol, handler, options) => {
      const handlers = taken.get(protocol)
      taken.set(protocol, { ...handlers, [name]: handler })
      if (handlers !== undefined) return
      await host.handle(protocol, async (stream: Stream, connection: Connection) => {
        const whose = taken.get(protocol)?.[isFirsts(connection.remotePeer) ? 'first' : 'second']
        if (whose === undefined) stream.abort(new MixmintError('stranger', 'peer', 'this protocol is not spoken with this peer'))
        else await whose(stream, connection)
      }, options)
    },
    unhandle: async protocol => {
      const left = { ...taken.get(protocol) }
      delete left[name]
      if (Object.keys(left).length > 0) {
        taken.set(protocol, left)
      } else if (taken.delete(protocol)) {
        await host.unhandle(protocol)
      }
    }
  })
  return { first: side('first'), second: side('second') }
}
