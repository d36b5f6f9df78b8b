/**
 * How many bytes a connection may bring before its handshake is done. libp2p lets 4 MiB gather at each of several places,
 * which a stranger can fill in every handshake that it leaves half-way; over WebSocket nothing can be held back at all.
 */
import type { MultiaddrConnection } from '@libp2p/interface'
import { MixmintError } from '@mixmint/core/kit/errors'

/** A handshake takes less than 1 KiB; who is quick sends on, as much as the first window of a stream has. */
const LIMIT = 512 * 1024

/** What libp2p's connections have, whatever their type says: each piece that has come is handed to it. */
interface Internals { onData?: (data: { readonly byteLength: number }) => void }

export interface HandshakeBytes {
  /** The handshake is over: from now on there are windows. */
  readonly lift: () => void
}

/**
 * A connection that brings more is broken off.
 * @throws connection-internals (us), when the library's inside has changed
 */
export function limitBytes (connection: MultiaddrConnection, onBrokenOff: () => void): HandshakeBytes {
  const internals = connection as Internals
  const onData = internals.onData?.bind(connection)
  if (onData === undefined) {
    throw new MixmintError('connection-internals', 'us', 'the connections of libp2p have changed inside: what handshakes bring must be limited another way')
  }
  let left = LIMIT
  internals.onData = data => {
    left -= data.byteLength
    if (left >= 0) {
      onData(data)
      return
    }
    delete internals.onData
    onBrokenOff()
    connection.abort(new MixmintError('handshake-bytes', 'peer', 'more has come than a handshake takes'))
  }
  return { lift: () => { delete internals.onData } }
}
