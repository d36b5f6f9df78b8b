/** Money as text: what was written comes back; anything else is refused by what it is. */
import { beforeAll, expect, test } from 'vitest'
import { signInvoice } from '@mixmint/core/cash/contract'
import type { SignedInvoice } from '@mixmint/core/cash/formats'
import { armor, unarmor, unarmorAs, uriOf } from '../../nodes/armor.ts'
import { verifyProofText } from '../../nodes/proof.ts'
import { signStatement, type SignedStatement } from '@mixmint/mixnet/directory/statement'
import { createEconomy, keyNamed, suite } from '../doubles/economy.ts'

let signed: SignedInvoice
beforeAll(() => { signed = signInvoice(suite, keyNamed('shop'), createEconomy().invoice({ payee: keyNamed('shop').publicKey })) })

test('an invoice comes back as it was, spaces around it forgiven', () => {
  const text = armor('invoice', signed)
  expect(text).toMatch(/^mixmint-invoice-1:[A-Za-z0-9_-]+$/)
  expect(unarmor(` ${text}\n`)).toEqual({ kind: 'invoice', value: signed })
  expect(unarmorAs('invoice', text)).toEqual(signed)
})

test('what is no such text is refused, and what is another kind is named', async () => {
  const text = armor('invoice', signed)
  for (const other of ['', 'hello', text.slice(1), text.replace('invoice', 'cheque'), text.replace('-1:', '-2:'), `${text}=`]) {
    expect(() => unarmor(other)).toThrow(expect.objectContaining({ code: 'bad-text', fault: 'caller' }))
  }
  expect(() => unarmor(text.slice(0, -4))).toThrow()
  expect(() => unarmor(text.replace('invoice', 'token'))).toThrow(expect.objectContaining({ code: 'bad-text' }))
  expect(unarmor(uriOf(text))).toEqual({ kind: 'invoice', value: signed })
  expect(() => unarmorAs('coins', text)).toThrow(expect.objectContaining({ code: 'wrong-kind', message: expect.stringContaining('invoice') }))
  await expect(verifyProofText(text)).rejects.toMatchObject({ code: 'wrong-kind' })
})

test('of one thing there is one text: no other last character is taken for it', () => {
  const key = keyNamed('authority')
  const statements = [1, 2].map(value => signStatement(suite, key, { network: 'nn'.repeat(value), epoch: 7, what: 'precommit', round: 2, value: new Uint8Array(32) }))
  const texts = [armor('invoice', signed), ...statements.map(first => armor('equivocation', { first, second: first }))]
  let same = 0
  for (const text of texts) {
    const [others, bytes] = [[...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'].map(last => text.slice(0, -1) + last).filter(other => other !== text), (of: string) => Buffer.from(of.split(':')[1], 'base64url').toString('hex')]
    for (const other of others) {
      if (bytes(other) !== bytes(text)) continue
      expect(() => unarmor(other)).toThrow(expect.objectContaining({ code: 'bad-text' }))
      same += 1
    }
  }
  expect(same).toBeGreaterThan(0)
})

test('a proof against a directory authority verifies with nothing else, and bent it does not', async () => {
  const key = keyNamed('authority')
  const say = (value: number, round = 2): SignedStatement => signStatement(suite, key, { network: 'n', epoch: 7, what: 'precommit', round, value: new Uint8Array(32).fill(value) })
  const proof = { first: say(1), second: say(2) }
  expect(await verifyProofText(armor('equivocation', proof))).toEqual({ kind: 'equivocation', authority: key.publicKey, network: 'n', epoch: 7, what: 'precommit' })
  const signedBy = (other: string): SignedStatement => ({ ...say(2), signature: signStatement(suite, keyNamed(other), say(2).statement).signature })
  for (const [bent, code] of [
    [{ first: say(1), second: say(1) }, 'proof-not-contradictory'],
    [{ first: say(1), second: say(2, 3) }, 'proof-not-contradictory'],
    [{ first: say(1), second: { ...say(2), authority: keyNamed('other').publicKey } }, 'proof-not-contradictory'],
    [{ first: say(1), second: signedBy('other') }, 'proof-signature'],
    [{ first: signedBy('other'), second: say(1) }, 'proof-signature']
  ] as const) {
    await expect(verifyProofText(armor('equivocation', bent))).rejects.toMatchObject({ code, fault: 'peer' })
  }
})
