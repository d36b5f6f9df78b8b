/** Who is connected to a service, by role only: `unknown` are wallets and other strangers. */
import type { Participant } from '../participant.ts'

export function connectionKinds (participant: Participant): Record<string, number> {
  const kinds: Record<string, number> = { unknown: 0 }
  for (const { remotePeer } of [participant.host, participant.entry].flatMap(host => host?.node.getConnections() ?? [])) {
    const node = participant.keeper.view()?.byPeer(remotePeer.toMultihash().bytes)
    const kind = participant.isAuthority(remotePeer.toString()) ? 'authority' : node === undefined ? 'unknown' : node.kind === '' ? node.role : node.kind
    kinds[kind] = (kinds[kind] ?? 0) + 1
  }
  return kinds
}
