/**
 * A center's check of a new spend, with its durable vote, 64 in flight, beside the sum of what it cannot do without: one
 * RSA-2048 verification, one Ed25519 verification, one Ed25519 signature, one durable insert at 64 in flight. And the votes of a
 * center in a process of its own (center-node.ts), asked over one libp2p stream.
 */
import { fork } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { concat, fromHex, toHex, utf8 } from '@mixmint/core/kit/bytes'
import { decode, encode, tagged } from '@mixmint/core/kit/codec'
import type { Store } from '@mixmint/core/kit/ports'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { encodePss } from '@mixmint/core/crypto/pss'
import type { RsaPrivateKey, Suite } from '@mixmint/core/crypto/suite'
import type { CenterEngine } from '@mixmint/core/cash/center'
import { coinId, coinMessage } from '@mixmint/core/cash/coin'
import { Ring, SignedKeyset, Spend } from '@mixmint/core/cash/formats'
import { keysetId, signKeyset } from '@mixmint/core/cash/keyset'
import { CENTER_PROTOCOL, CenterReply, CenterRequest } from '@mixmint/core/cash/messages'
import type { Registry } from '@mixmint/core/cash/registry'
import { ringId } from '@mixmint/core/cash/ring'
import { signSpend } from '@mixmint/core/cash/spend'
import { RpcClient } from '@mixmint/mixnet/wire/rpc-client'
import { systemClock, systemRng } from '../nodes/clock.ts'
import { createHost } from '../nodes/host.ts'
import { freshIdentity } from '../nodes/identity.ts'
import type { Ready, Report, Setup } from './center-node.ts'
import { centerOf, HOUR, keyNamed } from './center-of.ts'
import { compare, insertAll, IN_FLIGHT, run, timeInFlight, withStore } from './durable.ts'
import { atLeast, figure, goal, median, time, timeInFlight as inFlight, type Row } from './harness.ts'

const GOAL = 1.3
const ROUNDS = 9
const COUNT = 256
/** On one stream, as many as a center works on. */
const STREAM = 256
const STREAM_ROUNDS = 5
const STREAM_COUNT = 1024

/** A network whose coins are all kept by center 0, and enough spends of it for every round. */
export function setUp (suite: Suite): { engine: CenterEngine, spends: Spend[], rsa: RsaPrivateKey, registry: Registry, signed: SignedKeyset, ring: Ring } {
  const rsa = suite.rsaImportPrivate(new Uint8Array(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'der' })))
  const [bank, now] = [keyNamed(suite, 'bank'), systemClock.now()]
  const centers = [0, 1, 2, 3].map(i => ({ id: suite.sha256(utf8(`center ${i}`)), voteKey: keyNamed(suite, `vote ${i}`).publicKey, weight: 1 }))
  const ring: Ring = { centers, virtualNodesPerWeight: 512, replicas: 4, faults: 1, quorum: 3 }
  const signed = signKeyset(suite, bank, {
    network: 'bench', bank: bank.publicKey, unit: 'EUR-cent', denominations: [{ value: 1, key: rsa.publicKey.n }],
    issueFrom: now - HOUR, issueUntil: now + HOUR, spendUntil: now + 2 * HOUR, redeemUntil: now + 3 * HOUR, refundUntil: now + 4 * HOUR,
    ringId: ringId(suite, ring)
  })
  const keyset = keysetId(suite, signed.keyset)
  const spends = Array.from({ length: Math.max((ROUNDS + 1) * COUNT, (STREAM_ROUNDS + 1) * STREAM_COUNT) }, () => {
    const owner = suite.ed25519KeyPair(systemRng.bytes(32))
    const encoded = encodePss(suite.sha384, coinMessage(keyset, 1, owner.publicKey), new Uint8Array(0), 2047)
    const signature = suite.rsaBlindSign(rsa, encoded)
    if (signature === null) throw new Error('a PSS encoding is below its modulus')
    return signSpend(suite, owner, { keyset, value: 1, publicKey: owner.publicKey, signature }, systemRng.bytes(32)).spend
  })
  return { ...centerOf(suite, signed, ring), spends, rsa, signed, ring }
}

/** Votes of a center in a process of its own. */
async function streamRows (spends: readonly Spend[], signed: SignedKeyset, ring: Ring): Promise<Row[]> {
  const child = fork(fileURLToPath(new URL('./center-node.ts', import.meta.url)), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  child.send({ keyset: toHex(encode(SignedKeyset, signed)), ring: toHex(encode(Ring, ring)) } satisfies Setup)
  const [{ peer, address }] = await once(child, 'message') as [Ready]
  const busy = async (): Promise<number> => {
    child.send('report')
    const [used] = await once(child, 'message') as [Report]
    return used
  }
  const meter = { count: () => {} }
  const host = await createHost({ privateKey: await freshIdentity(), role: 'node', isKnown: () => true, listen: [], meter })
  const rpc = new RpcClient({ node: host.node, meter })
  const to = { peer: fromHex(peer), addresses: [address] }
  const requests = spends.map(spend => encode(CenterRequest, { op: 'spend', spend }))
  const rounds: Array<{ wall: number, busy: number }> = []
  for (let round = 0; round <= STREAM_ROUNDS; round++) {
    const before = await busy()
    const wall = await inFlight(STREAM_COUNT, STREAM, async i => {
      const reply = decode(CenterReply, await rpc.request(to, CENTER_PROTOCOL, requests[round * STREAM_COUNT + i]))
      if (reply.is !== 'vote') throw new Error(`no vote but ${JSON.stringify(reply)}`)
    })
    rounds.push({ wall, busy: 1000 * (await busy() - before) / STREAM_COUNT })
  }
  rpc.close()
  await host.stop()
  child.send('stop')
  await once(child, 'exit')
  const warm = rounds.slice(1)
  return [
    atLeast('center: votes over a libp2p stream, a second in which its thread is busy', 1e6 / median(warm.map(({ busy }) => busy)), '1/s', 7000),
    figure(`center: votes over a libp2p stream, ${STREAM} in flight`, 1e6 / median(warm.map(({ wall }) => wall)), '1/s')
  ]
}

export async function centerRows (): Promise<Row[]> {
  const suite = await defaultSuite()
  const { engine, spends, rsa, signed: keyset, ring } = setUp(suite)
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
      figure('center: a spend that is asked again', again, 'µs'),
      ...await streamRows(spends, keyset, ring)
    ]
  })
}
