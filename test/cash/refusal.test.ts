import { expect, test } from 'vitest'
import { decode, encode } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import { CenterReply } from '@mixmint/core/cash/messages'
import { errorOf, refusal } from '@mixmint/core/cash/refusal'

const sent = (error: unknown): CenterReply & { is: 'refused' } => decode(CenterReply, encode(CenterReply, refusal(error))) as CenterReply & { is: 'refused' }

test('what the asker did wrong reaches it word for word, and is its fault there', () => {
  const error = errorOf(sent(new MixmintError('bad-coin', 'peer', 'the bank has not signed this coin')))
  expect(error).toMatchObject({ code: 'bad-coin', fault: 'caller', retry: false, message: 'the bank has not signed this coin' })
})

test('what is wrong inside the service is told by code only', () => {
  for (const fault of ['operator', 'us'] as const) {
    const refused = sent(new MixmintError('store-full', fault, 'no space left in /var/lib/somewhere', { retry: true }))
    expect(refused.message).not.toContain('/var')
    expect(errorOf(refused)).toMatchObject({ code: 'store-full', fault: 'peer', retry: true })
  }
})

test('a defect is an internal error and tells nothing', () => {
  const refused = sent(new TypeError('cannot read secret of undefined'))
  expect(refused).toMatchObject({ code: 'internal', fault: 'us' })
  expect(refused.message).not.toContain('secret')
})

test('a long message is cut to what the format holds', () => {
  expect(sent(new MixmintError('x'.repeat(99), 'peer', 'y'.repeat(9999))).message.length).toBe(512)
})
