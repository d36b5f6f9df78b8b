/**
 * After a loss of data (cash/loss.ts) the bank
 * does not know what it has redeemed, decided and paid since. It stays closed for all that may concern (DESIGN §5, end):
 * coins of keysets that issued before the loss, contracts that may have been decided, tokens of days up to it, and what
 * accounts held, until the operator has looked into each and thaws it. Answers that it still has, it gives. Money in coins
 * of keysets that issue after the loss moves as ever.
 */
import { MixmintError } from '../../kit/errors.ts'
import type { Saga } from '../../kit/saga.ts'
import type { Contract, Input } from '../formats.ts'
import { dayOf } from '../keyset.ts'
import { lossTime } from '../loss.ts'
import type { Bank } from './parts.ts'

/** What a request moves, or asks about. */
interface Concerned {
  readonly inputs?: readonly Input[]
  /** Coins to be, or coins by themselves. */
  readonly of?: ReadonlyArray<{ readonly keyset: Uint8Array }>
  /** One that is not decided, as far as the bank knows. */
  readonly undecided?: Contract
  /** Of a token. */
  readonly day?: number
}

/** For what has no answer yet. @throws closed-after-loss (peer) */
export function * mustBeKnown (bank: Bank, { inputs = [], of = [], undecided, day }: Concerned): Saga<void> {
  const loss = yield * lossTime()
  if (loss === 0) return
  const registry = bank.registry()
  const keysets = [...inputs.map(({ spend }) => spend.coin.keyset), ...of.map(({ keyset }) => keyset)]
  // Signed by the clocks of then.
  const old = keysets.some(id => (registry.find(id)?.keyset.issueFrom ?? Infinity) < loss + registry.parameters.clockSkew)
  // It may have been settled before the loss; made later, it could be settled until so much later.
  const decided = undecided !== undefined && undecided.settleBy <= loss + registry.parameters.settleMaximum + registry.parameters.clockSkew
  if (old || decided || (day !== undefined && day <= dayOf(loss))) {
    throw new MixmintError('closed-after-loss', 'peer', 'the bank has lost data, and no longer knows what became of this: it does nothing rather than something twice; ask its operator')
  }
}
