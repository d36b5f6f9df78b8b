/**
 * A center's check of a new spend, with its durable vote, 64 in flight, beside the sum of what it cannot do without: one
 * RSA-2048 verification, one Ed25519 verification, one Ed25519 signature, one durable insert at 64 in flight.
 */
import { generateKeyPairSync } from 'node:crypto'
import { concat, utf8 } from '@mixmint/core/kit/bytes'
import { encode, tagged } from '@mixmint/core/kit/codec'
import type { Store } from '@mixmint/core/kit/ports'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { encodePss } from '@mixmint/core/crypto/pss'
import type { RsaPrivateKey, Suite } from '@mixmint/core/crypto/suite'
import { CenterEngine } from '@mixmint/core/cash/center'
import { coinId, coinMessage } from '@mixmint/core/cash/coin'
import { Spend, type Ring } from '@mixmint/core/cash/formats'
import { keysetId, signKeyset } from '@mixmint/core/cash/keyset'
import { Registry } from '@mixmint/core/cash/registry'
import { ringId } from '@mixmint/core/cash/ring'
import { signSpend } from '@mixmint/core/cash/spend'
import { systemClock, systemRng } from '../nodes/clock.ts'
import { compare, insertAll, IN_FLIGHT, run, timeInFlight, withStore } from './durable.ts'
import { figure, goal, time, type Row } from './harness.ts'

const GOAL = 1.5
const ROUNDS = 9
const COUNT = 256
const HOUR = 3_600_000

/** A network whose coins are all kept by center 0, and enough spends of it for every round. */
export function setUp (suite: Suite): { engine: CenterEngine, spends: Spend[], rsa: RsaPrivateKey, registry: Registry } {
  const rsa = suite.rsaImportPrivate(new Uint8Array(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'der' })))
  const key = (name: string) => suite.ed25519KeyPair(suite.sha256(utf8(name)))
  const [bank, now] = [key('bank'), systemClock.now()]
  const centers = [0, 1, 2, 3].map(i => ({ id: suite.sha256(utf8(`center ${i}`)), voteKey: key(`vote ${i}`).publicKey, weight: 1 }))
  const ring: Ring = { centers, virtualNodesPerWeight: 512, replicas: 4, faults: 1, quorum: 3 }
  const signed = signKeyset(suite, bank, {
    network: 'bench', bank: bank.publicKey, unit: 'EUR-cent', denominations: [{ value: 1, key: rsa.publicKey.n }],
    issueFrom: now - HOUR, issueUntil: now + HOUR, spendUntil: now + 2 * HOUR, redeemUntil: now + 3 * HOUR, refundUntil: now + 4 * HOUR,
    ringId: ringId(suite, ring)
  })
  const parameters = { clockSkew: 0, settleMaximum: HOUR, voidGrace: 0, margin: 0, tokenValid: HOUR, tokenDeposit: HOUR, tokenRefund: HOUR, keeperTimeout: 1000 }
  const registry = new Registry(suite, 'bench', parameters, [{ bank: bank.publicKey, keysets: [signed], rings: [ring], dayKeys: [], sealedDays: [], revocations: [] }])
  const keyset = keysetId(suite, signed.keyset)
  const spends = Array.from({ length: (ROUNDS + 1) * COUNT }, () => {
    const owner = suite.ed25519KeyPair(systemRng.bytes(32))
    const encoded = encodePss(suite.sha384, coinMessage(keyset, 1, owner.publicKey), new Uint8Array(0), 2047)
    const signature = suite.rsaBlindSign(rsa, encoded)
    if (signature === null) throw new Error('a PSS encoding is below its modulus')
    return signSpend(suite, owner, { keyset, value: 1, publicKey: owner.publicKey, signature }, systemRng.bytes(32)).spend
  })
  const engine = new CenterEngine({ suite, id: centers[0].id, voteKeys: [key('vote 0')], registry: () => registry, meter: { count: () => {} } })
  return { engine, spends, rsa, registry }
}

export async function centerRows (): Promise<Row[]> {
  const suite = await defaultSuite()
  const { engine, spends, rsa } = setUp(suite)
  const messages = spends.map(({ coin }) => coinMessage(coin.keyset, coin.value, coin.publicKey))
  const signed = spends.map(spend => tagged('spend', coinId(suite, spend.coin), spend.d))
  const rows = spends.map(spend => ({ key: concat(utf8('row'), coinId(suite, spend.coin)), value: encode(Spend, spend) }))
  const voteKey = suite.ed25519KeyPair(systemRng.bytes(32))
  const primitives = (store: Store) => [
    { name: 'RSA-2048 verify', times: 1, measure: (count: number, from: number) => time(count, i => suite.rsaVerifyPss(rsa.publicKey, messages[from + i], spends[from + i].coin.signature, 0)) },
    { name: 'Ed25519 verify', times: 1, measure: (count: number, from: number) => time(count, i => suite.ed25519Verify(spends[from + i].coin.publicKey, signed[from + i], spends[from + i].signature)) },
    { name: 'Ed25519 sign', times: 1, measure: (count: number, from: number) => time(count, i => suite.ed25519Sign(voteKey, signed[from + i])) },
    { name: `durable insert, ${IN_FLIGHT} in flight`, times: 1, measure: async (count: number, from: number) => await timeInFlight(count, async i => { await insertAll(store, [{ op: 'insert', ...rows[from + i] }]) }) }
  ]
  return await withStore(async store => {
    const check = async (count: number, from: number): Promise<number> => await timeInFlight(count, async i => {
      const reply = await run(store, engine.handle({ op: 'spend', spend: spends[from + i] }))
      if (reply.is !== 'vote') throw new Error(`no vote but ${JSON.stringify(reply)}`)
    })
    const compared = await compare(ROUNDS, COUNT, check, primitives(store))
    const again = await check(COUNT, COUNT)
    return [
      goal(`center: spend check with durable vote, ${IN_FLIGHT} in flight, to the sum of its primitives`, compared.ratio, compared.engine, 'µs', GOAL),
      figure('center: the sum of those primitives', compared.sum, 'µs'),
      ...compared.parts.map(({ name, value }) => figure(`center: ${name}`, value, 'µs')),
      figure(`center: spend checks, ${IN_FLIGHT} in flight`, 1e6 / compared.engine, '1/s'),
      figure('center: a spend that is asked again', again, 'µs')
    ]
  })
}
