/** Coins that are shown to the bank: whether they are its own, in time, for this contract, unspent, certified. */
import { equal } from '../../kit/bytes.ts'
import { MixmintError } from '../../kit/errors.ts'
import { get, type Saga } from '../../kit/saga.ts'
import { certify } from '../certify.ts'
import { coinId } from '../coin.ts'
import type { Coin, Input } from '../formats.ts'
import type { InputState } from '../messages.ts'
import type { KnownKeyset } from '../known-keyset.ts'
import type { Registry } from '../registry.ts'
import { isCertified, verifyOpening } from '../spend.ts'
import { compare, keepFaults } from './accusations.ts'
import { spentAt } from './keys.ts'
import { redeemEnd } from './outages.ts'
import type { Bank, BankEffect } from './parts.ts'

/** Is the coin this bank's, by what it says? @throws unknown-keyset, wrong-bank, wrong-unit (peer) */
export function checkCoinOurs (bank: Bank, registry: Registry, coin: Coin): KnownKeyset {
  const known = registry.keyset(coin.keyset)
  const { keyset } = known
  if (!equal(keyset.bank, bank.bank.publicKey)) throw new MixmintError('wrong-bank', 'peer', 'the coin is of another bank')
  if (keyset.unit !== bank.unit) throw new MixmintError('wrong-unit', 'peer', 'the coin is in another unit')
  return known
}

/**
 * What a certificate does not say: the coin is this bank's, its certificates still count, it was spent for this contract.
 * The coin's and the spend's own signatures are checked where votes are counted (certify).
 * @param contract D
 * @throws keyset-ended, bad-opening, and those of checkCoinOurs (peer)
 */
export function * checkInput (bank: Bank, registry: Registry, contract: Uint8Array, input: Input, now: number): Saga<KnownKeyset> {
  const known = checkCoinOurs(bank, registry, input.spend.coin)
  if (now >= (yield * redeemEnd(bank, known.keyset, now))) throw new MixmintError('keyset-ended', 'peer', 'certificates for coins of this keyset no longer count; ask for a refund')
  verifyOpening(bank.suite, contract, input)
  return known
}

/** Inputs after their keepers were asked, in the order given. */
export interface Judged {
  readonly states: InputState[]
  /** With the votes that are known now. */
  readonly inputs: Input[]
}

/**
 * How each input stands, with the keepers asked for missing votes of those that have no fault yet. Of a coin that is
 * redeemed, the spend it was redeemed for is shown (`first`). Keeps what convicts centers (accusations.ts).
 * @param faults one for each input: a code, or '' if none is known
 */
export function * judge (bank: Bank, registry: Registry, inputs: readonly Input[], faults: readonly string[]): Saga<Judged, BankEffect> {
  const collected = yield * certify({ suite: bank.suite, registry, meter: bank.meter }, inputs.filter((_, i) => faults[i] === ''))
  yield * keepFaults(bank, registry, collected.faults)
  const rest = collected.inputs.map((input, i) => ({ input, state: collected.states[i] })).values()
  const judged: Judged = { states: [], inputs: [] }
  for (const [i, input] of inputs.entries()) {
    const asked = faults[i] === '' ? rest.next().value : undefined
    judged.inputs.push(asked?.input ?? input)
    judged.states.push(asked?.state ?? {
      coin: coinId(bank.suite, input.spend.coin), state: 'refused', code: faults[i], first: faults[i] === 'coin-spent' ? yield * compare(bank, registry, input) : null
    })
  }
  return judged
}

/** The faults given, with `coin-spent` where there was none and the coin is redeemed already. */
export function * markSpent (bank: Bank, inputs: readonly Input[], faults: readonly string[]): Saga<string[], BankEffect> {
  const marked: string[] = []
  for (const [i, input] of inputs.entries()) {
    const spent = faults[i] === '' && (yield * get(spentAt(coinId(bank.suite, input.spend.coin)))) !== null
    marked.push(spent ? 'coin-spent' : faults[i])
  }
  return marked
}

/** Do these inputs bring their certificates with them, so that no keeper need be asked? */
export function areCertified (bank: Bank, registry: Registry, inputs: readonly Input[]): boolean {
  return inputs.every(({ spend, votes }) => isCertified(bank.suite, registry.keyset(spend.coin.keyset), spend, votes))
}
