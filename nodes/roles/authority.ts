/** The daemon of a directory authority. */
import { join } from 'node:path'
import { peerIdFromString } from '@libp2p/peer-id'
import { equal, toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import { Authority } from '@mixmint/mixnet/directory/authority'
import { trustOf } from '@mixmint/mixnet/directory/document'
import { askOver, serveDirectory } from '@mixmint/mixnet/wire/directory'
import { AuthorityServer } from '@mixmint/mixnet/wire/directory-authority'
import { groupsOf, parseTarget, peerBytes } from '@mixmint/mixnet/wire/peers'
import { RpcClient } from '@mixmint/mixnet/wire/rpc-client'
import type { Daemon, Role } from './role.ts'
import { BankWatch } from '../evidence.ts'
import { createHost } from '../host.ts'
import { moneyPolicy } from '../money-policy.ts'
import { loadOrCreateSeed } from '../secrets.ts'
import { admitRequests } from '../strangers.ts'

export async function startAuthority (daemon: Daemon): Promise<Role> {
  const { config, suite, ports, log, counters, identity } = daemon
  const key = suite.ed25519KeyPair(loadOrCreateSeed(join(config.dir, 'authority.key'), daemon.passphrase))
  const { network, authorities } = config.network
  if (!authorities.some(authority => equal(authority.key, key.publicKey))) {
    throw new MixmintError('bad-config', 'operator', 'network.toml does not list this authority\'s key: both must come from the same founding')
  }
  const watch = new BankWatch(suite, ports, counters, log)
  const authority = new Authority(suite, {
    key,
    trust: trustOf(network, authorities),
    parameters: config.parameters,
    admitted: config.admit.map(({ peer, role, kind, layer }) => ({ peer: peerBytes(peerIdFromString(peer)), role, kind, ...(layer === undefined ? {} : { layer }) })),
    bootstrapWait: config.bootstrapWait,
    signsFrom: config.signsFrom,
    checkService: moneyPolicy(suite, network, log, listing => { watch.see(listing) })
  }, counters, log)
  const known = new Set([...config.admit.map(({ peer }) => peerBytes(peerIdFromString(peer))), ...authorities.map(({ address }) => parseTarget(address).peer)].map(toHex))
  const homes = groupsOf(authorities.map(({ address }) => parseTarget(address)))
  const host = await createHost({
    privateKey: identity, role: 'authority', listen: [config.listen], meter: counters,
    isKnown: peer => known.has(peer), isHome: group => homes.has(group)
  })
  const rpc = new RpcClient({ node: host.node, meter: counters })
  const server = new AuthorityServer({
    authority, ports, log, meter: counters,
    askOther: other => {
      const found = authorities.find(each => equal(each.key, other))
      return found === undefined ? null : askOver(rpc, parseTarget(found.address))
    }
  })
  await server.start()
  await serveDirectory(host.node, server.answer, { meter: counters, admit: admitRequests(peer => known.has(peer)) })
  return {
    operations: {},
    evidence: authority.evidence,
    status: async () => {
      const { epoch, signatures, round, clock, colleagues } = authority.status
      return {
        admitted: config.admit.length, epoch, signatures, round, clock,
        authorities: colleagues.map(({ authority: key, answers, ahead, differing }) => ({ authority: toHex(key), answers, ahead, differing: [...differing] }))
      }
    },
    stop: async () => {
      await server.stop()
      await watch.settled()
      rpc.close()
      await host.stop()
    }
  }
}
