/** The network: addresses, ports from inside and out, the authorities, the clock against theirs, the directory. */
import { createServer } from 'node:net'
import type { Secp256k1PrivateKey } from '@libp2p/interface'
import { equal, toHex } from '@mixmint/core/kit/bytes'
import type { Suite } from '@mixmint/core/crypto/suite'
import type { DirectoryReply } from '@mixmint/mixnet/directory/messages'
import { isInOffice, quorum } from '@mixmint/mixnet/directory/document'
import { askDirectory, askOver } from '@mixmint/mixnet/wire/directory'
import { parseTarget } from '@mixmint/mixnet/wire/peers'
import { RpcClient } from '@mixmint/mixnet/wire/rpc-client'
import { isPrivate, listenAdvice, placeOf, publicAddresses, type Place } from '../addresses.ts'
import { systemClock } from '../clock.ts'
import type { NodeConfig } from '../config.ts'
import { askDialBack, type Reached } from '../dial-back.ts'
import { withNetwork } from '../directory-show.ts'
import { createHost } from '../host.ts'
import { freshIdentity } from '../identity.ts'
import { Counters } from '../observe.ts'
import { fail, failed, ok, warn, type Finding } from './finding.ts'

const ASK_TIMEOUT = 5_000

/** Can it listen where it is to, and may others come there? */
export async function addressFindings (config: NodeConfig, isRunning: boolean): Promise<Finding[]> {
  const found: Finding[] = []
  const listens = [config.listen, ...config.entry]
  for (const address of listens) {
    const place = placeOf(address)
    if (place === null) found.push(fail('listen', `${address} is no address of TCP`, 'one such as /ip4/0.0.0.0/tcp/4001 is wanted'))
    else if (!isRunning) {
      const error = await bind(place)
      if (error !== null) found.push(fail('listen', `${address}: ${error}`, listenAdvice(error)))
    }
  }
  if (found.length === 0) found.push(ok('listen', isRunning ? `the daemon listens on ${listens.join(', ')}` : `${listens.join(', ')} are free`))
  const isLocal = config.network.authorities.every(({ address }) => isPrivate(placeOf(address.split('/p2p/')[0])?.host ?? ''))
  const told = publicAddresses(config)
  const hidden = told.filter(address => isPrivate(placeOf(address)?.host ?? ''))
  if (hidden.length === 0) found.push(ok('addresses', `others are told ${told.join(', ')}`))
  else if (isLocal) found.push(ok('addresses', `others are told ${told.join(', ')}; the whole network has such`))
  else if (hidden.length < told.length) found.push(warn('addresses', `others are told ${hidden.join(', ')}, too, which only this network knows`, 'say in `announce` (and `announceEntry`) by which address this node is reached'))
  else found.push(fail('addresses', `others are told ${hidden.join(', ')} only, which nobody outside can reach`, 'say in `announce` (and `announceEntry`) the public address or name, and forward the ports'))
  return found
}

/** @returns null when it can be listened on, else why not */
async function bind ({ host, port }: Place): Promise<string | null> {
  const server = createServer()
  return await new Promise(resolve => {
    server.once('error', error => { resolve((error as NodeJS.ErrnoException).code ?? error.message) })
    server.listen(port, host, () => { server.close(() => { resolve(null) }) })
  })
}

/** Who answers, what time it is there, and whether there is a document with this node in it. An authority that is not running is not asked itself. */
export async function directoryFindings (suite: Suite, { network, role, unlisted }: NodeConfig, peer: Uint8Array | null, isRunning: boolean): Promise<Finding[]> {
  const isFounding = role === 'authority' && !isRunning
  const asked = network.authorities.map(({ address }) => parseTarget(address)).filter(target => !(isFounding && peer !== null && equal(target.peer, peer)))
  if (asked.length === 0) return [ok('authorities', 'this is the only one')]
  const host = await createHost({ privateKey: await freshIdentity(), role: 'wallet', listen: [], meter: new Counters() })
  const rpc = new RpcClient({ node: host.node, meter: new Counters() })
  try {
    const answers = await Promise.all(asked.map(async target => {
      const ask = async (): Promise<DirectoryReply | null> => await askDirectory(askOver(rpc, target), { op: 'schedule' }, AbortSignal.timeout(ASK_TIMEOUT)).catch(() => null)
      if (await ask() === null) return null
      // Now the connection is there, and does not count as time on the way.
      const asked = systemClock.now()
      const reply = await ask()
      if (reply === null || reply.is !== 'schedule') return null
      return { ahead: (asked + systemClock.now()) / 2 - reply.time, skew: reply.clockSkew, epoch: Math.floor(reply.time / reply.epochLength) }
    }))
    const there = answers.filter(answer => answer !== null)
    if (there.length === 0 && isFounding) return [warn('authorities', 'none of the others answers', 'of a network that is being founded they may start after this one; else: are they running, and is network.toml the one that is in force?')]
    if (there.length === 0) return [fail('authorities', `none of ${asked.length} answers`, 'are they running, is this machine on the network, does a firewall let connections out, and is network.toml the one that is in force?')]
    const found: Finding[] = []
    const epoch = Math.max(...there.map(answer => answer.epoch))
    const inOffice = network.authorities.filter(term => isInOffice(term, epoch)).length
    const needed = quorum(inOffice)
    const others = asked.length < network.authorities.length
    found.push(there.length >= asked.length
      ? ok('authorities', `all ${there.length} ${others ? 'others ' : ''}answer`)
      : there.length + (others ? 1 : 0) >= needed
        ? warn('authorities', `${there.length} of ${asked.length} answer`, 'the network works with so many; is it they, or the way to them?')
        : fail('authorities', `${there.length} of ${asked.length} answer`, `${needed} are needed for a document: ask their operators`))
    found.push(clockFinding(there.map(({ ahead }) => ahead), Math.min(...there.map(({ skew }) => skew))))
    try {
      found.push(await withNetwork(suite, network, ({ view }) => {
        const told = `the document of epoch ${view.epoch} lists ${view.nodes.length} nodes`
        if (role === 'authority' || unlisted || peer === null) return ok('directory', told)
        return view.byPeer(peer) !== undefined
          ? ok('directory', `${told}, and this one`)
          : warn('directory', `${told}, and not this one`, 'hand its entry to the operators of the authorities (`mixmint directory entry`); once most admit it and it runs, it is listed in the next epoch')
      }))
    } catch (error) {
      found.push({ ...failed('directory', error), state: 'warn' })
    }
    return found
  } finally {
    rpc.close()
    await host.stop()
  }
}

/** @param ahead how far this clock is ahead of each authority's, ms @param skew what the network allows */
export function clockFinding (ahead: readonly number[], skew: number): Finding {
  const middle = [...ahead].sort((a, b) => a - b)[Math.floor(ahead.length / 2)]
  const seconds = (ms: number): string => (ms / 1000).toFixed(1)
  const what = `${seconds(Math.abs(middle))} s ${middle < 0 ? 'behind' : 'ahead of'} the authorities; ${seconds(skew)} s are allowed`
  const advice = 'set it, and let NTP keep it: `timedatectl set-ntp true`'
  return Math.abs(middle) > skew ? fail('clock', what, advice) : Math.abs(middle) > skew / 2 ? warn('clock', what, advice) : ok('clock', what)
}

/** As an authority sees the ports, asked by the daemon itself. */
export function outsideFinding ({ from, outcomes }: Reached): Finding {
  const check = 'outside'
  const of = (outcome: string): string[] => outcomes.filter(each => each.outcome === outcome).map(({ address }) => address)
  if (from === '') return warn(check, 'no authority tried the ports', 'ask from another machine: `nc -vz HOST PORT`')
  if (of('unknown-node').length > 0) return warn(check, 'authorities try the ports of admitted nodes only', 'hand this node\'s entry to their operators, or ask from another machine: `nc -vz HOST PORT`')
  const unreached = of('unreached')
  if (unreached.length > 0) return fail(check, `an authority cannot reach ${unreached.join(', ')}`, 'open the port in the firewall, and forward it where there is a router')
  const elsewhere = of('elsewhere')
  if (elsewhere.length > 0) return warn(check, `${elsewhere.join(', ')} was not tried: connections from here come from ${from}`, `is that the right address? Else say ${from} in \`announce\``)
  return ok(check, `an authority reaches ${of('reached').join(', ')}`)
}

/** With the daemon down: its ports are opened for a moment, and an authority is asked in its name. */
export async function askOutside (config: NodeConfig, identity: Secp256k1PrivateKey): Promise<Reached> {
  const meter = new Counters()
  const host = await createHost({ privateKey: identity, role: 'node', listen: [config.listen], meter, isKnown: () => true })
  const servers = config.entry.map(placeOf).filter(place => place !== null).map(({ host, port }) => {
    const server = createServer(socket => { socket.destroy() }).on('error', () => {})
    return server.listen(port, host)
  })
  const rpc = new RpcClient({ node: host.node, meter })
  try {
    const own = toHex(host.peer)
    const targets = config.network.authorities.map(({ address }) => parseTarget(address)).filter(({ peer }) => toHex(peer) !== own)
    return await askDialBack(rpc, targets, publicAddresses(config))
  } finally {
    rpc.close()
    for (const server of servers) server.close()
    await host.stop()
  }
}
