/**
 * What convicts centers (DESIGN §5.7): the bank keeps the certificate of each coin that it redeems. Another certificate of
 * the same coin names those who gave votes to both; what they signed goes into the directory as the reason why their vote
 * keys are revoked. Whoever else holds such a proof can hand it in.
 */
import { toHex } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import { batch, get, scanAll, type Saga } from '../../kit/saga.ts'
import { centerProofFile, twoFaced, verifyCenterFault, verifyRetirement, verifyRevocations } from '../center-proof.ts'
import { coinId } from '../coin.ts'
import { Revocation, type BankListing, type CenterFault, type CenterProofFile, type Input, type Retirement, type Spend } from '../formats.ts'
import type { KnownKeyset } from '../known-keyset.ts'
import type { BankReply, BankRequest } from '../messages.ts'
import type { Registry } from '../registry.ts'
import { RingMap } from '../ring.ts'
import { validVotes, verifySpend } from '../spend.ts'
import { stored } from '../stored.ts'
import { certificateAt, revocationAt, REVOCATIONS } from './keys.ts'
import type { Bank } from './parts.ts'
import { Certificate } from './records.ts'
import { insert, type Step } from './steps.ts'

/** The step that keeps the certificate of a coin, in the batch that redeems it. */
export function certificateStep (bank: Bank, { spend, votes }: Input): Step {
  const { d, signature } = spend
  return insert('coin', certificateAt(coinId(bank.suite, spend.coin)), encode(Certificate, { d, signature, votes: [...votes] }))
}

/**
 * An input whose coin is redeemed: who voted for both is convicted.
 * @returns the spend that it was redeemed for, if this is another one
 */
export function * compare (bank: Bank, registry: Registry, input: Input): Saga<Spend | null> {
  const { suite } = bank
  const { coin, d } = input.spend
  const value = yield * get(certificateAt(coinId(suite, coin)))
  const known = registry.find(coin.keyset)
  if (value === null || known === undefined) return null
  const certificate = stored(Certificate, value)
  try {
    verifySpend(suite, known, input.spend)
  } catch (error) {
    if (error instanceof MixmintError) return null
    throw error
  }
  const votes = validVotes(suite, known, input.spend, input.votes)
  yield * keepFaults(bank, registry, twoFaced(suite, known, { spend: input.spend, votes }, certificate))
  return toHex(certificate.d) === toHex(d) ? null : { coin, d: certificate.d, signature: certificate.signature }
}

/** Keep the first fault of each vote key, and revoke that from now on. */
export function * keepFaults (bank: Bank, registry: Registry, faults: readonly CenterFault[]): Saga<void> {
  for (const fault of faults) {
    const { voteKey } = verifyFault(bank, registry, fault)
    yield * revoke(bank, { voteKey, from: yield * bank.clock.now(), why: { is: 'fault', fault } })
  }
}

function * revoke (bank: Bank, revocation: Revocation): Saga<void> {
  const { voteKey } = revocation
  const result = yield * batch([{ op: 'insert', key: revocationAt(voteKey), value: encode(Revocation, revocation) }])
  if (result.done) bank.meter.count('vote_key_revoked', { why: revocation.why.is === 'fault' ? revocation.why.fault.is : 'retired', key: toHex(voteKey).slice(0, 16) })
}

/** @throws bad-proof, unknown-ring, and those of verifyCenterFault (peer) */
function verifyFault (bank: Bank, registry: Registry, fault: CenterFault): { voteKey: Uint8Array, known: KnownKeyset } {
  const ours = registry.keysets().filter(({ keyset }) => toHex(keyset.bank) === toHex(bank.bank.publicKey))
  const named = ours.find(({ ring }) => toHex(ring.id) === toHex(fault.ring))
  if (named === undefined) throw new MixmintError('unknown-ring', 'peer', 'no coins of this bank are judged by the ring that the proof names')
  const { voteKey } = verifyCenterFault(bank.suite, named.ring, id => {
    const found = ours.find(known => toHex(known.id) === toHex(id))
    return found === undefined ? undefined : { keys: found, ringId: found.ring.id }
  }, fault)
  return { voteKey, known: fault.is === 'foreign' ? registry.keyset(fault.coin.keyset) : named }
}

/** Somebody hands in a proof. Said again, it is granted again. @throws those of verifyFault (peer) */
export function * accuse (bank: Bank, { fault }: BankRequest & { op: 'accuse' }): Saga<BankReply> {
  yield * keepFaults(bank, bank.registry(), [fault])
  return { is: 'accused' }
}

/**
 * A payee has votes for a coin that was spent before: what convicts their centers is found here, if anywhere.
 * @throws unknown-keyset (peer), not-redeemed (peer, retry)
 */
export function * contest (bank: Bank, { input }: BankRequest & { op: 'contest' }): Saga<BankReply> {
  const registry = bank.registry()
  registry.keyset(input.spend.coin.keyset)
  if ((yield * get(certificateAt(coinId(bank.suite, input.spend.coin)))) === null) {
    throw new MixmintError('not-redeemed', 'peer', 'the coin was not redeemed yet: ask again later', { retry: true })
  }
  yield * compare(bank, registry, input)
  return { is: 'accused' }
}

/** For the operator: a center gives up a vote key of its own. @throws bad-retirement (peer) */
export function * takeRetirement (bank: Bank, retirement: Retirement): Saga<void> {
  verifyRetirement(bank.suite, bank.network, retirement)
  yield * revoke(bank, { voteKey: retirement.voteKey, from: yield * bank.clock.now(), why: { is: 'retired', retirement } })
}

/**
 * What the directory says that we have revoked. A store that has lost data may not know it, and authorities refuse a listing that takes
 * a revocation back, or gives it another date: so it is kept as it stands there, the earlier of two dates.
 * @throws bad-revocation, and those of verifyRevocations (peer)
 */
export function * adopt (bank: Bank, listing: BankListing): Saga<void> {
  verifyRevocations(bank.suite, bank.network, listing, listing.rings.map(ring => new RingMap(bank.suite, ring)))
  for (const revocation of listing.revocations) {
    const key = revocationAt(revocation.voteKey)
    for (;;) {
      const was = yield * get(key)
      if (was !== null && stored(Revocation, was).from <= revocation.from) break
      if ((yield * batch([{ op: 'swap', key, was, value: encode(Revocation, revocation) }])).done) break
    }
  }
}

/** For the directory: of the vote keys in these rings, those that are revoked. */
export function * revocations (): Saga<Revocation[]> {
  return (yield * scanAll(REVOCATIONS)).map(({ value }) => stored(Revocation, value))
}

/** For everybody: what convicts centers whose rings the directory still lists. */
export function * centerProofs (bank: Bank): Saga<CenterProofFile[]> {
  const registry = bank.registry()
  return (yield * revocations()).flatMap(({ why }) => {
    if (why.is !== 'fault' || !registry.keysets().some(({ ring }) => toHex(ring.id) === toHex(why.fault.ring))) return []
    return [centerProofFile(why.fault, verifyFault(bank, registry, why.fault).known)]
  })
}
