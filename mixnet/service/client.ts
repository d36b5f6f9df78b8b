/**
 * What a libp2p service that asks others is given instead of the components of its node, so that it asks over the mix and
 * need not know: a connection manager whose streams and connections lead over it. Nothing else: such a service is a client
 * only, is never started, and answers nobody.
 */
import type { AbortOptions, ComponentLogger, Connection, Stream } from '@libp2p/interface'
import type { Clock } from '@mixmint/core/kit/ports'
import { AskingConnection } from './connection.ts'
import { readDestination, type Destination } from './destination.ts'

export interface ClientComponents {
  readonly logger: ComponentLogger
  readonly connectionManager: {
    readonly openStream: (destination: Destination, protocols: string | string[], options?: AbortOptions) => Promise<Stream>
    readonly openConnection: (destination: Destination, options?: AbortOptions) => Promise<Connection>
    readonly getConnections: () => Connection[]
  }
}

/** @param dial opens a stream over the mix */
export function clientComponents (logger: ComponentLogger, clock: Clock, dial: (destination: Destination, protocol: string, signal: AbortSignal | undefined) => Promise<Stream>): ClientComponents {
  let opened = 0
  const openConnection = async (destination: Destination): Promise<Connection> => new AskingConnection({
    id: `mix-client-${opened++}`,
    log: logger.forComponent('mixmint:mixnet:client'),
    remotePeer: readDestination(destination).id,
    opened: clock.now(),
    open: async (protocol, signal) => await dial(destination, protocol, signal)
  })
  return {
    logger,
    connectionManager: {
      openConnection,
      openStream: async (destination, protocols, options) => await (await openConnection(destination)).newStream(typeof protocols === 'string' ? protocols : [...protocols], options),
      getConnections: () => []
    }
  }
}
