/** Deposits: merchants turn in tokens in batches, with a result for each (DESIGN §6). */
import { equal, toHex } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { isMixmintError, MixmintError } from '../../kit/errors.ts'
import type { Saga } from '../../kit/saga.ts'
import { total } from '../contract.ts'
import type { Presentation } from '../formats.ts'
import type { BankReply, BankRequest, DepositResult } from '../messages.ts'
import { tokenHash, verifyPresentation, verifyTokenSignature } from '../token.ts'
import type { Side } from './chains.ts'
import { goneOf, isIssued, notIssued } from './issued.ts'
import { depositAt } from './keys.ts'
import { mustBeKnown } from './loss.ts'
import { checkOurs, creditStep, journalStep, type Bank } from './parts.ts'
import { Deposited } from './records.ts'
import { insert } from './steps.ts'

/** Tokens in one batch of the store: enough to share its cost, few enough that a lost race repeats little. */
const CHUNK = 128

/** A token that is good, and not known to be turned in. `hash` tells it from another of the same serial; `shownFor`: what its owner signed it over to. */
export interface Good { readonly serial: Uint8Array, readonly payee: Uint8Array, readonly amount: number, readonly hash: Uint8Array, readonly shownFor: Uint8Array }

/** @returns null if it was credited before. @throws (peer) why it is refused */
type Examine = Saga<Good | null>

/**
 * A result for each presentation, in their order: `credited`, `already` (the payee has had the money), or `refused` with
 * the code: wrong-network, wrong-bank, wrong-unit, unknown-day-key, bad-token, bad-presentation, token-not-issued,
 * token-refunded, closed-after-loss. Counts `bank_deposit` by outcome.
 */
export function * deposit (bank: Bank, { presentations }: BankRequest & { op: 'deposit' }): Saga<BankReply> {
  return yield * turnIn(bank, presentations.map(presentation => ({ serial: presentation.token.token.serial, examine: examine(bank, presentation) })))
}

/** Tokens of whatever kind. */
export function * turnIn (bank: Bank, shown: ReadonlyArray<{ readonly serial: Uint8Array, readonly examine: Examine }>): Saga<BankReply> {
  const time = yield * bank.clock.now()
  const results: DepositResult[] = []
  const good: Good[] = []
  const places = new Map<string, number>()
  for (const [i, { serial, examine }] of shown.entries()) {
    const result: DepositResult = { serial, state: 'already', code: '' }
    results.push(result)
    try {
      const found = yield * examine
      if (found !== null && !places.has(toHex(serial))) {
        good.push(found)
        places.set(toHex(serial), i)
      }
    } catch (error) {
      if (!isMixmintError(error) || error.fault !== 'peer') throw error
      results[i] = { ...result, state: 'refused', code: error.code }
    }
  }
  for (let at = 0; at < good.length; at += CHUNK) {
    const chunk = good.slice(at, at + CHUNK)
    const credited = yield * credit(bank, chunk, time)
    for (const token of chunk) {
      const i = places.get(toHex(token.serial))
      if (i === undefined) continue
      if (credited.includes(token)) results[i] = { ...results[i], state: 'credited' }
      else if ((yield * goneOf(token.serial, token.hash))?.is === 'refunded') results[i] = { ...results[i], state: 'refused', code: 'token-refunded' }
    }
  }
  for (const { state, code } of results) bank.meter.count('bank_deposit', { outcome: state === 'refused' ? code : state })
  return { is: 'deposited', results }
}

/** Was this very token turned in before? @throws token-refunded (peer) */
export function * wasDeposited (serial: Uint8Array, hash: Uint8Array): Saga<boolean> {
  const gone = yield * goneOf(serial, hash)
  if (gone?.is === 'refunded') throw new MixmintError('token-refunded', 'peer', 'the token was refunded to its owner, as nobody had turned it in')
  return gone !== null
}

/** @throws (peer) why it is refused */
function * examine (bank: Bank, presentation: Presentation): Examine {
  const { suite } = bank
  const { token } = presentation.token
  checkOurs(bank, token)
  const hash = tokenHash(suite, token)
  // The very token that was credited, whose day key may be gone from the directory by now.
  if (yield * wasDeposited(token.serial, hash)) return null
  yield * mustBeKnown(bank, { day: token.day })

  const isOurs = yield * isIssued(token.serial, hash)
  try {
    verifyTokenSignature(suite, bank.dayKey(token.day)?.publicKey ?? bank.registry().dayKey(bank.bank.publicKey, token.day).key, presentation.token)
  } catch (error) {
    // What was issued is honoured until its owner has it back, however late, and the key of its day may be gone by now.
    if (!isOurs || !isMixmintError(error, 'unknown-day-key')) throw error
  }
  if (!isOurs) {
    // Our signature on a token that we did not make: somebody else has the key of that day.
    bank.meter.count('bank_token_not_issued')
    throw notIssued()
  }
  verifyPresentation(suite, presentation)
  return { serial: token.serial, payee: token.payee, amount: token.amount, hash, shownFor: presentation.invoice }
}

/** Credit each token that nobody else deposits meanwhile. @returns those credited */
function * credit (bank: Bank, good: readonly Good[], time: number): Saga<Good[]> {
  let left = good
  while (left.length > 0) {
    const inserts = left.map(({ serial, hash, shownFor }) => insert('deposit', depositAt(serial), encode(Deposited, { token: hash, time, invoice: shownFor })))
    const clash = yield * bank.chains.commit(sidesOf(left), credits => [
      ...inserts, ...credits,
      ...left.map(({ serial, payee, amount }) => journalStep(time, serial, { kind: 'deposit', amount, issued: [], redeemed: [] }, credits.find(({ account }) => equal(account, payee))))
    ])
    if (clash === null) break
    // Another deposit of the same token, or its refund, came first (the account is then merely read anew).
    left = left.filter((_, i) => inserts[i] !== clash)
  }
  return [...left]
}

/** One for each payee. */
function sidesOf (good: readonly Good[]): Side[] {
  const payees = new Map(good.map(({ payee }) => [toHex(payee), payee]))
  return [...payees].map(([name, payee]) => {
    const sum = total(good.flatMap(token => toHex(token.payee) === name ? [{ value: token.amount }] : []))
    return { account: payee, step: was => creditStep(payee, was, sum) }
  })
}
