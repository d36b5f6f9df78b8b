/**
 * Probers at work: attached to gateways as wallets are, with a clock, timers and sockets, until each of their probes is home
 * or lost. They keep nothing when they end.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Clock } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { SERVICE_LAYER } from '@mixmint/mixnet/directory/document'
import type { Parameters } from '@mixmint/mixnet/directory/formats'
import { coverPaths, type Attachment } from '@mixmint/mixnet/directory/route'
import { DirectoryView, type DirectoryNode } from '@mixmint/mixnet/directory/view'
import type { LinkId } from '@mixmint/mixnet/mixing/engine'
import { timingsOf } from '@mixmint/mixnet/session/timing'
import { Alarm } from '@mixmint/mixnet/wire/alarm'
import { peerIdFromBytes, peerIdOfLink } from '@mixmint/mixnet/wire/peers'
import { attach, type Attached } from 'mixmint/attachment.ts'
import { sleep, systemRng } from 'mixmint/clock.ts'
import { readNetwork } from 'mixmint/config.ts'
import { freshIdentity } from 'mixmint/identity.ts'
import { Counters, createLog } from 'mixmint/observe.ts'
import { Participant } from 'mixmint/participant.ts'
import { openLmdb } from 'mixmint/store/lmdb.ts'
import { bad } from '../scenario/fields.ts'
import type { Layer } from './estimate.ts'
import { Prober, type Outcome, type ProberEvent } from './prober.ts'

export interface ProbeOptions {
  /** The network's folder, or any with its network.toml. */
  readonly net: string
  readonly count: number
  /** Probes a second of all gateways together; null: as many as wallets send echoes. */
  readonly rate: number | null
  /** Ends of the peer ids of a mix of each layer, of all layers; null: paths at random. */
  readonly path: readonly string[] | null
  /** Ends of the peer ids of gateways; empty: all, up to MOST_GATEWAYS. */
  readonly gateways: readonly string[]
}

/** With peer ids instead of numbers. */
interface Trip {
  /** From the first probe's time, s. */
  readonly sent_s: number
  readonly there: readonly string[]
  readonly back: readonly string[]
  /** Null: lost. */
  readonly took_s: number | null
}

export interface Probed {
  readonly network: string
  readonly epoch: number
  readonly parameters: Parameters
  /** Gateways, mixes of layer 1, 2, …, services; of the document with which it began. */
  readonly layers: readonly Layer[]
  readonly trips: readonly Trip[]
  /** Probes a second of each gateway. */
  readonly rate: number
  /** The document changed meanwhile: nodes may have come, gone, or moved. */
  readonly documents: number
}

const DIRECTORY_PATIENCE = 20_000
/** As wallets have it for echoes: what links and queues take beside mixing and cover. */
const SLACK = 2000
const MOST_GATEWAYS = 8
/** Of a wallet's packets, the part that may be probes: as many answers again come down, which the gateway paces. */
const MOST_PART = 0.5
/** Where no cover is prescribed, a second. */
const RATE_ALONE = 2

/** With fractions of a ms, and not set back. */
const preciseClock: Clock = { now: () => performance.timeOrigin + performance.now() }

/** @throws no-such-network, directory-unavailable (operator), no-gateway (operator, retry), bad-scenario (caller) */
export async function probe (options: ProbeOptions, onTrip: (ended: number) => void, stopped: Promise<void>): Promise<Probed> {
  const { net, count, path, gateways } = options
  const network = readNetwork(join(net, 'network.toml'))
  const suite = await defaultSuite()
  const dir = mkdtempSync(join(tmpdir(), 'mixmint-probe-'))
  const undo: Array<() => Promise<void>> = [() => Promise.resolve(rmSync(dir, { recursive: true, force: true }))]
  try {
    const store = await openLmdb(dir)
    undo.push(async () => { await store.close() })
    const counters = new Counters()
    const documents = new Set<number>()
    const participant = await Participant.start({
      suite, network, ports: { clock: preciseClock, rng: systemRng, store, wait: sleep }, log: createLog('probe', 'silent'), counters, identity: await freshIdentity(),
      onDocument: ({ epoch }) => { documents.add(epoch) }
    })
    undo.push(async () => { await participant.stop() })
    const view = await participant.ready(DIRECTORY_PATIENCE)
    const chosen = path === null ? null : mixesOf(view, path)
    const through = gateways.length === 0 ? view.gateways.slice(0, MOST_GATEWAYS) : gateways.map(end => named(view.gateways, end, 'gateway'))
    if (through.length === 0) throw new MixmintError('no-gateway', 'operator', 'the directory lists no gateway', { retry: true })
    const rate = rateOf(view.parameters, options.rate === null ? null : options.rate / through.length, through.length)
    const outcomes: Outcome[] = []
    const shares = through.map((_, i) => Math.floor((count + through.length - 1 - i) / through.length))
    const probers = await Promise.all(through.map(async (gateway, i) => await startProber(
      { suite, counters, view, known: () => participant.keeper.view(), gateway, chosen, rate, count: shares[i] },
      outcome => {
        outcomes.push(outcome)
        onTrip(outcomes.length)
      }
    )))
    undo.push(async () => { await Promise.all(probers.map(async prober => { await prober.stop() })) })
    await Promise.race([Promise.all(probers.map(async prober => { await prober.ended })), stopped])
    const first = Math.min(...outcomes.map(({ sent }) => sent))
    return {
      network: view.network, epoch: view.epoch, parameters: view.parameters, layers: layersOf(view), rate, documents: documents.size,
      trips: outcomes.toSorted((a, b) => a.sent - b.sent).map(({ sent, there, back, took }) => ({
        sent_s: (sent - first) / 1000, there: there.map(nameOf), back: back.map(nameOf), took_s: took === null ? null : took / 1000
      }))
    }
  } finally {
    for (const step of undo.reverse()) await step()
  }
}

interface Started { readonly ended: Promise<void>, readonly stop: () => Promise<void> }
interface ProberStart {
  readonly suite: Suite
  readonly counters: Counters
  readonly view: DirectoryView
  readonly known: () => DirectoryView | null
  readonly gateway: DirectoryNode
  readonly chosen: readonly DirectoryNode[] | null
  readonly rate: number
  readonly count: number
}

async function startProber ({ suite, counters, view, known, gateway, chosen, rate, count }: ProberStart, done: (outcome: Outcome) => void): Promise<Started> {
  let hear: (event: ProberEvent) => void = () => {}
  const attached: Attached = await attach({
    suite, clock: preciseClock, rng: systemRng, meter: counters, view, known, gateways: [gateway], alias: await freshIdentity(),
    onReply: (surbId, payload) => { hear({ is: 'reply', surbId, payload }) }
  })
  const { node, at } = attached
  const parameters = (): Parameters => (known() ?? view).parameters
  const timing = timingsOf(parameters, () => SLACK)
  const { promise: ended, resolve } = Promise.withResolvers<void>()
  const prober = new Prober({
    suite, meter: counters, parameters: () => ({ send: parameters().cover.send, packetSize: parameters().packetSize }), rate, count,
    paths: coverPaths(known, at), probePaths: pathsThrough(known, at, chosen),
    ready: () => node.isFree(at.gateway), homeWithin: () => timing().roundTrip,
    done: outcome => {
      done(outcome)
      if (prober.ended === count) resolve()
    }
  })
  const alarm = new Alarm(preciseClock, () => { hear({ is: 'timer' }) })
  hear = event => {
    for (const { probe, firstHop, packet } of prober.step(event, preciseClock.now(), systemRng)) {
      if (node.sendPacket(firstHop, packet) !== 'queued' && probe !== null) prober.step({ is: 'unsent', probe }, preciseClock.now(), systemRng)
    }
    alarm.set(prober.due)
  }
  if (count === 0) resolve()
  hear({ is: 'timer' })
  return {
    ended,
    stop: async () => {
      alarm.clear()
      hear = () => {}
      await attached.stop()
    }
  }
}

/** Probes of one gateway, a second. @throws bad-scenario (caller) */
function rateOf ({ cover: { send, echoes } }: Parameters, wanted: number | null, gateways: number): number {
  if (send === 0) return wanted ?? RATE_ALONE
  const most = MOST_PART * 1000 / send
  if (wanted !== null && wanted > most) throw bad('--rate', `at most ${most * gateways} probes a second: half of what ${gateways === 1 ? 'a wallet sends' : `${gateways} wallets send`} in this network`)
  return wanted ?? Math.min(most, Math.max(echoes, 1) / send)
}

/** The document with these mixes only: paths through it are the network's, and have no choice. */
function pathsThrough (known: () => DirectoryView | null, at: Attachment, chosen: readonly DirectoryNode[] | null): ReturnType<typeof coverPaths> {
  if (chosen === null) return coverPaths(known, at)
  const peers = new Set(chosen.map(({ peer }) => toHex(peer)))
  let [of, reduced]: [DirectoryView | null, DirectoryView | null] = [null, null]
  return coverPaths(() => {
    const view = known()
    if (view === of) return reduced
    of = view
    reduced = view === null ? null : reduce(view, peers)
    return reduced
  }, at)
}

function reduce ({ signed }: DirectoryView, mixes: ReadonlySet<string>): DirectoryView {
  const nodes = signed.document.nodes.filter(({ signed: { descriptor } }) => descriptor.role !== 'mix' || mixes.has(toHex(descriptor.peer)))
  return new DirectoryView({ ...signed, document: { ...signed.document, nodes } })
}

function mixesOf (view: DirectoryView, path: readonly string[]): DirectoryNode[] {
  const layers = view.parameters.pathLength - 2
  if (path.length !== layers) throw bad('--path', `${layers} mixes wanted, one of each layer`)
  return path.map((end, i) => named(view.layer(i + 1), end, `mix of layer ${i + 1}`))
}

/** All peer ids begin alike. */
function named (nodes: readonly DirectoryNode[], end: string, what: string): DirectoryNode {
  const found = nodes.filter(({ peer }) => peerIdFromBytes(peer).toString().endsWith(end))
  if (found.length !== 1) throw bad(end, `the end of the peer id of one ${what} wanted: ${nodes.map(({ peer }) => `…${peerIdFromBytes(peer).toString().slice(-6)}`).join(', ')}`)
  return found[0]
}

function layersOf (view: DirectoryView): Layer[] {
  const of = (layer: number, name: string, fits: (node: DirectoryNode) => boolean = () => true): Layer =>
    ({ name, nodes: view.layer(layer).filter(fits).map(({ peer }) => peerIdFromBytes(peer).toString()) })
  return [
    of(0, 'gateways'), ...Array.from({ length: view.parameters.pathLength - 2 }, (_, i) => of(i + 1, `layer ${i + 1}`)),
    of(SERVICE_LAYER, 'services', ({ mixKeys }) => mixKeys.length > 0)
  ]
}

function nameOf (link: LinkId): string {
  return peerIdOfLink(link).toString()
}
