/**
 * A daemon: one node of one role, from its folder until it is told to stop. Everything that a role shares with others is
 * constructed here and nowhere else.
 */
import { join } from 'node:path'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { asMixmintError } from '@mixmint/core/kit/saga'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { peerBytes } from '@mixmint/mixnet/wire/peers'
import { sleep, systemClock, systemRng } from './clock.ts'
import { readNode, type Role as RoleName } from './config.ts'
import { serveControl, type Json } from './control.ts'
import { evidenceOperation } from './evidence.ts'
import { loadOrCreateIdentity } from './identity.ts'
import { Counters, createLog, flat } from './observe.ts'
import { passphraseFor } from './passphrase-source.ts'
import type { Daemon, Role } from './roles/role.ts'
import { selfTest } from './selftest.ts'
import { openLmdb } from './store/lmdb.ts'
import { lockFolder } from './store/lock.ts'
import { READY } from './supervisor.ts'

async function startRole (daemon: Daemon): Promise<Role> {
  const starters: Record<RoleName, () => Promise<Role>> = {
    authority: async () => await (await import('./roles/authority.ts')).startAuthority(daemon),
    gateway: async () => await (await import('./roles/mix.ts')).startMix(daemon),
    mix: async () => await (await import('./roles/mix.ts')).startMix(daemon),
    bank: async () => await (await import('./roles/bank.ts')).startBank(daemon),
    center: async () => await (await import('./roles/center.ts')).startCenter(daemon),
    merchant: async () => await (await import('./roles/merchant.ts')).startMerchant(daemon)
  }
  return await starters[daemon.config.role]()
}

/**
 * Run until SIGTERM, SIGINT, SIGHUP, or (supervised) the end of standard input. Prints READY once it serves.
 * @throws what starting threw; a node that does not serve does not stay
 */
export async function runDaemon (dir: string, supervised: boolean): Promise<void> {
  const config = readNode(dir)
  const log = createLog(config.role, process.env.MIXMINT_LOG ?? 'info')
  const counters = new Counters()
  const told = stopTold(supervised)
  try {
    const suite = await defaultSuite()
    await selfTest(suite)
    const store = await openLmdb(join(dir, 'store'))
    const lock = await lockFolder(store)
    const passphrase = await passphraseFor(dir)
    const identity = loadOrCreateIdentity(join(dir, 'identity.key'), passphrase)
    const daemon: Daemon = {
      config, network: config.network, suite, log, counters, identity, passphrase, peer: peerBytes(peerIdFromPrivateKey(identity)),
      ports: { clock: systemClock, rng: systemRng, store, wait: sleep }
    }
    const started = startRole(daemon)
    // Told to stop while starting: whatever has begun ends with the process; every store operation is atomic.
    const role = await Promise.race([started, told.then(() => null)])
    if (role === null) return
    const status = async (): Promise<Json> => ({ role: config.role, suite: suite.name, ...await role.status(), equivocations: role.evidence.proofs.length, counters: counters.all() })
    const control = await serveControl(dir, { ...role.operations, evidence: evidenceOperation(role.evidence, daemon.ports), status })
    log.info('serving', { suite: suite.name })
    process.stdout.write(`${READY} ${config.role}\n`)
    await told
    log.info('stopping')
    await control.close()
    await role.stop()
    // Of a node whose last document has expired there is no status any more: that is no fault of its stop.
    const last = await role.status().catch(() => ({}))
    log.info('stopped', flat({ ...last, counters: counters.all() }))
    await lock.release()
    await store.close()
  } catch (error) {
    const { code, message } = asMixmintError(error)
    log.error(message, { code })
    throw error
  }
}

/** Resolves when this process is told to stop. A second signal ends it at once. */
async function stopTold (supervised: boolean): Promise<void> {
  await new Promise<void>(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => { resolve() })
    if (supervised) process.stdin.once('end', resolve).once('error', resolve).resume()
  })
  // Else it would keep the process alive.
  if (supervised) process.stdin.destroy()
}
