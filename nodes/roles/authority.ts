/** The daemon of a directory authority. */
import { join } from 'node:path'
import { peerIdFromString } from '@libp2p/peer-id'
import { equal, toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import { Authority } from '@mixmint/mixnet/directory/authority'
import { epochAt } from '@mixmint/mixnet/directory/epoch'
import { trustOf } from '@mixmint/mixnet/directory/document'
import { askOver, serveDirectory } from '@mixmint/mixnet/wire/directory'
import { AuthorityServer } from '@mixmint/mixnet/wire/directory-authority'
import { groupsOf, parseTarget, peerBytes } from '@mixmint/mixnet/wire/peers'
import { RpcClient } from '@mixmint/mixnet/wire/rpc-client'
import type { Admission } from '@mixmint/mixnet/directory/register'
import type { Daemon, Role } from './role.ts'
import type { NodeConfig } from '../config.ts'
import { askDialBack, serveDialBack } from '../dial-back.ts'
import { BankWatch } from '../evidence.ts'
import { createHost } from '../host.ts'
import { authorityReadings } from './authority-readings.ts'
import { moneyPolicy } from '../money-policy.ts'
import { loadOrCreateSeed } from '../secrets.ts'
import { claimStore } from '../store/about.ts'
import { MIGRATIONS } from '../store/migrations.ts'
import { admitRequests } from '../strangers.ts'

export async function startAuthority (daemon: Daemon): Promise<Role> {
  const { config, suite, ports, log, counters, identity } = daemon
  const key = suite.ed25519KeyPair(loadOrCreateSeed(join(config.dir, 'authority.key'), daemon.passphrase))
  const { network, authorities } = config.network
  const own = authorities.find(authority => equal(authority.key, key.publicKey))
  if (own === undefined) {
    throw new MixmintError('bad-config', 'operator', 'network.toml does not list this authority\'s key: both must come from the same founding')
  }
  // What it has signed is under its key: another's store would let it sign anew.
  await claimStore(ports.store, `authority ${toHex(key.publicKey)} of ${network}`, MIGRATIONS.authority)
  const watch = new BankWatch(suite, network, ports, counters, log)
  const authority = new Authority(suite, {
    key,
    trust: trustOf(network, authorities),
    parameters: config.parameters,
    admitted: admissions(config),
    bootstrapWait: config.bootstrapWait,
    signsFrom: config.signsFrom,
    checkService: moneyPolicy(suite, network, log, listing => { watch.see(listing) })
  }, counters, log)
  let admitted = config.admit.length
  let known = knownPeers(config)
  const homes = groupsOf(authorities.map(({ address }) => parseTarget(address)))
  const host = await createHost({
    privateKey: identity, role: 'authority', listen: [config.listen], announce: config.announce, meter: counters,
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
  await serveDialBack(host.node, peer => known.has(peer), counters)
  return {
    operations: {},
    evidence: authority.evidence,
    reach: async addresses => await askDialBack(rpc, authorities.map(({ address }) => parseTarget(address)).filter(({ peer }) => !equal(peer, daemon.peer)), addresses),
    told: async () => ({ readings: authorityReadings(authority.status, config.parameters, own.until, admitted) }),
    missing: () => epochAt(config.parameters, ports.clock.now()) > authority.status.epoch ? ['no-directory'] : [],
    reload: changed => {
      authority.admit(admissions(changed))
      admitted = changed.admit.length
      known = knownPeers(changed)
    },
    status: async () => {
      const { epoch, signatures, round, clock, lacks, colleagues } = authority.status
      return {
        admitted, epoch, signatures, round, clock, ...lacks === '' ? {} : { lacks },
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

function admissions ({ admit }: NodeConfig): Admission[] {
  return admit.map(({ peer, role, kind, layer }) => ({ peer: peerBytes(peerIdFromString(peer)), role, kind, ...(layer === undefined ? {} : { layer }) }))
}

/** Peers that are no strangers, in hexadecimal. */
function knownPeers (config: NodeConfig): ReadonlySet<string> {
  return new Set([...admissions(config).map(({ peer }) => peer), ...config.network.authorities.map(({ address }) => parseTarget(address).peer)].map(toHex))
}
