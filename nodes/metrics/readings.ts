/** Readings: what a role tells at one moment, under the names of figure-table.ts. Each role puts its own together. */
import { equal, toHex } from '@mixmint/core/kit/bytes'
import { decode } from '@mixmint/core/kit/codec'
import type { Log, Millis } from '@mixmint/core/kit/ports'
import { asMixmintError } from '@mixmint/core/kit/saga'
import { CenterListing } from '@mixmint/core/cash/formats'
import { stateOf } from '@mixmint/core/cash/keyset'
import type { KnownKeyset } from '@mixmint/core/cash/known-keyset'
import type { RingMap } from '@mixmint/core/cash/ring'
import { DELAY_BOUNDS, QUEUE_BOUNDS, type BucketFigures } from '@mixmint/mixnet/mixing/buckets'
import { ALL } from '@mixmint/mixnet/cover/loss'
import type { DirectoryView } from '@mixmint/mixnet/directory/view'
import type { Mixer } from '../mixer.ts'
import type { Participant } from '../participant.ts'
import type { FigureName } from './figure-table.ts'
import type { Labels } from './labels.ts'

export type Reading = readonly [name: FigureName, value: number, labels?: Labels]

/** Cumulated as Prometheus has it, in its units; `count` is the last of them. */
export interface HistogramReading { readonly buckets: ReadonlyArray<{ readonly le: number, readonly count: number }>, readonly sum: number, readonly count: number }

/** What a role tells: figures, and where packets are mixed, how long they stayed (ms) and how many waited when one came. */
export interface Told {
  readonly readings: readonly Reading[]
  readonly delays?: BucketFigures | undefined
  readonly queues?: BucketFigures | undefined
}

/** `scale`: bounds and values as they are told, over those that are counted. */
export const HISTOGRAMS = {
  delays: { name: 'mix_delay_seconds', help: 'How long packets that went on had been in this mix.', bounds: DELAY_BOUNDS, scale: 1 / 1000 },
  queues: { name: 'mix_queue_found_packets', help: 'How many packets waited here whenever one came that was to go on.', bounds: QUEUE_BOUNDS, scale: 1 }
} as const
export type HistogramName = keyof typeof HISTOGRAMS

/** What moves with what people do is told in steps of so many. */
export const COARSE = 16

export function coarse (value: number): number {
  return Math.floor(value / COARSE) * COARSE
}

/**
 * In steps, too: each bucket, and of the sum that part which the told count is of the true one, as of when that stepped.
 * @param before what was told last
 */
export function histogramOf (of: HistogramName, { counts, sum }: BucketFigures, before: HistogramReading | null = null): HistogramReading {
  const { bounds, scale } = HISTOGRAMS[of]
  let total = 0
  const buckets = [...bounds, Infinity].map((bound, i) => {
    total += counts[i]
    return { le: bound * scale, count: coarse(total) }
  })
  const count = coarse(total)
  const part = total === 0 ? 0 : sum * scale * count / total
  return { buckets, count, sum: before === null ? part : before.count === count ? before.sum : Math.max(before.sum, part) }
}

/** What a part of a role tells, or nothing where it cannot: the rest is told all the same. */
export async function orNothing (readings: Promise<Reading[]>, log: Log): Promise<Reading[]> {
  try {
    return await readings
  } catch (error) {
    log.warn('some figures cannot be told', { code: asMixmintError(error).code })
    return []
  }
}

export function participantReadings (participant: Participant): Reading[] {
  const view = participant.keeper.view()
  return [
    ['directory_epoch', view?.epoch ?? -1],
    ['clock_offset_seconds', participant.keeper.clockAhead / 1000],
    ...(view === null ? [] : [['directory_document_end_timestamp_seconds', view.signed.document.validUntil / 1000] as const]),
    ...Object.entries(kindsOf(view)).map(([kind, count]): Reading => ['directory_nodes', count, { kind }])
  ]
}

function kindsOf (view: DirectoryView | null): Record<string, number> {
  const kinds: Record<string, number> = { gateway: 0, mix: 0, bank: 0, center: 0, merchant: 0, service: 0 }
  for (const { role, kind } of view?.nodes ?? []) {
    const name = role !== 'service' ? role : ['bank', 'center', 'merchant'].includes(kind) ? kind : 'service'
    kinds[name] += 1
  }
  return kinds
}

/** What is missing for a node's work; empty: nothing. */
export function missingOf (participant: Participant, isListed: boolean): string[] {
  const view = participant.keeper.view()
  if (view === null) return ['no-directory']
  return isListed && view.byPeer(participant.host.peer) === undefined ? ['not-listed'] : []
}

export function mixerTold (mixer: Mixer): Told {
  const figures = mixer.figures()
  const loops = mixer.loops()
  if (figures === null || loops === null) return { readings: [] }
  const { mix, links, wallets, seen, delays, queues, queueLimit } = figures
  const dropped = (name: FigureName, reasons: Readonly<Partial<Record<string, number>>>): Reading[] =>
    Object.entries(reasons).map(([reason, count = 0]): Reading => [name, count, { reason }])
  return {
    delays,
    queues,
    readings: [
      ['mix_packets_received_total', mix.received], ['mix_packets_forwarded_total', mix.forwarded], ['mix_packets_delivered_total', mix.delivered],
      ...dropped('mix_packets_dropped_total', { 'queue-full': 0, ...mix.dropped }),
      ['mix_queue_packets', mix.queued], ['mix_queue_limit_packets', queueLimit],
      ['mix_seen_tags', seen.fullest], ['mix_seen_tags_limit', seen.limit], ['mix_keys', seen.keys],
      ['link_packets_received_total', links.received], ...Object.entries(links.sentTo).map(([to, count]): Reading => ['link_packets_sent_total', count, { to }]), ['link_neighbours', links.up],
      ...dropped('link_packets_dropped_total', links.dropped), ['link_queue_packets', links.queued],
      ...(wallets === null
        ? []
        : [
            ['gateway_wallets', wallets.attached, { state: 'attached' }], ['gateway_wallets', wallets.away, { state: 'away' }],
            ['gateway_packets_received_total', wallets.received], ['gateway_packets_sent_total', wallets.sent],
            ...dropped('gateway_packets_dropped_total', wallets.dropped), ['gateway_queue_packets', wallets.queued]
          ] satisfies Reading[]),
      ['loops_sent_total', loops.sent], ['loops_returned_total', loops.returned], ['loops_lost_total', loops.lost],
      ['loop_delay_seconds', loops.delay.mean / 1000, { of: 'mean' }], ['loop_delay_seconds', loops.delay.longest / 1000, { of: 'longest' }],
      ['loop_alarms_active', loops.alarms.filter(about => about !== ALL).length, { about: 'node' }],
      ['loop_alarms_active', loops.alarms.includes(ALL) ? 1 : 0, { about: 'all' }]
    ]
  }
}

/** A key or an id as metrics and alerts name it; the directory has it whole. */
function short (id: Uint8Array): string {
  return toHex(id).slice(0, 16)
}

/** A keyset, and the bank whose it is. */
function nameOf ({ id, keyset: { bank } }: KnownKeyset): { readonly keyset: string, readonly bank: string } {
  return { keyset: short(id), bank: short(bank) }
}

/** The dates of keysets that have not ended. */
export function keysetReadings (keysets: readonly KnownKeyset[], now: Millis): Reading[] {
  return keysets.filter(({ keyset }) => stateOf(keyset, now) !== 'ended').flatMap((known): Reading[] => {
    const { issueFrom, issueUntil, spendUntil, redeemUntil, refundUntil } = known.keyset
    const ends = { issue: issueUntil, spend: spendUntil, redeem: redeemUntil, refund: refundUntil }
    return [
      ['keyset_start_timestamp_seconds', issueFrom / 1000, nameOf(known)],
      ...Object.entries(ends).map(([stage, end]): Reading => ['keyset_end_timestamp_seconds', end / 1000, { ...nameOf(known), stage }])
    ]
  })
}

/** Whose coins can be spent. */
function spendable (keysets: readonly KnownKeyset[], now: Millis): KnownKeyset[] {
  return keysets.filter(({ keyset }) => ['issuing', 'spendable'].includes(stateOf(keyset, now)))
}

/** Do enough centers of the rings stand in the directory? */
export function ringReadings (view: DirectoryView | null, keysets: readonly KnownKeyset[], now: Millis): Reading[] {
  const listed = new Set(view?.services('center').map(({ body }) => toHex(decode(CenterListing, body).center)))
  return spendable(keysets, now).flatMap((known): Reading[] => {
    const { centers, replicas, quorum } = known.ring.ring
    const labels = nameOf(known)
    return [
      ['ring_centers', centers.length, labels], ['ring_centers_listed', centers.filter(({ id }) => listed.has(toHex(id))).length, labels],
      ['ring_faults_tolerated', replicas - quorum, labels]
    ]
  })
}

/** Is a center in a ring, and under a vote key that it has? */
type Member = 'yes' | 'other-key' | 'no'

/** @param voteKeys that the center holds, in hexadecimal */
export function centerReadings (center: Uint8Array, voteKeys: readonly string[], keysets: readonly KnownKeyset[], now: Millis): Reading[] {
  const members: Record<string, Record<Member, number>> = {}
  for (const { keyset, ring } of spendable(keysets, now)) {
    const of = members[short(keyset.bank)] ??= { yes: 0, 'other-key': 0, no: 0 }
    const entry = ring.center(center)
    of[entry === undefined ? 'no' : voteKeys.includes(toHex(entry.voteKey)) ? 'yes' : 'other-key'] += 1
  }
  return [
    ['center_vote_keys', voteKeys.length],
    ...Object.entries(members).flatMap(([bank, counts]) => Object.entries(counts).map(([member, count]): Reading => ['center_keysets', count, { bank, member }])),
    ...spendable(keysets, now).map((known): Reading => ['center_ring_share', shareOf(known.ring, center), nameOf(known)])
  ]
}

/** What is at risk is told in steps of the limit that move with no single small payment. @param limit 0: nothing may be */
export function trustReadings (atRisk: number, limit: number): Reading[] {
  const step = Math.max(1, Math.ceil(limit / COARSE))
  return [['merchant_at_risk_units', Math.floor(atRisk / step) * step], ['merchant_trust_limit_units', limit]]
}

/** Of rings that were looked at: to add up a large one takes a moment. */
const SHARES = new WeakMap<RingMap, readonly number[]>()

/** The part of all coins that a center keeps; 0: it is not in the ring. */
function shareOf (ring: RingMap, center: Uint8Array): number {
  const shares = SHARES.get(ring) ?? ring.shares()
  SHARES.set(ring, shares)
  return shares[ring.ring.centers.findIndex(({ id }) => equal(id, center))] ?? 0
}
