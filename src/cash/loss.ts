/**
 * Data of before some time may be missing from a store: it was restored from a copy, or a standby took over that had not heard of the last
 * movements. Who keeps the store says so once; that stays in it for good, and only rises, whatever its settings say later.
 */
import { utf8 } from '../kit/bytes.ts'
import { encode, record, uint, type Codec } from '../kit/codec.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Millis } from '../kit/ports.ts'
import { batch, get, now, type Saga } from '../kit/saga.ts'
import { knownTime } from './steady-clock.ts'
import { stored } from './stored.ts'

const Loss = record({ time: uint() })
const LOSS = utf8('loss')

/** When data was last lost; 0: never. */
export function * lossTime (): Saga<Millis> {
  const value = yield * get(LOSS)
  return value === null ? 0 : stored(Loss, value).time
}

/** Data of before `time` may be missing; durable when it returns. @throws bad-argument (caller), when that has not come yet */
export function * declareLoss (time: Millis): Saga<void> {
  yield * raiseLoss(LOSS, Loss, time, () => ({ time }))
}

/**
 * A loss stands as it is, unless the new one is later: then `next` makes what stands from now on.
 * @throws bad-argument (caller), when that time has not come yet
 */
export function * raiseLoss<L extends { readonly time: Millis }> (key: Uint8Array, codec: Codec<L>, time: Millis, next: (before: L | null) => L): Saga<void> {
  yield * mustHaveCome(time)
  for (;;) {
    const was = yield * get(key)
    const before = was === null ? null : stored(codec, was)
    if (before !== null && before.time >= time) return
    if ((yield * batch([{ op: 'swap', key, was, value: encode(codec, next(before)) }])).done) return
  }
}

/**
 * Tells no time by the steady clock, which would write it down: until the loss is written, the store is to know no more than it did.
 * @throws bad-argument (caller)
 */
function * mustHaveCome (time: Millis): Saga<void> {
  if (time > Math.max(yield * now(), yield * knownTime())) throw new MixmintError('bad-argument', 'caller', 'the loss of data lies in the future: check the date and the clock')
}
