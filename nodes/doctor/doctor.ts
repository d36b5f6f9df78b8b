/** `mixmint doctor`: all that can be found amiss before, or while, a node runs. */
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { isMixmintError } from '@mixmint/core/kit/errors'
import { peerBytes } from '@mixmint/mixnet/wire/peers'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import { readNode } from '../config.ts'
import { strangeVariables, type Given } from '../config-sources.ts'
import { callControl, type JsonObject } from '../control.ts'
import type { Reached } from '../dial-back.ts'
import { loadOrCreateIdentity } from '../identity.ts'
import { passphraseOfEnvironment } from '../passphrase-source.ts'
import { named } from '../settings.ts'
import { join } from 'node:path'
import { failed, ok, warn, type Finding } from './finding.ts'
import { keyFindings, ringFindings, storeFindings } from './folder.ts'
import { lookAtMachine, machineFindings } from './machine.ts'
import { addressFindings, askOutside, directoryFindings, outsideFinding } from './network.ts'

/** @param tell called with each finding as it is made */
export async function examine (dir: string, given: Given, tell: (finding: Finding) => void): Promise<Finding[]> {
  const found: Finding[] = []
  const say = (...findings: Finding[]): void => {
    found.push(...findings)
    findings.forEach(tell)
  }
  let config
  try {
    config = readNode(dir, given)
  } catch (error) {
    say(failed('configuration', error))
    return found
  }
  say(ok('configuration', `${named(config.role)} of the network ${config.network.network}`))
  for (const warning of strangeVariables(given.environment ?? {})) say(warn('environment', warning, 'remove the variable'))
  const status = await callControl(dir, 'status', {}, 10_000).then(json => json as JsonObject, (error: unknown) => isMixmintError(error, 'daemon-not-running') ? null : error)
  const running = status === null || status instanceof Error ? null : status as JsonObject
  if (status instanceof Error) say(failed('daemon', status))
  else if (running === null) say(ok('daemon', 'is not running: its ports and its store are tried without it'))
  else if (running.state !== 'serving' && running.waitsFor !== '') say(warn('daemon', `${String(running.state)}; waits for ${String(running.waitsFor)}`, 'see `directory` and `authorities` below'))
  else say(ok('daemon', `${String(running.state)}, for ${String(running.uptime)} s`))

  say(...machineFindings(lookAtMachine(dir, running === null ? 'self' : Number(running.pid))))
  const suite = await defaultSuite()
  const passphrase = passphraseOfEnvironment()
  const keys = keyFindings(suite, config, passphrase)
  say(...keys, ...ringFindings(config), ...await storeFindings(config, running !== null))
  const addresses = await addressFindings(config, running !== null)
  say(...addresses)
  const areKeysRead = keys.every(({ state }) => state === 'ok')
  const identity = areKeysRead ? loadOrCreateIdentity(join(dir, 'identity.key'), passphrase) : null
  const peer = running !== null ? peerIdFromString(String(running.peer)) : identity === null ? null : peerIdFromPrivateKey(identity)
  const directory = await directoryFindings(suite, config, peer === null ? null : peerBytes(peer), running !== null)
  say(...directory)
  // Of ports that cannot be opened, or where nobody is to be asked, all is said.
  if (directory[0].state === 'fail' || config.unlisted || addresses[0].state === 'fail') return found
  try {
    if (running !== null) say(outsideFinding(await callControl(dir, 'reach', {}, 30_000) as unknown as Reached))
    else if (identity !== null) say(outsideFinding(await askOutside(config, identity)))
  } catch (error) {
    say({ ...failed('outside', error), state: 'warn' })
  }
  return found
}
