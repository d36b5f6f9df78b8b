/** The outputs of a contract that are sealed tokens to be, and what the bank's answer makes of them (DESIGN §6). */
import { equal, NONE } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Op } from '../../kit/ports.ts'
import type { Saga } from '../../kit/saga.ts'
import { blind, blindingFactor, finalize, type Blinded } from '../../crypto/rsabssa.ts'
import { sealedSecrets } from '../derive.ts'
import type { Output, SealedToken } from '../formats.ts'
import type { KnownSealedKeys } from '../sealed-keys.ts'
import { sealedMessage, sealedSerial } from '../sealed.ts'
import { sealedTokenAt } from './keys.ts'
import { askBank, badReply, type Wallet, type WalletEffect } from './parts.ts'
import { HeldSealed, type ContractOperation, type Place, type SealedFor } from './records.ts'

/** RFC 9474 PSSZERO; and no invoice. */

/** @throws unknown-sealed-keys (peer) */
export function * kept (wallet: Wallet, keys: Uint8Array): Saga<KnownSealedKeys> {
  const known = yield * wallet.sealedKeys.find(keys)
  if (known === null) throw new MixmintError('unknown-sealed-keys', 'peer', 'the bank did not send the keys of these sealed tokens')
  return known
}

/** Have these keys, from the bank where they are not here: by their hash alone, for the directory may not list them any more. */
export function * recall (wallet: Wallet, keys: Uint8Array, pause: () => Saga<void>): Saga<void, WalletEffect> {
  if ((yield * wallet.sealedKeys.find(keys)) !== null) return
  yield * pause()
  const reply = yield * askBank('apart', { op: 'sealed-keys', hashes: [keys] })
  if (reply.is !== 'sealed-keys') throw badReply('bank')
  yield * wallet.sealedKeys.recall(keys, reply.keys)
}

interface Secrets extends Blinded {
  readonly token: Omit<SealedToken, 'signature'>
}

function secretsOf (wallet: Wallet, known: KnownSealedKeys, value: number, place: Place, { payee, till }: Pick<SealedFor, 'payee' | 'till'>): Secrets {
  const { suite, seed } = wallet
  const { owner, nonce, blinding } = sealedSecrets(suite, seed, { keyset: known.id, value, ...place })
  const token = { keys: known.id, value, payee, till, ownerKey: owner.publicKey, nonce }
  const bankKey = known.keyFor(value)
  return { ...blind(suite, bankKey, sealedMessage(token), NONE, blindingFactor(suite, bankKey, blinding)), token }
}

/** @param values and their places, in the same order */
export function makeSealed (wallet: Wallet, known: KnownSealedKeys, values: readonly number[], places: readonly Place[], to: Pick<SealedFor, 'payee' | 'till'>): Output[] {
  return values.map((value, i) => ({ keyset: known.id, value, blinded: secretsOf(wallet, known, value, places[i], to).blinded }))
}

/** How many outputs of a contract are coins to be: they come first, and sealed tokens after them. */
export function coinsAmong ({ contract, sealed }: Pick<ContractOperation, 'contract' | 'sealed'>): number {
  return contract.outputs.filter(({ keyset }) => sealed === null || !equal(keyset, sealed.keys)).length
}

/** What a contract buys in sealed tokens. */
export function sealedIn (record: Pick<ContractOperation, 'contract' | 'sealed'>): Output[] {
  return record.contract.outputs.slice(coinsAmong(record))
}

/**
 * The steps that keep the sealed tokens that the bank's answer makes of a contract's outputs.
 * @param signatures of these outputs, after those of the coins
 * @throws bad-blind-signature (peer): then nothing of the answer is used
 */
export function * keepSealed (wallet: Wallet, operation: number, record: ContractOperation, signatures: readonly Uint8Array[], state: HeldSealed['state'] = 'held'): Saga<Op[]> {
  const { sealed } = record
  if (sealed === null) return []
  const known = yield * kept(wallet, sealed.keys)
  const first = coinsAmong(record)
  return sealedIn(record).map(({ value }, i) => {
    const place = record.places[first + i]
    const { token, inverse } = secretsOf(wallet, known, value, place, sealed)
    const signature = finalize(wallet.suite, known.keyFor(value), sealedMessage(token), inverse, signatures[i], 0)
    const held: HeldSealed = { token: { ...token, signature }, place, operation, state, invoice: NONE }
    return { op: 'insert', key: sealedTokenAt(sealedSerial(wallet.suite, token)), value: encode(HeldSealed, held) }
  })
}
