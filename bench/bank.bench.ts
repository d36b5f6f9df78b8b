/**
 * The bank: what a blind signature costs beside the raw RSA-2048 operation and its verification; alone, and as one of the
 * 64 of a withdrawal: request checked, outputs hashed, account debited, answer remembered, durably, before it is given.
 */
import { constants, createPrivateKey, createPublicKey, privateEncrypt, publicEncrypt, randomBytes } from 'node:crypto'
import { drive } from '@mixmint/core/kit/saga'
import { BankEngine } from '@mixmint/core/cash/bank/engine'
import type { BankEffect } from '@mixmint/core/cash/bank/parts'
import { withdrawMessage } from '@mixmint/core/cash/bank-requests'
import { withdrawalId } from '@mixmint/core/cash/contract'
import type { Output, Withdrawal } from '@mixmint/core/cash/formats'
import type { BankRequest } from '@mixmint/core/cash/messages'
import { createEconomy, NETWORK, rsaKeys, rsaPkcs8, suite, UNIT } from '../test/doubles/economy.ts'
import { compare, withStore } from './durable.ts'
import { figure, goal, time, type Row } from './harness.ts'

const GOAL = 1.2
const OUTPUTS = 64
const ROUNDS = 25

/** A number below every modulus, as a blinded message is. */
function blinded (): Uint8Array {
  const bytes = new Uint8Array(randomBytes(256))
  bytes[0] = 0
  return bytes
}

export async function bankRows (): Promise<Row[]> {
  const economy = createEconomy()
  const { clock, rng, meter, account, known } = economy
  const [key] = rsaKeys
  const privateKey = createPrivateKey({ key: Buffer.from(rsaPkcs8[0]), format: 'der', type: 'pkcs8' })
  const publicKey = createPublicKey(privateKey)
  const padding = constants.RSA_NO_PADDING
  const outputs = Array.from({ length: OUTPUTS * (ROUNDS + 1) }, (): Output => ({ keyset: known.id, value: 1, blinded: blinded() }))
  const requests = Array.from({ length: ROUNDS + 1 }, (_, round): BankRequest => {
    const withdrawal: Withdrawal = {
      network: NETWORK, bank: economy.bank.publicKey, account: account.publicKey, unit: UNIT, nonce: rng.bytes(32),
      outputs: outputs.slice(round * OUTPUTS, (round + 1) * OUTPUTS)
    }
    return { op: 'withdraw', withdrawal, signature: suite.ed25519Sign(account, withdrawMessage(withdrawalId(suite, withdrawal))) }
  })
  const primitives = [
    { name: 'raw RSA-2048 private operation', times: 1, measure: (count: number, from: number) => time(count, i => privateEncrypt({ key: privateKey, padding }, outputs[from + i].blinded)) },
    { name: 'raw RSA-2048 public operation', times: 1, measure: (count: number, from: number) => time(count, i => publicEncrypt({ key: publicKey, padding }, outputs[from + i].blinded)) }
  ]

  return await withStore(async store => {
    const engine = new BankEngine({ suite, network: NETWORK, bank: economy.bank, unit: UNIT, registry: () => economy.registry, dayKey: () => undefined, sealedKeys: () => undefined, meter })
    const ports = { clock, rng, store, wait: clock.wait }
    const perform = async (effect: BankEffect): Promise<unknown> => effect.do === 'blind-sign' ? suite.rsaBlindSign(key, effect.blinded) : await economy.askCenter(effect)
    await drive(engine.credit(account.publicKey, outputs.length, 'bench'), ports, perform)
    const withdraw = async (count: number, from: number): Promise<number> => {
      const started = performance.now()
      const reply = await drive(engine.handle(requests[from / OUTPUTS]), ports, perform)
      if (reply.is !== 'signatures') throw new Error(`the withdrawal failed: ${reply.is === 'refused' ? reply.code : reply.is}`)
      return (performance.now() - started) * 1000 / count
    }
    const alone = await compare(ROUNDS, OUTPUTS, async (count, from) => time(count, i => suite.rsaBlindSign(key, outputs[from + i].blinded)), primitives)
    const whole = await compare(ROUNDS, OUTPUTS, withdraw, primitives)
    return [
      goal(`bank: signature, to the sum of its primitives (${suite.name})`, alone.ratio, alone.engine, 'µs', GOAL),
      figure('bank: the sum of those primitives', alone.sum, 'µs'),
      ...alone.parts.map(({ name, value }) => figure(`bank: ${name}`, value, 'µs')),
      figure(`bank: signature as one of ${OUTPUTS} in a withdrawal, durable`, whole.engine, 'µs'),
      figure(`bank: signatures in withdrawals of ${OUTPUTS}, durable`, 1e6 / whole.engine, '1/s')
    ]
  })
}
