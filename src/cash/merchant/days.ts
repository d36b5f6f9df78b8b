/** What was sold from one time to another, in the order in which it was paid; and forgetting what nobody paid. */
import type { Millis, Op } from '../../kit/ports.ts'
import { batch, eachEntry, get, scanAll, type Saga } from '../../kit/saga.ts'
import { DAY } from '../keyset.ts'
import { ENDS, endsAt, invoiceAt, numberIn, openAt, orderedAt, SOLD, soldAt, votesAt } from './keys.ts'
import { lineOf, type OrderLine } from './orders.ts'
import type { Merchant } from './parts.ts'

/** Every order that was paid at or after `from`, and before `until`; reads those, and no others. */
export function * sold (from: Millis, until: Millis): Saga<OrderLine[]> {
  const lines: OrderLine[] = []
  yield * eachEntry(SOLD, function * ({ key }) {
    if (numberIn(key, SOLD) >= until) return 'enough'
    lines.push(yield * lineOf(key.slice(soldAt(0).length)))
    // An entry of that very time comes after the key that has its time alone.
  }, { after: soldAt(from) })
  return lines
}

/**
 * Forget orders that were not paid in time: once no contract for them can be settled any more, by a day. Orders that were paid
 * stay. @returns how many were forgotten
 */
export function * prune (merchant: Merchant): Saga<number> {
  const { voidGrace, clockSkew } = merchant.registry().parameters
  const before = (yield * merchant.clock.now()) - voidGrace - clockSkew - DAY
  let forgotten = 0
  yield * eachEntry(ENDS, function * ({ key, value }) {
    const settleBy = numberIn(key, ENDS)
    if (settleBy >= before) return 'enough'
    const invoice = key.slice(endsAt(0, new Uint8Array(0)).length)
    const open = yield * get(openAt(invoice))
    const ops: Op[] = [{ op: 'delete', key }]
    for (const votes of yield * scanAll(votesAt(invoice))) ops.push({ op: 'delete', key: votes.key })
    if (open !== null) ops.push({ op: 'swap', key: openAt(invoice), was: open, value: null }, { op: 'delete', key: invoiceAt(invoice) }, { op: 'delete', key: orderedAt(numberIn(value)) })
    // One that was paid at this very moment is looked at the next time.
    if ((yield * batch(ops)).done && open !== null) forgotten += 1
  })
  return forgotten
}
