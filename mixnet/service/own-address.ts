/** Where other nodes reach this one, as packets name it. */
import type { Libp2pEvents, TypedEventTarget } from '@libp2p/interface'
import type { AddressManager } from '@libp2p/interface-internal'
import { isPrivateIp } from '@libp2p/utils'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import { addressBlock } from '../sphinx/address.ts'

/** Listening takes no longer. */
const PATIENCE: Millis = 5_000

/**
 * Multiaddrs without /p2p: first the one that packets name, then whatever else there is to dial.
 * @param named by the operator; null: the first that packets can name, a public one if there is one
 * @throws no-address (operator)
 */
export function ownAddresses (addresses: Pick<AddressManager, 'getAddresses'>, peer: Uint8Array, named: string | null): string[] {
  const all = addresses.getAddresses().map(address => address.toString().replace(/\/p2p\/[^/]+$/, ''))
  const candidates = named === null ? all : [named]
  const nameable = candidates.filter(address => isNameable(address, peer))
  const first = nameable.find(address => isPrivateIp(address.split('/')[2]) === false) ?? nameable.at(0)
  if (first === undefined) {
    throw new MixmintError('no-address', 'operator', named === null
      ? 'a relay needs an address that packets can name: let the node listen on /ip4/A.B.C.D/tcp/PORT, or give relay.address'
      : 'relay.address must be /ip4/A.B.C.D/tcp/PORT')
  }
  return [first, ...all.filter(address => address !== first)]
}

/** A node begins to listen while its services begin: resolves when there is an address. @throws no-address (operator) when there is none in time */
export async function untilListening (events: TypedEventTarget<Libp2pEvents>, addresses: () => unknown): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>()
  const look = (last: boolean): void => {
    try {
      addresses()
      resolve(undefined)
    } catch (error) {
      if (last) reject(error as Error)
    }
  }
  const listening = (): void => { look(false) }
  const timer = setTimeout(() => { look(true) }, PATIENCE)
  events.addEventListener('transport:listening', listening)
  look(false)
  try {
    await promise
  } finally {
    clearTimeout(timer)
    events.removeEventListener('transport:listening', listening)
  }
}

function isNameable (address: string, peer: Uint8Array): boolean {
  try {
    addressBlock(address, peer)
    return true
  } catch {
    return false
  }
}
