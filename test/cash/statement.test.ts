/** The bank's signed statements: anyone checks one, and two of them against each other. */
import { expect, test } from 'vitest'
import type { Statement } from '@mixmint/core/cash/formats'
import { compareStatements, signStatement, verifyStatement } from '@mixmint/core/cash/statement'
import { encode } from '@mixmint/core/kit/codec'
import { journalAt } from '@mixmint/core/cash/bank/keys'
import { JournalEntry } from '@mixmint/core/cash/bank/records'
import { armor } from '../../nodes/armor.ts'
import { verifyStatementTexts } from '../../nodes/statement.ts'
import { BankDesk } from '../doubles/bank-desk.ts'
import { keyNamed, suite } from '../doubles/economy.ts'

const bank = keyNamed('bank')
const one: Statement['keysets'][number] = { keyset: new Uint8Array(32).fill(1), issued: 10, redeemed: 4 }
const two = { keyset: new Uint8Array(32).fill(2), issued: 5, redeemed: 5 }
const said = (changes: Partial<Statement> = {}) => signStatement(suite, bank, { network: 'n', bank: bank.publicKey, unit: 'cent', time: 1000, keysets: [one, two], ...changes })

test('a bank says what it issued and redeemed, and whoever reads it can check that', async () => {
  const desk = new BankDesk()
  const first = await desk.run(desk.engine.statement())
  const coins = await desk.coins(8, 4, 1)
  desk.economy.clock.set(desk.economy.clock.now() + 5000)
  await desk.settled(desk.pay(5, [4]), [coins[0], coins[2]])
  const second = await desk.run(desk.engine.statement())
  expect(second.statement).toMatchObject({ bank: desk.economy.bank.publicKey, unit: 'EUR-cent', keysets: [{ keyset: desk.economy.known.id, issued: 17, redeemed: 9 }] })
  expect(await verifyStatementTexts([armor('statement', second), armor('statement', first)])).toEqual([second.statement, first.statement])
})

test('books that do not balance are signed by nobody', async () => {
  const desk = new BankDesk()
  await desk.coins(8)
  const keyset = desk.economy.known.id
  const spoilt = { kind: 'exchange' as const, postings: [{ ledger: 'coins' as const, of: keyset, debit: 20, credit: 0, nth: 0 }] }
  await desk.store.batch([{ op: 'put', key: journalAt(1, keyset), value: encode(JournalEntry, spoilt) }])
  await expect(desk.run(desk.engine.statement())).rejects.toMatchObject({ code: 'books-unbalanced', fault: 'operator' })
})

test('what is not the bank\'s, or makes no sense, is refused', () => {
  verifyStatement(suite, said())
  const { statement, signature } = said()
  for (const changed of [{ time: 1001 }, { unit: 'euro' }, { bank: keyNamed('other').publicKey }, { keysets: [one] }]) {
    expect(() => { verifyStatement(suite, { statement: { ...statement, ...changed }, signature }) }).toThrow(expect.objectContaining({ code: 'bad-statement-signature' }))
  }
  expect(() => { verifyStatement(suite, said({ keysets: [{ ...one, redeemed: 11 }] })) }).toThrow(expect.objectContaining({ code: 'overdrawn', fault: 'peer' }))
  for (const keysets of [[two, one], [one, one]]) expect(() => { verifyStatement(suite, said({ keysets })) }).toThrow(expect.objectContaining({ code: 'bad-statement' }))
})

test('two statements that cannot both be true convict the bank', () => {
  const later = (...keysets: Statement['keysets']) => said({ time: 2000, keysets })
  for (const fine of [said(), later(one, two), later({ ...one, issued: 11, redeemed: 11 }, two), later(one, two, { ...two, keyset: new Uint8Array(32).fill(3) })]) {
    compareStatements(said(), fine)
    compareStatements(fine, said())
  }
  for (const wrong of [later(one), later({ ...one, issued: 9 }, two), later({ ...one, redeemed: 3 }, two), said({ keysets: [{ ...one, issued: 11 }, two] }), said({ keysets: [one] })]) {
    expect(() => { compareStatements(said(), wrong) }).toThrow(expect.objectContaining({ code: 'statements-contradict', fault: 'peer' }))
    expect(() => { compareStatements(wrong, said()) }).toThrow(expect.objectContaining({ code: 'statements-contradict' }))
  }
  for (const other of [said({ unit: 'euro' }), said({ network: 'm' }), said({ bank: keyNamed('other').publicKey })]) {
    expect(() => { compareStatements(said(), other) }).toThrow(expect.objectContaining({ code: 'statements-of-two' }))
  }
})
