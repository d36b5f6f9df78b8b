/** What the bank's operator does with accounts. What moves money has a reference, under which it happens once. */
import { equal, utf8 } from '../../kit/bytes.ts'
import { encode, tagged } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import { get, type Saga } from '../../kit/saga.ts'
import { accountAt, ALL_CREDITS, creditAt, paidOutAt } from './keys.ts'
import { allCreditsStep, balanceOf, creditStep, debitStep, journalStep, type Bank } from './parts.ts'
import { Credited, PaidOut, Standing } from './records.ts'
import { closed, standingOf, standingStep } from './standing.ts'
import { commit, insert } from './steps.ts'

const LONGEST_NOTE = 256

function checkAccount (account: Uint8Array): void {
  if (account.length !== 32) throw new MixmintError('bad-argument', 'caller', 'an account is named by a key of 32 bytes')
}

function checkMovement (account: Uint8Array, amount: number, reference: string): void {
  checkAccount(account)
  if (!Number.isSafeInteger(amount) || amount < 1) throw new MixmintError('bad-argument', 'caller', 'a whole amount above zero wanted, in the smallest coin')
  if (reference === '') throw new MixmintError('bad-argument', 'caller', 'a reference wanted: it is what makes it count once, however often it is repeated')
}

function reused (): MixmintError {
  return new MixmintError('reference-reused', 'caller', 'this reference was used for another account or amount: choose a fresh one')
}

/**
 * Money comes in: the operator credits an account, once for each reference. Also a frozen one.
 * @returns the account's balance
 * @throws bad-argument (caller); bad-amount (peer) when all credits would pass 2^53 − 1; account-closed (peer);
 *   reference-reused (caller) when it stands for another account or amount
 */
export function * credit (bank: Bank, account: Uint8Array, amount: number, reference: string): Saga<number> {
  checkMovement(account, amount, reference)
  const id = bank.suite.sha256(tagged('credit-reference', utf8(reference)))
  const value = encode(Credited, { account, amount })
  const time = yield * bank.clock.now()
  for (;;) {
    const before = yield * get(creditAt(id))
    if (before !== null) {
      if (!equal(before, value)) throw reused()
      return yield * balanceOf(account)
    }
    const stood = yield * standingOf(account)
    if (stood.standing?.state === 'closed') throw closed()
    const step = creditStep(account, yield * get(accountAt(account)), amount)
    const clash = yield * commit([
      insert('credit', creditAt(id), value),
      step,
      standingStep(account, stood),
      allCreditsStep(yield * get(ALL_CREDITS), amount),
      journalStep(time, id, { kind: 'credit', amount, issued: [], redeemed: [] }, step)
    ])
    if (clash === null) return yield * balanceOf(account)
  }
}

/**
 * Money leaves: the operator has paid, or is about to pay, the owner of an account in other money; once for each reference.
 * No account pays out more than it holds. Also from a closed account, for what came in after it was closed.
 * @returns the account's balance
 * @throws bad-argument, reference-reused (caller); insufficient-funds, account-frozen (peer)
 */
export function * payOut (bank: Bank, account: Uint8Array, amount: number, reference: string): Saga<number> {
  checkMovement(account, amount, reference)
  const id = bank.suite.sha256(tagged('pay-out-reference', utf8(reference)))
  const value = encode(PaidOut, { account, amount })
  const time = yield * bank.clock.now()
  for (;;) {
    const before = yield * get(paidOutAt(id))
    if (before !== null) {
      if (!equal(before, value)) throw reused()
      return yield * balanceOf(account)
    }
    const stood = yield * standingOf(account)
    if (stood.standing?.state === 'frozen') throw frozen()
    const step = debitStep(account, yield * get(accountAt(account)), amount)
    const clash = yield * commit([
      insert('credit', paidOutAt(id), value),
      step,
      standingStep(account, stood),
      journalStep(time, id, { kind: 'pay-out', amount, issued: [], redeemed: [] }, step)
    ])
    if (clash === null) return yield * balanceOf(account)
  }
}

function frozen (): MixmintError {
  return new MixmintError('account-frozen', 'caller', 'the account is frozen: nothing leaves it until it is thawed')
}

/**
 * Open an account by name, or open again one that was closed. Accounts open by themselves when money first comes in; this
 * is for an operator who keeps a list of them.
 * @throws bad-argument, account-exists (it is open, under another note), account-frozen (caller)
 */
export function * open (bank: Bank, account: Uint8Array, note: string): Saga<Standing> {
  return yield * stand(bank, account, 'open', note, was => {
    if (was?.state === 'frozen') throw new MixmintError('account-frozen', 'caller', 'the account is frozen: thaw it')
    if (was?.state === 'open') throw new MixmintError('account-exists', 'caller', 'the account was opened before, under another note')
  })
}

/** Nothing leaves the account until it is thawed; what is paid into it comes in. @throws bad-argument, account-closed */
export function * freeze (bank: Bank, account: Uint8Array, note: string): Saga<Standing> {
  return yield * stand(bank, account, 'frozen', note, was => { if (was?.state === 'closed') throw closed() })
}

/** @throws bad-argument, account-not-frozen (caller) */
export function * thaw (bank: Bank, account: Uint8Array, note: string): Saga<Standing> {
  return yield * stand(bank, account, 'open', note, was => {
    if (was?.state !== 'frozen') throw new MixmintError('account-not-frozen', 'caller', 'the account is not frozen')
  })
}

/**
 * Close an account that holds nothing. It takes no credits of the operator any more, and gives nothing; what payers still
 * bring to it comes in, and can be paid out.
 * @throws bad-argument, account-not-empty, account-frozen (caller)
 */
export function * close (bank: Bank, account: Uint8Array, note: string): Saga<Standing> {
  return yield * stand(bank, account, 'closed', note, was => { if (was?.state === 'frozen') throw frozen() }, true)
}

/** One change of standing; the same again changes nothing. @param refuse throws when it may not follow on `was` */
function * stand (bank: Bank, account: Uint8Array, state: Standing['state'], note: string, refuse: (was: Standing | null) => void, empty = false): Saga<Standing> {
  checkAccount(account)
  if (note.length > LONGEST_NOTE) throw new MixmintError('bad-argument', 'caller', `a note of at most ${LONGEST_NOTE} characters wanted`)
  const time = yield * bank.clock.now()
  for (;;) {
    const was = yield * standingOf(account)
    if (was.standing?.state === state && was.standing.note === note) return was.standing
    refuse(was.standing)
    const held = yield * get(accountAt(account))
    if (empty && (yield * balanceOf(account)) > 0) throw new MixmintError('account-not-empty', 'caller', 'the account holds money: pay it out first')
    const standing: Standing = { state, note, time }
    const clash = yield * commit([
      standingStep(account, was, encode(Standing, standing)),
      // It holds nothing still.
      ...(empty ? [{ clash: 'account' as const, op: { op: 'swap' as const, key: accountAt(account), was: held, value: held } }] : [])
    ])
    if (clash === null) return standing
  }
}

