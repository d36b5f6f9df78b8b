/**
 * When the bank was down. Every date after which its word takes something from somebody is put off by that (DESIGN §5.6): a
 * payee has all of its grace, and an owner all of the time for a refund, with a bank that is at work.
 */
import { concat, u64 } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import type { Millis, Op } from '../../kit/ports.ts'
import { batch, eachEntry, get, type Saga } from '../../kit/saga.ts'
import type { Keyset } from '../formats.ts'
import { stored } from '../stored.ts'
import { ALIVE, OUTAGES } from './keys.ts'
import type { Bank } from './parts.ts'
import { Alive, Outage } from './records.ts'

/** How often a bank that is at work says so. */
export const BEAT: Millis = 10_000
/** After more than this without a beat it was down: time enough for one beat that comes late. */
const SILENCE: Millis = 3 * BEAT

/** "I am at work". Before the first request after a start, and then every BEAT. */
export function * beat (bank: Bank): Saga<void> {
  const time = yield * bank.clock.now()
  const was = yield * get(ALIVE)
  const before = was === null ? time : stored(Alive, was).time
  const ops: Op[] = [{ op: 'swap', key: ALIVE, was, value: encode(Alive, { time }) }]
  if (time - before > SILENCE) ops.push({ op: 'insert', key: concat(OUTAGES, u64(time)), value: encode(Outage, { from: before }) })
  // Of several processes on one store, one that beats at the same moment has said it for this one.
  yield * batch(ops)
}

/** The date `until`, put off by what the bank was down for since `from` until now. */
export function * putOff (bank: Bank, from: Millis, until: Millis, now: Millis): Saga<Millis> {
  if (now < until) return until
  const alive = yield * get(ALIVE)
  // A request may be answered after a standstill before the next beat is. If that beat comes first, it has written the same outage.
  if (alive !== null && now - stored(Alive, alive).time > SILENCE) yield * beat(bank)
  let end = until
  // In the order of their ends; none overlaps another.
  yield * eachEntry(OUTAGES, ({ key, value }) => {
    const down = stored(Outage, value).from
    const up = Number(new DataView(key.buffer, key.byteOffset + OUTAGES.length).getBigUint64(0))
    if (down >= end) return 'enough'
    end += up - Math.max(down, from)
  }, { after: concat(OUTAGES, u64(from)), page: 64 })
  return end
}

/** Until when certificates for coins of a keyset count. */
export function * redeemEnd (bank: Bank, { spendUntil, redeemUntil }: Keyset, now: Millis): Saga<Millis> {
  return yield * putOff(bank, spendUntil, redeemUntil, now)
}

/** Until when its coins are refunded without one. */
export function * refundEnd (bank: Bank, { spendUntil, refundUntil }: Keyset, now: Millis): Saga<Millis> {
  return yield * putOff(bank, spendUntil, refundUntil, now)
}
