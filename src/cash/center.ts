/**
 * The engine of a center: keeps the first spend of each of its coins, and votes for it (DESIGN §5).
 *
 * Store: `spend` ‖ coinId → the first spend of that coin; `closed` ‖ keyset id → 1, once no new spend of that keyset
 * is taken any more; `center-loss` → CenterLoss, if data was ever lost; and the steady clock's time.
 *
 * A center whose store is one of before does not know which coins it voted for since. It never votes for another coin under a key
 * that it may have voted with then: what it still knows it repeats, and for the rest it is one of the faulty until its rings have ended.
 */
import { concat, equal, fromHex, toHex, utf8 } from '../kit/bytes.ts'
import { bytes, encode, list, record, uint } from '../kit/codec.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Meter, Millis } from '../kit/ports.ts'
import { batch, get, type Saga } from '../kit/saga.ts'
import type { Ed25519KeyPair, Suite } from '../crypto/suite.ts'
import { coinId } from './coin.ts'
import { Spend } from './formats.ts'
import { raiseLoss } from './loss.ts'
import type { CenterReply, CenterRequest } from './messages.ts'
import { refusal } from './refusal.ts'
import type { KnownKeyset } from './known-keyset.ts'
import type { Registry } from './registry.ts'
import { signVote, verifySpend } from './spend.ts'
import { verifyLook } from './recorded.ts'
import { SteadyClock } from './steady-clock.ts'
import { stored } from './stored.ts'

const SPEND = utf8('spend')
const CLOSED = utf8('closed')
const LOSS = utf8('center-loss')
const YES = Uint8Array.of(1)
/** Data of before `time` may be missing; these vote keys, in no order, stood in rings when that was said. */
const CenterLoss = record({ time: uint(), keys: list(bytes(32), 64) })

export interface CenterOptions {
  readonly suite: Suite
  /** This center's id on the rings. */
  readonly id: Uint8Array
  /** Those of the rings that it serves: an old ring keeps the key it was made with until its coins end. */
  readonly voteKeys: readonly Ed25519KeyPair[]
  /** What the directory says now. */
  readonly registry: () => Registry
  readonly meter: Meter
}

/** One engine for each store; it remembers nothing that the store does not hold. */
export class CenterEngine {
  readonly #suite: Suite
  readonly #id: Uint8Array
  readonly #voteKeys: readonly Ed25519KeyPair[]
  readonly #registry: () => Registry
  readonly #meter: Meter
  readonly #clock: SteadyClock
  /** Keysets whose mark was looked up, in hex, and whether it stood. A mark never goes away. */
  readonly #closed = new Map<string, boolean>()
  /** Vote keys that vote for no further coin, in hex; null before it was looked up. */
  #silent: ReadonlySet<string> | null = null

  constructor ({ suite, id, voteKeys, registry, meter }: CenterOptions) {
    this.#suite = suite
    this.#id = id
    this.#voteKeys = voteKeys
    this.#registry = registry
    this.#meter = meter
    this.#clock = new SteadyClock(meter)
  }

  /**
   * Answer a request; never throws. Counts `center_spend` by outcome: `vote`, `conflict` or the code of the refusal:
   * unknown-keyset, unknown-denomination, bad-coin, bad-spend (the spend does not verify); not-a-keeper (another center
   * keeps this coin); keyset-closed (spendUntil has passed and the coin was not spent before), keyset-ended
   * (redeemUntil has passed); center-forgot, ring-vote-key (operator), and the codes of the store. Likewise `center_look`: recorded, bad-coin-signature.
   */
  * handle (request: CenterRequest): Saga<CenterReply> {
    let reply: CenterReply
    try {
      reply = yield * (request.op === 'spend' ? this.#spend(request.spend) : this.#look(request))
    } catch (error) {
      reply = refusal(error)
    }
    this.#meter.count(`center_${request.op}`, { outcome: reply.is === 'refused' ? reply.code : reply.is })
    return reply
  }

  /**
   * For the operator: the store is one of before, data of before `time` may be missing. Durable, and only rises. Vote keys that stand in
   * no ring yet, those that it made for rings to come, cannot have voted.
   * @throws bad-argument (caller), when that time has not come yet
   */
  * declareLoss (time: Millis): Saga<void> {
    yield * raiseLoss(LOSS, CenterLoss, time, before => {
      const inRings = new Set(this.#registry().keysets().flatMap(({ ring }) => ring.ring.centers.map(({ voteKey }) => toHex(voteKey))))
      const used = this.#voteKeys.map(({ publicKey }) => toHex(publicKey)).filter(key => inRings.has(key))
      // Those of an earlier loss, too, whether or not the folder holds them still.
      return { time, keys: [...new Set([...before?.keys.map(toHex) ?? [], ...used])].map(fromHex) }
    })
    this.#silent = null
  }

  /** The vote keys that vote for no further coin, in hexadecimal. */
  * silent (): Saga<ReadonlySet<string>> {
    if (this.#silent !== null) return this.#silent
    const value = yield * get(LOSS)
    return (this.#silent = new Set((value === null ? [] : stored(CenterLoss, value).keys).map(toHex)))
  }

  /** The latest time that the store was seen to know: one that knows less is an older one. */
  get seen (): Millis {
    return this.#clock.seen
  }

  /** For a coin of which the store holds nothing. @throws center-forgot (operator) */
  * #mustRemember ({ publicKey }: Ed25519KeyPair): Saga<void> {
    if ((yield * this.silent()).has(toHex(publicKey))) {
      throw new MixmintError('center-forgot', 'operator', 'this center has lost data, and may have voted for this coin: it votes for no further one under this key; ask the others')
    }
  }

  /** Cheap checks come first: whoever floods a center with junk is to cost it hashes, not signatures. */
  * #spend (spend: Spend): Saga<CenterReply> {
    const known = this.#registry().keyset(spend.coin.keyset)
    known.keyFor(spend.coin.value)
    const coin = coinId(this.#suite, spend.coin)
    const voteKey = this.#voteKeyFor(known, coin, spend.coin.signature)
    const now = yield * this.#clock.now()
    if (now >= known.keyset.redeemUntil) throw new MixmintError('keyset-ended', 'peer', 'the keyset of this coin has ended; its bank may still refund it')

    const key = concat(SPEND, coin)
    const value = encode(Spend, spend)
    const before = yield * get(key)
    if (before !== null) {
      // Byte for byte what was verified when it was stored: the vote for it is given already, and repeated for nothing.
      if (!equal(before, value)) verifySpend(this.#suite, known, spend)
      return this.#answer(known, coin, spend, value, before, voteKey)
    }
    yield * this.#mustRemember(voteKey)
    if (yield * this.#isClosed(known, now)) throw new MixmintError('keyset-closed', 'peer', 'coins of this keyset can no longer be spent')
    verifySpend(this.#suite, known, spend)
    const result = yield * batch([{ op: 'insert', key, value }])
    return this.#answer(known, coin, spend, value, result.done ? value : result.found, voteKey)
  }

  /** The coin's first spend is durable: a vote for it, or it as one half of the proof against another. */
  #answer (known: KnownKeyset, coin: Uint8Array, spend: Spend, value: Uint8Array, found: Uint8Array | null, voteKey: Ed25519KeyPair): CenterReply {
    if (found === null) throw new MixmintError('internal', 'us', 'the store refused to insert a key that it does not hold')
    if (!equal(found, value)) {
      const first = stored(Spend, found)
      if (!equal(first.d, spend.d)) return { is: 'conflict', first }
    }
    return { is: 'vote', vote: signVote(this.#suite, voteKey, this.#id, known.ring.id, coin, spend.d) }
  }

  /** Which spend is recorded, at any time: to the coin's owner, who comes back without knowing it. */
  * #look ({ coin, signature }: CenterRequest & { op: 'look' }): Saga<CenterReply> {
    const known = this.#registry().keyset(coin.keyset)
    const id = coinId(this.#suite, coin)
    const voteKey = this.#voteKeyFor(known, id, coin.signature)
    verifyLook(this.#suite, known, coin, signature)
    const value = yield * get(concat(SPEND, id))
    if (value === null) yield * this.#mustRemember(voteKey)
    return { is: 'recorded', spend: value === null ? null : stored(Spend, value) }
  }

  /** @throws not-a-keeper (peer), ring-vote-key (operator) */
  #voteKeyFor (known: KnownKeyset, coin: Uint8Array, signature: Uint8Array): Ed25519KeyPair {
    const here = known.ring.keepers(coin, signature).find(keeper => equal(keeper.id, this.#id))
    if (here === undefined) throw new MixmintError('not-a-keeper', 'peer', 'this center does not keep this coin; ask its keepers on the ring')
    const voteKey = this.#voteKeys.find(({ publicKey }) => equal(publicKey, here.voteKey))
    if (voteKey !== undefined) return voteKey
    throw new MixmintError('ring-vote-key', 'operator', 'the ring lists another vote key for this center: restore the key that the bank was told')
  }

  /** Has the keyset been closed? Closes it, durably, at the first look after spendUntil. */
  * #isClosed (known: KnownKeyset, now: Millis): Saga<boolean> {
    const name = toHex(known.id)
    const key = concat(CLOSED, known.id)
    let closed = this.#closed.get(name) ?? (yield * get(key)) !== null
    if (!closed && now >= known.keyset.spendUntil) {
      yield * batch([{ op: 'put', key, value: YES }])
      closed = true
    }
    // Another request may have closed it between the look-up and here.
    if (this.#closed.get(name) !== true) this.#closed.set(name, closed)
    return closed
  }
}
