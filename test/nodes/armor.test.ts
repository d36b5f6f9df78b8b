/** Money as text: what was written comes back; anything else is refused by what it is. */
import { beforeAll, expect, test } from 'vitest'
import { signInvoice } from '@mixmint/core/cash/contract'
import type { SignedInvoice } from '@mixmint/core/cash/formats'
import { armor, unarmor, unarmorAs } from '../../nodes/armor.ts'
import { verifyProofText } from '../../nodes/proof.ts'
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
  expect(() => unarmor(text.slice(0, -4))).toThrow(expect.objectContaining({ code: 'bad-encoding' }))
  expect(() => unarmorAs('coins', text)).toThrow(expect.objectContaining({ code: 'wrong-kind', message: expect.stringContaining('invoice') }))
  await expect(verifyProofText(text)).rejects.toMatchObject({ code: 'wrong-kind' })
})
