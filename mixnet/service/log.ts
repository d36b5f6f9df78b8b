/** The log of the directory's parts, in that of the node. */
import type { ComponentLogger } from '@libp2p/interface'
import type { Log } from '@mixmint/core/kit/ports'

export function logOf (logger: ComponentLogger): Log {
  const log = logger.forComponent('mixmint:mixnet')
  return {
    info: (message, fields) => { log('%s %o', message, fields ?? {}) },
    warn: (message, fields) => { log('%s %o', message, fields ?? {}) },
    error: (message, fields) => { log.error('%s %o', message, fields ?? {}) }
  }
}
