/** The daemon of a directory authority. */
import { join } from 'node:path'
import { peerIdFromString } from '@libp2p/peer-id'
import { equal, toHex } from '@mixmint/core/kit/bytes'
import { decode } from '@mixmint/core/kit/codec'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import { BankListing, CenterListing, MerchantListing } from '@mixmint/core/cash/formats'
import { checkListing } from '@mixmint/core/cash/listing-policy'
import { Authority, type CheckService } from '@mixmint/mixnet/directory/authority'
import { profile } from '@mixmint/mixnet/directory/profiles'
import { askOver, serveDirectory } from '@mixmint/mixnet/wire/directory'
import { AuthorityServer } from '@mixmint/mixnet/wire/directory-authority'
import { parseTarget, peerBytes } from '@mixmint/mixnet/wire/peers'
import { RpcClient } from '@mixmint/mixnet/wire/rpc-client'
import type { Daemon, Role } from './role.ts'
import { createHost } from '../host.ts'
import { moneyParameters } from '../money-profiles.ts'
import { loadOrCreateSeed } from '../secrets.ts'
import { admitRequests } from '../strangers.ts'

export async function startAuthority (daemon: Daemon): Promise<Role> {
  const { config, suite, ports, log, counters, identity } = daemon
  const key = suite.ed25519KeyPair(loadOrCreateSeed(join(config.dir, 'authority.key')))
  const { network, authorities } = config.network
  if (!authorities.some(authority => equal(authority.key, key.publicKey))) {
    throw new MixmintError('bad-config', 'operator', 'network.toml does not list this authority\'s key: both must come from the same founding')
  }
  if (config.profile !== 'default' && config.profile !== 'demo') throw new MixmintError('bad-config', 'operator', 'authority.profile: default or demo wanted')
  const authority = new Authority(suite, {
    key,
    trust: { network, authorities: authorities.map(each => each.key) },
    parameters: profile(config.profile, moneyParameters(config.profile)),
    admitted: config.admit.map(({ peer, role, kind, layer }) => ({ peer: peerBytes(peerIdFromString(peer)), role, kind, ...(layer === undefined ? {} : { layer }) })),
    bootstrapWait: config.bootstrapWait,
    checkService: moneyPolicy(daemon)
  }, counters)
  const host = await createHost({
    privateKey: identity, role: 'authority', listen: [config.listen], meter: counters,
    isKnown: peer => config.admit.some(admitted => toHex(peerBytes(peerIdFromString(admitted.peer))) === peer)
  })
  const rpc = new RpcClient({ node: host.node, meter: counters })
  const server = new AuthorityServer({
    authority, ports, log,
    askOther: other => {
      const found = authorities.find(each => equal(each.key, other))
      return found === undefined ? null : askOver(rpc, parseTarget(found.address))
    }
  })
  await server.start()
  await serveDirectory(host.node, server.answer, { meter: counters, admit: admitRequests() })
  return {
    operations: {},
    status: async () => ({ admitted: config.admit.length }),
    stop: async () => {
      await server.stop()
      rpc.close()
      await host.stop()
    }
  }
}

/** What may stand in the directory about money: see listing-policy.ts. */
function moneyPolicy ({ suite, config, log }: Daemon): CheckService {
  return (kind, body, others, { previous, now }) => {
    try {
      switch (kind) {
        case 'bank': {
          const listing = decode(BankListing, body)
          const refused = checkListing(suite, config.network.network, listing, previous === null ? undefined : decode(BankListing, previous), now)
          if (refused !== null) log.error('a bank\'s listing was refused', { why: refused })
          const taken = others.some(other => other.kind === 'bank' && equal(decode(BankListing, other.body).bank, listing.bank))
          return refused !== null ? 'bank-listing' : taken ? 'bank-taken' : null
        }
        case 'center': {
          const { center } = decode(CenterListing, body)
          return others.some(other => other.kind === 'center' && equal(decode(CenterListing, other.body).center, center)) ? 'center-taken' : null
        }
        case 'merchant': {
          const { payee } = decode(MerchantListing, body)
          return others.some(other => other.kind === 'merchant' && equal(decode(MerchantListing, other.body).payee, payee)) ? 'payee-taken' : null
        }
        default: return 'unknown-kind'
      }
    } catch (error) {
      if (isMixmintError(error)) return error.code
      throw error
    }
  }
}
