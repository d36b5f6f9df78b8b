/**
 * What the bank keeps for wallets whose machine is lost (DESIGN §4, restore): its own signatures by blinded message, copies of
 * contracts, and the derivation generations in use. All of it is of use to the owner of the seed only, is written once, and
 * takes no more place than there are coins and accounts.
 */
import { equal, u64 } from '../../kit/bytes.ts'
import { MixmintError } from '../../kit/errors.ts'
import { get, type Saga } from '../../kit/saga.ts'
import { announceMessage, fileMessage } from '../bank-requests.ts'
import { coinId, verifyCoin } from '../coin.ts'
import { outputHash } from '../contract.ts'
import type { Coin } from '../formats.ts'
import { COPY_SIZES, type BankReply, type BankRequest } from '../messages.ts'
import { recordedSpend, verifyLook } from '../recorded.ts'
import type { KnownKeyset } from '../known-keyset.ts'
import { stored } from '../stored.ts'
import { accountAt, announcedAt, announcerAt, copyAt, outputAt, spentAt } from './keys.ts'
import { checkOurs, type Bank, type BankEffect } from './parts.ts'
import { SignedOutput } from './records.ts'
import { commit, insert } from './steps.ts'

/** How many generations an account may vouch for; a coin vouches for one. */
const OF_AN_ACCOUNT = 64

/** The signatures that were given for these outputs; whatever dates have passed. */
export function * restore (bank: Bank, { outputs }: BankRequest & { op: 'restore' }): Saga<BankReply> {
  const signatures: Uint8Array[] = []
  for (const output of outputs) {
    const value = yield * get(outputAt(outputHash(bank.suite, output)))
    signatures.push(value === null ? new Uint8Array(0) : stored(SignedOutput, value).signature)
  }
  return { is: 'restored', signatures }
}

/**
 * Keep a copy under a coin, spent or not: one for each valid coin, so that nobody fills the disk for nothing.
 * @throws bad-copy (not of one of the sizes), copy-exists (another one is kept), bad-coin-signature, and those of checkCoin (peer)
 */
export function * file (bank: Bank, { coin, box, signature }: BankRequest & { op: 'file' }): Saga<BankReply> {
  const { suite } = bank
  if (!COPY_SIZES.includes(box.length)) throw new MixmintError('bad-copy', 'peer', 'copies have one of a few lengths')
  checkCoin(bank, coin)
  const id = coinId(suite, coin)
  checkSigned(bank, coin.publicKey, fileMessage(suite, id, box), signature)
  const before = (yield * commit([insert('coin', copyAt(id), box)])) === null ? box : yield * get(copyAt(id))
  if (before === null || !equal(before, box)) throw new MixmintError('copy-exists', 'peer', 'another copy is kept under this coin')
  return { is: 'filed' }
}

/** How a coin stands, and its copy. @throws bad-coin-signature, and those of checkCoin (peer) */
export function * look (bank: Bank, { coin, signature }: BankRequest & { op: 'look' }): Saga<BankReply, BankEffect> {
  const { suite } = bank
  verifyLook(suite, checkCoin(bank, coin), coin, signature)
  const id = coinId(suite, coin)
  const copy = (yield * get(copyAt(id))) ?? new Uint8Array(0)
  if ((yield * get(spentAt(id))) !== null) return { is: 'looked', spent: true, copy, recorded: null, heard: 0 }
  const { spend, heard } = yield * recordedSpend(suite, bank.registry(), coin, signature)
  return { is: 'looked', spent: false, copy, recorded: spend, heard }
}

/**
 * Keep a generation under a handle, vouched for by a coin, once, or by an account, OF_AN_ACCOUNT times.
 * @throws bad-argument (neither, or both), handle-taken (by something else), too-many-announcements, unknown-account,
 *   bad-coin-signature, and those of checkCoin (peer)
 */
export function * announce (bank: Bank, { handle, box, by, account, signature }: BankRequest & { op: 'announce' }): Saga<BankReply> {
  const { suite } = bank
  if ((by === null) === (account.length === 0)) throw new MixmintError('bad-argument', 'peer', 'a coin or an account vouches for an announcement')
  if (by !== null) checkCoin(bank, by)
  const who = by === null ? account : coinId(suite, by)
  checkSigned(bank, by === null ? account : by.publicKey, announceMessage(suite, handle, box), signature)
  for (;;) {
    const before = yield * get(announcedAt(handle))
    if (before !== null && equal(before, box)) return { is: 'filed' }
    if (before !== null) throw new MixmintError('handle-taken', 'peer', 'something else was announced under this handle')
    if (by === null && (yield * get(accountAt(account))) === null) throw new MixmintError('unknown-account', 'peer', 'the account has never held anything')
    const was = yield * get(announcerAt(who))
    const times = was === null ? 0 : Number(new DataView(was.buffer, was.byteOffset).getBigUint64(0))
    if (times >= (by === null ? OF_AN_ACCOUNT : 1)) throw new MixmintError('too-many-announcements', 'peer', 'this coin or account has vouched often enough')
    const clash = yield * commit([
      insert('announced', announcedAt(handle), box),
      { clash: 'announced', op: { op: 'swap', key: announcerAt(who), was, value: u64(times + 1) } }
    ])
    if (clash === null) return { is: 'filed' }
  }
}

export function * announced ({ handle }: BankRequest & { op: 'announced' }): Saga<BankReply> {
  return { is: 'announced', box: (yield * get(announcedAt(handle))) ?? new Uint8Array(0) }
}

/** Is it a coin of this bank? @throws unknown-keyset, wrong-network, wrong-bank, wrong-unit, unknown-denomination, bad-coin (peer) */
function checkCoin (bank: Bank, coin: Coin): KnownKeyset {
  const known = bank.registry().keyset(coin.keyset)
  checkOurs(bank, known.keyset)
  verifyCoin(bank.suite, known, coin)
  return known
}

function checkSigned (bank: Bank, key: Uint8Array, message: Uint8Array, signature: Uint8Array): void {
  if (!bank.suite.ed25519Verify(key, message, signature)) throw new MixmintError('bad-coin-signature', 'peer', 'the request is not signed by the coin\'s or account\'s key')
}
