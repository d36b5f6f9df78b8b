/** That the model (test/model) finds a wallet, or a bank, that is broken: the same histories with one that is not, and with one that is. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { NONE, u64 } from '@mixmint/core/kit/bytes'
import { batch } from '@mixmint/core/kit/saga'
import type * as Issued from '@mixmint/core/cash/bank/issued'
import { batchAt } from '@mixmint/core/cash/wallet/keys'
import type * as Purse from '@mixmint/core/cash/wallet/purse'
import type * as RestoreFinish from '@mixmint/core/cash/wallet/restore-finish'
import { live, type History } from '../model/histories.ts'

const broken = vi.hoisted(() => ({ lock: false, generation: false, order: false }))
afterEach(() => { Object.assign(broken, { lock: false, generation: false, order: false }) })

vi.mock('@mixmint/core/cash/bank/issued', async original => {
  const { goneOf, ...others } = await original<typeof Issued>()
  const gone: typeof goneOf = function * (serial, hash) {
    const found = yield * goneOf(serial, hash)
    return found !== null && broken.order ? { ...found, shownFor: NONE } : found
  }
  return { ...others, goneOf: gone }
})

vi.mock('@mixmint/core/cash/wallet/purse', async original => {
  const purse = await original<typeof Purse>()
  const lock: typeof purse.lock = (coins, state, operation) => {
    const ops = purse.lock(coins, state, operation)
    return broken.lock && state === 'given' ? [] : ops
  }
  return { ...purse, lock }
})

vi.mock('@mixmint/core/cash/wallet/restore-finish', async original => {
  const { finishRestore, ...others } = await original<typeof RestoreFinish>()
  const goOn: typeof finishRestore = function * (wallet, state) {
    if (!broken.generation) return yield * finishRestore(wallet, state)
    // Under the first generation, and after all that was ever derived there.
    const restored = yield * finishRestore(wallet, { ...state, generation: 0 })
    yield * batch([{ op: 'put', key: batchAt(0), value: u64(8) }])
    return restored
  }
  return { ...others, finishRestore: goOn }
})

const HOUR = 3_600_000
const setting: History['setting'] = { beyond: false, long: false, seed: 1, faults: { loss: 0, duplicate: 0, late: 0 }, speed: [0, 3], liars: [] }

/** What breaks; null: nothing. */
function lawOf (steps: History['steps']): string | null {
  try {
    live({ setting, steps })
    return null
  } catch (error) {
    return String(error)
  }
}

describe('found is a wallet that', () => {
  it('does not lock what it gave away', () => {
    const steps: History['steps'] = [
      { wait: 0, act: { do: 'give', person: 0, amount: 25, good: HOUR, to: [{ next: 1, after: HOUR / 2 }] } },
      { wait: 1000, act: { do: 'pay', person: 0, shop: 0, amount: 25 } },
      { wait: 0, act: { do: 'pay', person: 0, shop: 1, amount: 25 } }
    ]
    expect(lawOf(steps)).toBe(null)
    broken.lock = true
    expect(lawOf(steps)).toContain('a wallet uses a coin that it gave away')
  })

  it('goes on under the generation of the machine that was lost', () => {
    const steps: History['steps'] = [
      { wait: 0, act: { do: 'lose', person: 0, effect: null, when: 'before', secure: true } },
      { wait: HOUR, act: { do: 'withdraw', person: 0, amount: 18 } }
    ]
    expect(lawOf(steps)).toBe(null)
    broken.generation = true
    expect(lawOf(steps)).toContain('derives under a generation of before')
  })
})

describe('found is a bank that', () => {
  it.each(['token', 'sealed'] as const)('forgets for which order it has credited a token (%s)', kind => {
    const steps: History['steps'] = (['till', 'mixnet'] as const).map((at, shop) => ({ wait: 1000, act: { do: 'buy-and-pay', with: kind, at, person: 0, shop, amount: 7 } }))
    expect(lawOf(steps)).toBe(null)
    broken.order = true
    expect(lawOf(steps)).toContain('and the bank\'s word is for 0')
  })
})
