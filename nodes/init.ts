/** `mixmint init`: from what an operator says of a node to its folder, and what he does next. */
import { copyFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Suite } from '@mixmint/core/crypto/suite'
import { readNetwork } from './config.ts'
import { entryOfNode, makeNode } from './node-folder.ts'
import type { Passphrase } from './passphrase.ts'
import { ringEntryOf } from './ring-tools.ts'
import type { Role } from './settings.ts'

export interface InitOptions {
  readonly dir: string
  readonly role: Role
  /** An IP address or a name, by which others reach this machine; '' for a node that nobody has to reach. */
  readonly address: string
  /** Nodes come in at this TCP port, wallets at the next, and over WebSocket at the one after. */
  readonly port: number
  /** The network's file, which is copied; '' when there is none yet. */
  readonly network: string
  /** By path. */
  readonly settings: Readonly<Record<string, unknown>>
}

export interface Made {
  readonly dir: string
  readonly role: Role
  readonly listen: string
  /** What is handed to others: for network.toml, or the authorities' lists; and, of a center, for the bank's ring. */
  readonly entry: string
  readonly ringEntry: string | null
  /** Of a bank: what merchants name. */
  readonly bankKey: string | null
  /** What comes next, in order. */
  readonly next: readonly string[]
}

/** Who lets wallets in. A merchant's come through the mixnet. */
const ENTRIES: Readonly<Partial<Record<Role, ReadonlyArray<{ readonly above: number, readonly transport: string }>>>> = {
  gateway: [{ above: 1, transport: '' }, { above: 2, transport: '/ws' }],
  bank: [{ above: 1, transport: '' }, { above: 2, transport: '/ws' }],
  center: [{ above: 1, transport: '' }]
}

/** @throws bad-argument (caller), and those of makeNode and readNetwork */
export async function initNode (suite: Suite, { dir, role, address, port, network, settings }: InitOptions, passphrase: Passphrase | null): Promise<Made> {
  if (network !== '') readNetwork(network)
  const host = hostOf(address)
  const ways = ENTRIES[role] ?? []
  const at = (base: string): { listen: string, entry: string[] } => ({
    listen: `${base}/tcp/${port}`, entry: ways.map(({ above, transport }) => `${base}/tcp/${port + above}${transport}`)
  })
  // Behind a router, or under a name, it listens on all addresses and says the one by which it is reached.
  const here = at(isOwn(address) || address === '' ? host : isIP(address) === 6 ? '/ip6/::' : '/ip4/0.0.0.0')
  const there = at(host)
  const values: Record<string, unknown> = {
    network: 'network.toml',
    listen: here.listen,
    ...(here.listen === there.listen ? {} : { announce: [there.listen] }),
    ...(ways.length === 0 ? {} : { entry: here.entry, ...(here.listen === there.listen ? {} : { announceEntry: there.entry }) }),
    ...settings
  }
  const { key } = makeNode(suite, dir, role, values, passphrase)
  if (network !== '') copyFileSync(network, join(dir, 'network.toml'))
  const { toml } = entryOfNode(suite, dir, passphrase)
  const ringEntry = role === 'center' ? JSON.stringify(await ringEntryOf(dir, 1, false)) : null
  const bankKey = role === 'bank' && key !== null ? toHex(key) : null
  const made = { dir, role, listen: String(values.listen), entry: toml, ringEntry, bankKey }
  return { ...made, next: nextSteps(made, network !== '') }
}


function nextSteps ({ dir, role, entry, ringEntry, bankKey }: Omit<Made, 'next'>, hasNetwork: boolean): string[] {
  const indented = (text: string): string => `\n\n${text.replace(/^(?=.)/gm, '       ')}\n`
  return [
    role === 'authority'
      ? `Give this entry to the other founders; all entries, under a line \`network = "NAME"\`, are the network's file:${indented(entry)}`
      : `Give this entry to the operators of the network's authorities, who put it at the end of their config.toml:${indented(entry)}`,
    ...(ringEntry === null ? [] : [`Give this line to the operator of the bank, for \`mixmint ring make\`:${indented(ringEntry)}`]),
    ...(bankKey === null ? [] : [`Merchants name your bank by this key:${indented(bankKey)}`, `Make ${join(dir, 'ring.json')} of the lines that the centers' operators give you: \`mixmint ring make --out ${join(dir, 'ring.json')} FILE…\``]),
    ...(role === 'authority' ? [`Put the entries of the nodes that you admit at the end of ${join(dir, 'config.toml')}.`] : []),
    ...(hasNetwork ? [] : [`Put the network's file at ${join(dir, 'network.toml')}; everybody has the same.`]),
    `See that all is in order: \`mixmint doctor --dir ${dir}\``,
    `Start it: \`mixmint run --dir ${dir}\`, or as a service: \`mixmint unit\``
  ]
}

/** `/ip4/192.0.2.1`, `/dns4/mix.example`. @throws bad-argument (caller) */
export function hostOf (address: string): string {
  const kind = isIP(address)
  if (address === '') return '/ip4/127.0.0.1'
  if (kind !== 0) return `/ip${kind}/${address}`
  // The last label of a name has a letter: what has none is an address with a slip.
  if (/^([a-z0-9-]+\.)+[a-z0-9-]*[a-z][a-z0-9-]*$/i.test(address)) return `/dns4/${address}`
  throw new MixmintError('bad-argument', 'caller', `${address} is neither an IP address nor a name such as mix.example.org`)
}

/** Does this machine itself have this address? Then it can listen there. */
function isOwn (address: string): boolean {
  if (isIP(address) === 4 && address.startsWith('127.')) return true
  return Object.values(networkInterfaces()).flatMap(list => list ?? []).some(own => own.address === address)
}
