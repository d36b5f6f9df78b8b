/** What `mixmint ring` shows: rings of the directory or of a file, where a coin is kept, how evenly, and a center's own part. */
import { join } from 'node:path'
import { toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { coinId } from '@mixmint/core/cash/coin'
import { retire } from '@mixmint/core/cash/center-proof'
import { CenterListing, type Coin, type Ring } from '@mixmint/core/cash/formats'
import { stateOf } from '@mixmint/core/cash/keyset'
import { RingMap } from '@mixmint/core/cash/ring'
import { decode } from '@mixmint/core/kit/codec'
import { armor, unarmor } from './armor.ts'
import { systemClock } from './clock.ts'
import { readSources } from './config-sources.ts'
import { named } from './settings.ts'
import { withDirectory } from './directory-show.ts'
import { centerId, readKeys } from './node-folder.ts'
import { parseRing, readRing, ringText } from './ring-file.ts'
import { passphraseOfEnvironment } from './passphrase-source.ts'
import { renewVoteKey, voteKeyOf, voteKeys } from './vote-keys.ts'

interface ShownCenter {
  readonly id: string
  readonly voteKey: string
  readonly weight: number
  /** In the directory now; null for a ring of a file. */
  readonly listed: boolean | null
  readonly revoked: boolean
}

interface ShownRing {
  readonly id: string
  readonly replicas: number
  readonly faults: number
  readonly quorum: number
  readonly virtualNodesPerWeight: number
  /** Whose coins it judges. */
  readonly keysets: ReadonlyArray<{ readonly id: string, readonly unit: string, readonly state: string, readonly refundUntil: string }>
  readonly centers: readonly ShownCenter[]
}

interface Source { readonly net: string, readonly file?: string }

interface Known { readonly map: RingMap, readonly shown: ShownRing }

/** @throws bad-ring-file (operator), bad-ring (peer), directory-unavailable */
async function ringsOf ({ net, file }: Source): Promise<Known[]> {
  if (file !== undefined) {
    const map = new RingMap(await defaultSuite(), readRing(file))
    return [{ map, shown: show(map, [], null, () => false) }]
  }
  return await withDirectory(net, ({ participant, view }) => {
    const now = systemClock.now()
    const registry = participant.registry()
    const listed = new Set(view.services('center').map(({ body }) => toHex(decode(CenterListing, body).center)))
    const rings = new Map(registry.keysets().map(({ ring }) => [toHex(ring.id), ring]))
    return [...rings.values()].map(map => {
      const keysets = registry.keysets().filter(({ ring }) => toHex(ring.id) === toHex(map.id)).map(({ id, keyset }) =>
        ({ id: toHex(id), unit: keyset.unit, state: stateOf(keyset, now), refundUntil: new Date(keyset.refundUntil).toISOString() }))
      return { map, shown: show(map, keysets, listed, key => registry.isRevoked(key, now)) }
    })
  })
}

function show (map: RingMap, keysets: ShownRing['keysets'], listed: ReadonlySet<string> | null, isRevoked: (voteKey: Uint8Array) => boolean): ShownRing {
  const { centers, replicas, faults, quorum, virtualNodesPerWeight } = map.ring
  return {
    id: toHex(map.id), replicas, faults, quorum, virtualNodesPerWeight, keysets,
    centers: centers.map(({ id, voteKey, weight }) => ({
      id: toHex(id), voteKey: toHex(voteKey), weight, listed: listed?.has(toHex(id)) ?? null, revoked: isRevoked(voteKey)
    }))
  }
}

export async function showRings (source: Source): Promise<ShownRing[]> {
  return (await ringsOf(source)).map(({ shown }) => shown)
}

interface ShownShare { readonly id: string, readonly weight: number, readonly share: number, readonly ofEven: number }

/** Of each ring, the part of all coins that each center keeps, and how that compares with its weight. */
export async function ringBalance (source: Source): Promise<Array<{ readonly ring: string, readonly least: number, readonly most: number, readonly centers: readonly ShownShare[] }>> {
  return (await ringsOf(source)).map(({ map }) => {
    const { centers, replicas } = map.ring
    const weights = centers.reduce((sum, { weight }) => sum + weight, 0)
    const shares = map.shares().map((share, i) => {
      const { id, weight } = centers[i]
      return { id: toHex(id), weight, share, ofEven: share / (replicas * weight / weights) }
    })
    const ratios = shares.map(({ ofEven }) => ofEven)
    return { ring: toHex(map.id), least: Math.min(...ratios), most: Math.max(...ratios), centers: shares }
  })
}

interface Located { readonly coin: string, readonly ring: string, readonly keepers: readonly string[] }

/**
 * Who keeps the coins of a text: an offer of coins, or a proof of a double spend.
 * @throws bad-text, wrong-kind (caller); unknown-keyset (peer) when no listed ring judges one
 */
export async function locateText (net: string, text: string): Promise<Located[]> {
  const given = unarmor(text)
  const coins = given.kind === 'coins' ? given.value.inputs.map(({ spend }) => spend.coin) : given.kind === 'proof' ? [given.value.proof.first.coin] : null
  if (coins === null) throw new MixmintError('wrong-kind', 'caller', `this is a mixmint ${given.kind}, but coins, or a proof about one, are wanted`)
  return await withDirectory(net, ({ suite, participant }) => coins.map((coin: Coin) =>
    locate(participant.registry().keyset(coin.keyset).ring, coinId(suite, coin), coin.signature)))
}

/** In a ring of a file, or in each of the directory's. @param coin its coinId @param signature the bank's on it */
export async function locateCoin (source: Source, coin: Uint8Array, signature: Uint8Array): Promise<Located[]> {
  return (await ringsOf(source)).map(({ map }) => locate(map, coin, signature))
}

function locate (map: RingMap, coin: Uint8Array, signature: Uint8Array): Located {
  return { coin: toHex(coin), ring: toHex(map.id), keepers: map.keepers(coin, signature).map(({ id }) => toHex(id)) }
}

interface RingEntry { readonly id: string, readonly voteKey: string, readonly weight: number }

/** What a center's operator hands to the bank's for its ring file. @throws no-such-node, wrong-role (operator) */
export async function ringEntryOf (dir: string, weight: number, newKey: boolean): Promise<RingEntry> {
  const { role } = readSources(join(dir, 'config.toml'))
  if (role !== 'center') throw new MixmintError('wrong-role', 'operator', `${dir} holds ${named(role)}, and only centers stand in rings`)
  const suite = await defaultSuite()
  const passphrase = passphraseOfEnvironment()
  const { peer } = readKeys(suite, dir, role, passphrase)
  const { publicKey } = newKey ? renewVoteKey(suite, dir, passphrase) : voteKeys(suite, dir, passphrase)[0]
  return { id: toHex(centerId(suite, peer)), voteKey: toHex(publicKey), weight }
}

/**
 * A ring of the entries that centers' operators handed over, one a line.
 * @throws bad-ring-file (operator), bad-ring (peer) when n, f and q do not go together or fewer centers are there than keepers
 */
export async function ringOfEntries (texts: ReadonlyArray<{ readonly where: string, readonly text: string }>, terms: Pick<Ring, 'replicas' | 'faults' | 'quorum' | 'virtualNodesPerWeight'>): Promise<string> {
  const entries = texts.flatMap(({ where, text }) => text.split('\n').filter(line => line.trim() !== '').map(line => {
    try {
      return JSON.parse(line) as RingEntry
    } catch (cause) {
      throw new MixmintError('bad-ring-file', 'operator', `${where}: lines of \`mixmint ring entry\` are wanted`, { cause })
    }
  }))
  const ring = parseRing(JSON.stringify({ centers: entries, ...terms }), texts.map(({ where }) => where).join(', '))
  // Sees to what a ring has to keep to.
  new RingMap(await defaultSuite(), ring)
  return ringText(ring)
}

/** The center's word that one of its vote keys is not to be counted any more. @throws no-vote-key (operator) */
export async function ringRetire (dir: string, network: string, voteKey: string): Promise<string> {
  const suite = await defaultSuite()
  return armor('retirement', retire(suite, network, voteKeyOf(suite, dir, voteKey, passphraseOfEnvironment())))
}
