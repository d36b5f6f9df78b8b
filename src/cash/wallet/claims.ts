/**
 * Claims: each coin of a bundle is exchanged by a contract of its own, by whoever received it or by its giver who takes it back.
 * So what becomes of one coin holds up no other, and of two who try the centers decide, coin by coin.
 */
import { equal, NONE } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Op } from '../../kit/ports.ts'
import { batch, get, now, type Saga } from '../../kit/saga.ts'
import type { Handed } from '../bundle.ts'
import { coinId } from '../coin.ts'
import { contractId } from '../contract.ts'
import { contractNonce } from '../derive.ts'
import type { Contract } from '../formats.ts'
import type { InputState } from '../messages.ts'
import { signSpend, verifyDoubleSpend } from '../spend.ts'
import { stored } from '../stored.ts'
import { latestSettleBy } from './contracts.ts'
import { coinAt, secretAt, spentAt } from './keys.ts'
import { finish, operation, start, type Begun } from './operations.ts'
import { issuingKeyset, makeOutputs, reserve, valuesOf } from './outputs.ts'
import type { Wallet } from './parts.ts'
import { mark } from './purse.ts'
import { OwnedCoin, type ContractOperation, type Place } from './records.ts'
import { split } from './selection.ts'

/** `place` is null for a coin of somebody else. `was`: the bytes of its record here, or null. */
export interface Claim extends Handed {
  readonly place: Place | null
  readonly was: Uint8Array | null
}

/**
 * Begin to claim these coins, all in one batch. False when one of them has changed meanwhile: look again.
 * @param bundle its id
 * @throws no-keyset (peer), those of reserve
 */
export function * beginClaims (wallet: Wallet, bundle: Uint8Array, claims: readonly Claim[]): Saga<boolean> {
  const ops: Op[] = []
  for (const claim of claims) ops.push(...yield * claimSteps(wallet, bundle, claim))
  return (yield * batch(ops)).done
}

function * claimSteps (wallet: Wallet, bundle: Uint8Array, { id, coin, key, place, was }: Claim): Saga<Op[]> {
  const { suite, seed, network, bank, unit } = wallet
  const started = yield * now()
  const settleBy = latestSettleBy(wallet, started)
  const known = issuingKeyset(wallet, started, settleBy)
  const values = valuesOf(known).includes(coin.value) ? [coin.value] : split(coin.value, valuesOf(known))
  const { sequence, generation, places } = yield * reserve(values)
  const contract: Contract = {
    network, bank, kind: 'exchange', payee: NONE, amount: 0, unit, invoice: NONE, nonce: contractNonce(suite, seed, generation, sequence),
    settleBy, token: null, outputs: makeOutputs(wallet, known, values, places)
  }
  const { op } = start<ContractOperation>(sequence, {
    kind: 'contract', started, state: 'open', contract, places,
    coins: [{ input: signSpend(suite, key, coin, contractId(suite, contract)), place, active: true }],
    invoice: null, paid: null, outcome: null, claim: bundle, sealed: null, filed: 0, waived: false
  })
  return [
    op,
    { op: 'swap', key: coinAt(id), was, value: encode(OwnedCoin, { coin, place, state: 'promised', operation: sequence }) },
    ...place === null ? [{ op: 'put' as const, key: secretAt(id), value: key.secret }] : []
  ]
}

/**
 * The bank did not settle a claim. Results in the ended operation when somebody else has had the coin: there the bank's word is
 * enough, it could refuse the coin for ever in any case.
 * @throws coin-contested, coins-unavailable (retry), or what the coin is refused with; the operation stays open
 */
export function * notClaimed (wallet: Wallet, open: Begun<ContractOperation>, states: readonly InputState[]): Saga<Begun<ContractOperation>> {
  const [{ input: { spend }, place }] = open.record.coins
  const { suite } = wallet
  const id = coinId(suite, spend.coin)
  const state = states.find(({ coin }) => equal(coin, id))
  if (state?.code === 'coin-spent') {
    wallet.meter.count('wallet_claim', { outcome: 'lost' })
    return yield * finish(open, { ...open.record, state: 'lost' }, mark(wallet, { coin: spend.coin, place }, 'spent', open.sequence))
  }
  if (state?.state === 'conflict' && state.first !== null) {
    verifyDoubleSpend(suite, wallet.registry().keyset(spend.coin.keyset), { first: state.first, second: spend })
    throw new MixmintError('coin-contested', 'peer', `a coin of ${spend.coin.value} is being taken by somebody else who has it too; whoever the centers certify gets it: \`recover\` tells`, { retry: true })
  }
  if (state?.state === 'refused') throw new MixmintError(state.code, 'peer', `a coin of ${spend.coin.value} is refused by the bank or its centers`)
  throw new MixmintError('coins-unavailable', 'peer', `a coin of ${spend.coin.value} has no certificate yet, because too few of its keepers answer: try \`recover\` when they are back`, { retry: true })
}

/** What became of a coin of a bundle: still given; being claimed by us; ours again, or received; somebody else's; not begun. */
export type Fate = 'given' | 'open' | 'ours' | 'theirs' | 'unknown'

/** @param bundle its id @param coin coinId */
export function * fateOf (bundle: Uint8Array, coin: Uint8Array): Saga<Fate> {
  const held = yield * get(coinAt(coin))
  if (held !== null) return stored(OwnedCoin, held).state === 'given' ? 'given' : 'open'
  const spent = yield * get(spentAt(coin))
  if (spent === null) return 'unknown'
  const { record } = yield * operation(stored(OwnedCoin, spent).operation)
  const isOurs = record.kind === 'contract' ? record.state === 'settled' && equal(record.claim, bundle) : ['reclaim', 'refund-coin'].includes(record.kind) && record.state === 'done'
  return isOurs ? 'ours' : 'theirs'
}
