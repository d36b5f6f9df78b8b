/** What `mixmint ring` shows: rings of the directory or of a file, where a coin is kept, how evenly, and a center's own part. */
import { join } from 'node:path'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { coinId } from '@mixmint/core/cash/coin'
import { retire } from '@mixmint/core/cash/center-proof'
import { CenterListing, type Coin } from '@mixmint/core/cash/formats'
import { stateOf } from '@mixmint/core/cash/keyset'
import { RingMap } from '@mixmint/core/cash/ring'
import { decode } from '@mixmint/core/kit/codec'
import { peerBytes } from '@mixmint/mixnet/wire/peers'
import { armor, unarmor } from './armor.ts'
import { systemClock } from './clock.ts'
import { withDirectory } from './directory-show.ts'
import { loadOrCreateIdentity } from './identity.ts'
import { centerId } from './layout.ts'
import { readRing } from './ring-file.ts'
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

/** What a center's operator hands to the bank's for its ring file; the keys are made when there are none. */
export async function ringEntry (dir: string, weight: number, newKey: boolean): Promise<RingEntry> {
  const suite = await defaultSuite()
  const passphrase = passphraseOfEnvironment()
  const id = centerId(suite, peerBytes(peerIdFromPrivateKey(loadOrCreateIdentity(join(dir, 'identity.key'), passphrase))))
  const { publicKey } = newKey ? renewVoteKey(suite, dir, passphrase) : voteKeys(suite, dir, passphrase)[0]
  return { id: toHex(id), voteKey: toHex(publicKey), weight }
}

/** The center's word that one of its vote keys is not to be counted any more. @throws no-vote-key (operator) */
export async function ringRetire (dir: string, network: string, voteKey: string): Promise<string> {
  const suite = await defaultSuite()
  return armor('retirement', retire(suite, network, voteKeyOf(suite, dir, voteKey, passphraseOfEnvironment())))
}
