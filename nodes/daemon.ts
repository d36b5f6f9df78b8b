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
import { publicAddresses } from './addresses.ts'
import { copiesStore } from './backup.ts'
import { readNode, type NodeConfig } from './config.ts'
import { strangeVariables, type Given } from './config-sources.ts'
import { serveControl, type JsonObject, type Operations } from './control.ts'
import { word } from './control-input.ts'
import { evidenceOperation } from './evidence.ts'
import { loadOrCreateIdentity } from './identity.ts'
import { Monitoring } from './metrics/monitoring.ts'
import { Readiness } from './metrics/readiness.ts'
import { Counters, createLog, flat } from './observe.ts'
import { passphraseFor } from './passphrase-source.ts'
import { VERSION } from './program.ts'
import { reloader } from './reload.ts'
import type { Daemon, Role } from './roles/role.ts'
import { selfTest } from './selftest.ts'
import type { Role as RoleName } from './settings.ts'
import { checkStore } from './store/check.ts'
import { copyStore, openLmdb, type LmdbStore } from './store/lmdb.ts'
import { lockFolder } from './store/lock.ts'
import { READY } from './supervisor.ts'
import { ServiceManager } from './service-manager.ts'
import { ofSystem } from './system-error.ts'

/** Where it is in its life; `waitsFor` is of a start that goes on for long. */
interface Life { state: 'starting' | 'serving' | 'stopping', waitsFor: string }

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
 * Run until SIGTERM, SIGINT, or (supervised) the end of standard input. Prints READY once it serves. At SIGHUP its
 * configuration is read again; at a terminal, whose end that says, it stops.
 * @throws what starting threw; a node that does not serve does not stay
 */
export async function runDaemon (dir: string, given: Given, supervised: boolean): Promise<void> {
  // Whatever it makes, files and sockets, is its owner's only.
  process.umask(0o077)
  const config = readNode(dir, given)
  const log = createLog(config.role, config.log)
  for (const warning of strangeVariables(given.environment ?? {})) log.warn(warning)
  const counters = new Counters()
  const manager = new ServiceManager(process.env, log)
  const told = stopTold(supervised)
  let role: Role | null = null
  const hangUps = new HangUps(reloader({
    dir, given, log,
    take: changed => {
      role?.reload?.(changed)
      log.setLevel(changed.log)
      manager.reloaded()
    }
  }))
  const broken = Promise.withResolvers<never>()
  broken.promise.catch(() => {}) // it is raced below
  try {
    const suite = await defaultSuite()
    await selfTest(suite)
    const store = await openLmdb(join(dir, 'store'))
    const lock = await lockFolder(store)
    const passphrase = await passphraseFor(dir)
    const identity = loadOrCreateIdentity(join(dir, 'identity.key'), passphrase)
    const life: Life = { state: 'starting', waitsFor: '' }
    const readiness = new Readiness({ clock: systemClock, store, wait: sleep }, () => role)
    const peer = peerIdFromPrivateKey(identity)
    const monitoring = new Monitoring({
      role: config.role, suite: suite.name, dir: config.dir, clock: systemClock, log, counters, readiness, told: async () => await role?.told() ?? null
    }, { network: config.network.network, version: VERSION, peer: config.unlisted ? '' : peer.toString() }, config.metrics)
    const operations: Operations = {
      check: async () => await checkStore(store),
      status: async () => ({
        role: config.role, version: VERSION, ...life, pid: process.pid, uptime: Math.floor(process.uptime()), memory: process.memoryUsage.rss(), peer: peer.toString(),
        suite: suite.name, ...role === null ? {} : { ...await role.status(), equivocations: role.evidence.proofs.length }, counters: counters.all()
      }),
      figures: async () => await monitoring.state() as unknown as JsonObject
    }
    const control = await serveControl(dir, operations, () => life.state)
    const daemon: Daemon = {
      onWait: what => {
        life.waitsFor = what
        if (what !== '') log.info(`waits for ${what}`)
        manager.status(what === '' ? 'starting' : `waits for ${what}`)
      },
      config, network: config.network, suite, log, counters, identity, passphrase, peer: peerBytes(peer),
      ports: { clock: systemClock, rng: systemRng, store, wait: sleep }, fail: broken.reject
    }
    await monitoring.start()
    const started = startRole(daemon)
    // Told to stop while starting: whatever has begun ends with the process; every store operation is atomic.
    const begun = await Promise.race([started, told.then(() => null), broken.promise])
    if (begun === null) return
    role = begun
    Object.assign(operations, begun.operations, backupOperation(config, store), { reach: async () => await begun.reach(publicAddresses(config)), evidence: evidenceOperation(begun.evidence, daemon.ports) })
    life.state = 'serving'
    log.info('serving', { suite: suite.name })
    process.stdout.write(`${READY} ${config.role}\n`)
    manager.ready()
    hangUps.begin()
    await Promise.race([told, broken.promise])
    log.info('stopping')
    hangUps.end()
    manager.stopping()
    readiness.stop()
    life.state = 'stopping'
    // How far it is can be asked still; nothing else.
    for (const name of Object.keys(begun.operations)) delete operations[name]
    await begun.stop()
    await control.close()
    // Last: how far the drain is, is asked meanwhile.
    await monitoring.stop()
    // Of a node whose last document has expired there is no status any more: that is no fault of its stop.
    const last = await begun.status().catch(() => ({}))
    log.info('stopped', flat({ ...last, counters: counters.all() }))
    await lock.release()
    await store.close()
    await manager.close()
  } catch (cause) {
    const error = asMixmintError(ofSystem(cause))
    log.error(error.message, { code: error.code })
    throw error
  }
}

/** SIGHUP of a process that has no terminal. One that comes during the start is heeded after it, one that comes during the stop not. */
class HangUps {
  readonly #reload: () => void
  #begun = false
  #early = false

  constructor (reload: () => void) {
    this.#reload = reload
    if (!process.stdin.isTTY) process.on('SIGHUP', () => { this.#hear() })
  }

  begin (): void {
    this.#begun = true
    if (this.#early) this.#reload()
  }

  end (): void {
    this.#begun = false
  }

  #hear (): void {
    if (this.#begun) this.#reload()
    else this.#early = true
  }
}

/** `mixmint backup`: a copy of the store, where one may come back. */
function backupOperation (config: NodeConfig, store: LmdbStore): Operations {
  if (!copiesStore(config)) return {}
  return {
    backup: async input => {
      await copyStore(store, word(input, 'to'))
      return {}
    }
  }
}

/** Resolves when this process is told to stop. A second signal ends it at once. */
async function stopTold (supervised: boolean): Promise<void> {
  await new Promise<void>(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT', ...process.stdin.isTTY ? ['SIGHUP' as const] : []] as const) process.once(signal, () => { resolve() })
    if (supervised) process.stdin.once('end', resolve).once('error', resolve).resume()
  })
  // Else it would keep the process alive.
  if (supervised) process.stdin.destroy()
}
