/**
 * Derivation generations (DESIGN §4): the first wallet of some words derives under 0, each restore draws a number of its own at
 * random, so that two machines restored from the same words never derive alike. The numbers are kept at the bank, encrypted, one
 * after the other under handles that derive from the words, so that the next restore finds them; a coin vouches for each.
 */
import { NONE, u32 } from '../../kit/bytes.ts'
import { isMixmintError } from '../../kit/errors.ts'
import { random, type Saga } from '../../kit/saga.ts'
import { announceMessage } from '../bank-requests.ts'
import { accountKey, coinSecrets, generationSlot } from '../derive.ts'
import type { BankRequest } from '../messages.ts'
import { sealed, unsealed } from './copies.ts'
import { askBank, badReply, type Wallet, type WalletEffect } from './parts.ts'
import type { Found } from './restore-state.ts'

/** A bank that answers every question could keep a restore asking: more than so many there are not, nor so many in a row that are not ours. */
const MOST = 4096
const FOREIGN = 64
type Pause = () => Saga<void>

/** From 1 on: 0 is that of the first wallet. */
export function * drawGeneration (): Saga<number> {
  for (;;) {
    const bytes = yield * random(4)
    const number = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
    if (number > 0) return number
  }
}

/** Those that were announced, in their order. */
export function * announcedGenerations (wallet: Wallet, pause: Pause): Saga<number[], WalletEffect> {
  const numbers: number[] = []
  let foreign = 0
  for (let index = 0; index < MOST && foreign < FOREIGN; index++) {
    const number = yield * announcedAs(wallet, index, pause)
    if (number === null) return numbers
    foreign = number === 0 ? foreign + 1 : 0
    numbers.push(number)
  }
  return numbers
}

/** Null: nothing is there. What does not open is not ours, and is passed over as 0, which is looked at anyway. */
function * announcedAs ({ suite, seed, bank, unit }: Wallet, index: number, pause: Pause): Saga<number | null, WalletEffect> {
  const { handle, key } = generationSlot(suite, seed, bank, unit, index)
  yield * pause()
  const reply = yield * askBank('apart', { op: 'announced', handle })
  if (reply.is !== 'announced') throw badReply('bank')
  if (reply.box.length === 0) return null
  const content = unsealed(suite, key, reply.box)
  return content?.length === 4 ? new DataView(content.buffer, content.byteOffset).getUint32(0) : 0
}

/**
 * Announce a generation before anything derives under it, in the name of one of these coins, spent ones first. False where
 * there is no coin that can vouch.
 */
export function * announceGeneration (wallet: Wallet, generation: number, coins: readonly Found[], pause: Pause): Saga<boolean, WalletEffect> {
  const { suite, seed } = wallet
  for (const { coin, place } of [...coins].sort((a, b) => Number(b.state === 'spent') - Number(a.state === 'spent'))) {
    const { key } = coinSecrets(suite, seed, { keyset: coin.keyset, value: coin.value, ...place })
    try {
      yield * announce(wallet, generation, pause, (handle, box) => ({ op: 'announce', handle, box, by: coin, account: NONE, signature: suite.ed25519Sign(key, announceMessage(suite, handle, box)) }))
      return true
    } catch (error) {
      if (!isMixmintError(error, 'too-many-announcements')) throw error
    }
  }
  return false
}

/** In the name of the account, which the bank is told anyway when coins are withdrawn. @throws unknown-account, too-many-announcements (caller) */
export function * announceByAccount (wallet: Wallet, generation: number): Saga<void, WalletEffect> {
  const { suite, seed, bank, unit } = wallet
  const key = accountKey(suite, seed, bank, unit)
  const none = function * (): Saga<void> {}
  yield * announce(wallet, generation, none, (handle, box) => ({
    op: 'announce', handle, box, by: null, account: key.publicKey, signature: suite.ed25519Sign(key, announceMessage(suite, handle, box))
  }))
}

/** Under the first handle that is free. */
function * announce (wallet: Wallet, generation: number, pause: Pause, request: (handle: Uint8Array, box: Uint8Array) => BankRequest): Saga<void, WalletEffect> {
  const { suite, seed, bank, unit } = wallet
  for (let index = 0; index < MOST; index++) {
    const before = yield * announcedAs(wallet, index, pause)
    if (before === generation) return
    if (before !== null) continue
    const { handle, key } = generationSlot(suite, seed, bank, unit, index)
    yield * pause()
    try {
      const reply = yield * askBank('apart', request(handle, sealed(suite, key, u32(generation))))
      if (reply.is === 'filed') return
    } catch (error) {
      // Another machine of these words was faster: the next is free.
      if (!isMixmintError(error, 'handle-taken')) throw error
      continue
    }
    throw badReply('bank')
  }
  throw badReply('bank')
}
