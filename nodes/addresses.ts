/** Addresses of a node as its configuration has them: multiaddrs, where they lead, and what others are told. */
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { multiaddr } from '@multiformats/multiaddr'
import type { NodeConfig } from './config.ts'

export interface Place {
  /** Must be looked up first. */
  readonly isName: boolean
  readonly host: string
  /** TCP; 0: any that is free. */
  readonly port: number
}

/** Of `/ip4/…/tcp/…`, with or without more; null for what is no such. */
export function placeOf (address: string): Place | null {
  try {
    const [host, tcp] = multiaddr(address).getComponents()
    return tcp?.name === 'tcp' && host.value !== undefined ? { isName: host.name.startsWith('dns'), host: host.value, port: Number(tcp.value) } : null
  } catch {
    return null
  }
}

/** What to do about an address that cannot be listened on. @param code of the system, such as EADDRINUSE */
export function listenAdvice (code: string): string {
  if (code === 'EADDRINUSE') return 'another process has the port: `ss -ltnp` names it'
  if (code === 'EACCES') return 'ports below 1024 are for root: listen on another, and have that one forwarded (say in `announce` what others reach)'
  return 'this machine has no such address: listen on /ip4/0.0.0.0, and say in `announce` what others reach'
}

/** What the directory tells of this node: nodes' addresses, and wallets'. */
export function publicAddresses ({ listen, announce, entry, announceEntry }: NodeConfig): string[] {
  return [...announce.length > 0 ? announce : [listen], ...announceEntry.length > 0 ? announceEntry : entry].flatMap(spread)
}

/** Whoever listens on all addresses of a machine is found under each. */
function spread (address: string): string[] {
  const all = address.startsWith('/ip4/0.0.0.0/') ? 'IPv4' : address.startsWith('/ip6/::/') ? 'IPv6' : null
  if (all === null) return [address]
  return Object.values(networkInterfaces()).flatMap(list => list ?? []).filter(({ family }) => family === all)
    .map(own => `/${all === 'IPv4' ? 'ip4' : 'ip6'}/${own.address}/${address.split('/').slice(3).join('/')}`)
}

/** RFC 1918, 6598, 3927, 4193; loopback; link-local. A name may be anything. */
export function isPrivate (host: string): boolean {
  return isIP(host) !== 0 && /^(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|169\.254\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|::1$|f[cd]|fe[89ab])/i.test(host)
}
