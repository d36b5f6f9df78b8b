/** What a bank's operator asks of the running bank about accounts and books (nodes/cli/bank.ts). */
import { fromHex, toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Saga } from '@mixmint/core/kit/saga'
import type { BankEngine } from '@mixmint/core/cash/bank/engine'
import type { BankEffect } from '@mixmint/core/cash/bank/parts'
import { armor } from '../armor.ts'
import type { JsonObject, Operations } from '../control.ts'
import { whole, word } from '../control-input.ts'

type Run = <T>(saga: Saga<T, BankEffect>) => Promise<T>

export function bankOperations (engine: BankEngine, unit: string, run: Run): Operations {
  const accountIn = (input: JsonObject): Uint8Array => {
    const text = word(input, 'account')
    if (!/^[0-9a-f]{64}$/.test(text)) throw new MixmintError('bad-argument', 'caller', 'account: a key of 64 hexadecimal digits is wanted')
    return fromHex(text)
  }
  const view = async (account: Uint8Array): Promise<JsonObject> => {
    const standing = await run(engine.standing(account))
    return {
      unit, balance: await run(engine.balance(account)), state: standing?.state ?? 'open', note: standing?.note ?? '',
      since: standing === null ? null : new Date(standing.time).toISOString()
    }
  }
  const stand = (change: 'open' | 'freeze' | 'thaw' | 'close') => async (input: JsonObject): Promise<JsonObject> => {
    const account = accountIn(input)
    await run(engine.stand(change, account, word(input, 'note')))
    return await view(account)
  }
  return {
    credit: async input => ({ unit, balance: await run(engine.credit(accountIn(input), whole(input, 'amount'), word(input, 'reference'))) }),
    payOut: async input => ({ unit, balance: await run(engine.payOut(accountIn(input), whole(input, 'amount'), word(input, 'reference'))) }),
    balance: async input => await view(accountIn(input)),
    open: stand('open'),
    freeze: stand('freeze'),
    thaw: stand('thaw'),
    close: stand('close'),
    books: async () => {
      const { time, credited, paidOut, accounts, tokens, issued, redeemed, outstanding, balanced, faults, keysets } = await run(engine.books())
      return {
        unit, time: new Date(time).toISOString(), credited, paidOut, accounts, tokens, issued, redeemed, outstanding, balanced, faults,
        keysets: keysets.map(({ keyset, ...sums }) => ({ keyset: toHex(keyset), ...sums }))
      }
    },
    statement: async () => ({ statement: armor('statement', await run(engine.statement())) })
  }
}
