/** A network of real processes: wallets, locks, crashes and hostile peers, through the program's own commands. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { BANK_PROTOCOL, BankReply, CENTER_PROTOCOL, CenterReply } from '@mixmint/core/cash/messages'
import { decode } from '@mixmint/core/kit/codec'
import { MIX_PROTOCOL } from '@mixmint/mixnet/wire/packets'
import { parseTarget, type Target } from '@mixmint/mixnet/wire/peers'
import { RpcClient } from '@mixmint/mixnet/wire/rpc-client'
import { startNetwork } from '../../nodes/cli/up.ts'
import type { JsonObject } from '../../nodes/control.ts'
import { Stage } from '../../nodes/demo/stage.ts'
import { createHost, type Host } from '../../nodes/host.ts'
import { freshIdentity, loadOrCreateIdentity } from '../../nodes/identity.ts'
import { createNetwork, SMALL_NETWORK } from '../../nodes/layout.ts'
import { Counters } from '../../nodes/observe.ts'
import { PROGRAM } from '../../nodes/program.ts'
import { WalletSession } from '../../nodes/wallet-session.ts'

const hasStrace = spawnSync('strace', ['-V']).status === 0

let stage: Stage
let stranger: Host
let nodes: Array<{ role: string, peer: string, address: string, entry: string[] }>

beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mixmint-test-'))
  await createNetwork(await defaultSuite(), dir, SMALL_NETWORK)
  stage = new Stage(dir, SMALL_NETWORK)
  await startNetwork(stage.supervisor, SMALL_NETWORK, true)
  await stage.command('wallet', 'init')
  const { account } = await stage.command('wallet', 'account')
  await stage.command('bank', 'credit', String(account), '4000', '--reference', 'test')
  nodes = (await stage.command('directory', 'show', '--net', dir)).nodes as unknown as typeof nodes
  stranger = await createHost({ privateKey: await freshIdentity(), role: 'wallet', listen: [], meter: new Counters() })
})

afterAll(async () => {
  await stranger.stop()
  await stage.stop()
  rmSync(stage.dir, { recursive: true, force: true })
})

function target (role: string): Target {
  const node = nodes.find(each => each.role === role)
  return parseTarget(`${node?.entry[0]}/p2p/${node?.peer}`)
}

describe('a wallet', () => {
  test('that is in use is refused to a second process', async () => {
    const first = await WalletSession.open(stage.dir, join(stage.dir, 'wallet'))
    try {
      expect((await stage.attempt('wallet', 'balance')).error).toMatchObject({ code: 'folder-in-use' })
    } finally {
      await first.close()
    }
    expect((await stage.attempt('wallet', 'balance')).error).toBeUndefined()
  })

  test('pays with sealed tokens, at the counter and over the mixnet', async () => {
    await stage.command('wallet', 'withdraw', '500')
    expect((await stage.command('wallet', 'token', '99', '--sealed')).sealed).toEqual([1, 2, 32, 64])
    const ordered = await stage.command('wallet', 'order', 'song')
    expect((await stage.command('wallet', 'pay', String(ordered.invoice), '--with', 'sealed')).paid).toBe(true)
    const { invoice } = await stage.command('merchant', 'invoice', 'sealed', '99')
    await stage.command('wallet', 'token', '99', '--sealed')
    const { file } = await stage.command('wallet', 'present', String(invoice), '--sealed', '--out', join(stage.dir, 'sealed-payment'))
    const accepted = await stage.command('merchant', 'accept', String(file))
    expect(accepted).toMatchObject({ state: 'paid', how: 'sealed', repeat: false, amount: 99 })
    expect(await stage.attempt('merchant', 'accept', String(file))).toMatchObject({ state: 'paid', repeat: true })
    // The shop has signed nothing that the wallet has: the bank's word is enough, once the tokens are turned in.
    const receipt = async (): Promise<JsonObject> => await stage.attempt('wallet', 'receipt', String(accepted.order), '--bank', '--pace', '0')
    expect(await receipt()).toMatchObject({ error: { code: 'not-settled', retry: true } })
    expect(await stage.command('merchant', 'deposit')).toMatchObject({ credited: 8, refused: 0, amount: 198 })
    const told = await receipt()
    expect(told).toMatchObject({ by: 'sealed', amount: 99, had: 99 })
    expect(await stage.command('receipt', 'verify', String(told.receipt))).toMatchObject({ paid: true, by: 'sealed', had: 99, amount: 99 })
    expect((await stage.command('bank', 'books')).balanced).toBe(true)
  })

  test('killed while it pays completes the same payment, once', async () => {
    await stage.command('wallet', 'withdraw', '2000')
    const { invoice } = await stage.command('wallet', 'order', 'song')
    const before = await stage.command('wallet', 'balance')
    const paying = spawn(process.execPath, [PROGRAM, 'wallet', '--net', stage.dir, 'pay', String(invoice), '--with', 'coins'], { stdio: 'ignore' })
    // As soon as the payment is durable in the wallet or through: the merchant's order list shows when it is paid.
    const paid = async (): Promise<boolean> => ((await stage.command('merchant', 'orders')).orders as Array<{ state: string }>).some(({ state }) => state === 'paid (coins)')
    while (!await paid() && paying.exitCode === null) { /* asking again is waiting */ }
    paying.kill('SIGKILL')
    if (paying.exitCode === null && paying.signalCode === null) await once(paying, 'exit')
    await stage.command('wallet', 'recover')
    const after = await stage.command('wallet', 'balance')
    expect(after).toMatchObject({ available: Number(before.available) - 99, promised: 0, leftOver: 0 })
    const again = await stage.command('wallet', 'pay', String(invoice), '--with', 'coins')
    expect(again.paid).toBe(true)
    expect((await stage.command('wallet', 'balance')).available).toBe(after.available)
    expect((await stage.command('bank', 'books'))).toMatchObject({ balanced: true, outstanding: after.available })
  })

  test('that could not write a payment writes the same one at the next try', async () => {
    const { invoice } = await stage.command('merchant', 'invoice', 'a fig', '11')
    await stage.command('wallet', 'token', '11')
    await stage.command('wallet', 'token', '11')
    const { error } = await stage.attempt('wallet', 'present', String(invoice), '--out', join(stage.dir, 'missing', 'fig.txt'))
    expect(error).toMatchObject({ code: 'cannot-write', fault: 'operator' })
    const file = join(stage.dir, 'fig.txt')
    const { serial } = await stage.command('wallet', 'present', String(invoice), '--out', file)
    expect(await stage.command('wallet', 'present', String(invoice), '--out', file)).toMatchObject({ serial })
    expect(await stage.control('merchant', 'accept', { payment: readFileSync(file, 'utf8') })).toMatchObject({ state: 'paid', repeat: false })
  })

  test('whose gateway is dead goes through another, and back to its own when that returns', async () => {
    const { gateway } = await stage.command('wallet', 'shop')
    const guard = nodes.findIndex(({ peer }) => peer === gateway)
    const ids = await Promise.all(['gateway-1', 'gateway-2'].map(async name => ({ name, peer: peerIdFromPrivateKey(loadOrCreateIdentity(join(stage.dir, name, 'identity.key'))).toString() })))
    const own = ids.find(({ peer }) => peer === gateway)?.name ?? ''
    expect(nodes[guard].role).toBe('gateway')
    await stage.supervisor.kill(own)
    expect((await stage.command('wallet', 'shop')).merchants).toHaveLength(1)
    await stage.supervisor.start(own)
    const before = Number((await stage.status(own)).received)
    expect(await stage.command('wallet', 'shop')).toMatchObject({ gateway })
    expect(Number((await stage.status(own)).received)).toBeGreaterThan(before)
  })

  test('whose machine is lost comes back from its words, which no process shows', async () => {
    const { available } = await stage.command('wallet', 'balance')
    const [words] = readFileSync(join(stage.dir, 'wallet', 'words'), 'utf8').split('\n')
    rmSync(join(stage.dir, 'wallet'), { recursive: true })
    const child = spawn(process.execPath, [PROGRAM, 'wallet', '--net', stage.dir, '--json', 'restore', '--pace', '0.05'], { stdio: ['pipe', 'pipe', 'inherit'] })
    let said = ''
    child.stdout.on('data', chunk => { said += String(chunk) })
    child.stdin.end(`${words}\n`)
    await once(child, 'close')
    expect(JSON.parse(said)).toMatchObject({ available, inFlight: 0, bad: 0 })
    expect(await stage.command('wallet', 'balance')).toMatchObject({ available, promised: 0, leftOver: 0 })
    expect((await stage.command('wallet', 'buy', 'song', '--with', 'coins')).paid).toBe(true)
    expect(await stage.command('bank', 'books')).toMatchObject({ balanced: true })
  })

  test('without money is told so, and loses nothing', async () => {
    const { error } = await stage.attempt('wallet', 'token', '1000000')
    expect(error).toMatchObject({ code: 'insufficient-funds', fault: 'caller' })
    expect((await stage.command('wallet', 'pending')).entries).toEqual([])
  })
})

describe('a till', () => {
  const clerk = async (...args: string[]): Promise<{ said: string, code: number | null }> => {
    const child = spawn(process.execPath, [PROGRAM, 'merchant', '--net', stage.dir, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { said += chunk.toString('utf8') })
    const [code] = await once(child, 'close') as [number | null]
    return { said, code }
  }

  test('says PAID for nothing but a payment, and once', async () => {
    const { invoice } = await stage.command('merchant', 'invoice', 'a pear', '7')
    const [paper, offer] = [join(stage.dir, 'pear.txt'), join(stage.dir, 'pear-coins.txt')]
    writeFileSync(paper, String(invoice))
    expect(await clerk('accept', paper)).toMatchObject({ code: 1, said: expect.stringContaining('wrong-kind') })
    expect(await clerk('accept', join(stage.dir, 'missing.txt'))).toMatchObject({ code: 3, said: expect.stringContaining('no-such-file') })
    await stage.command('wallet', 'offer', paper, '--out', offer)
    expect(await clerk('accept', offer)).toMatchObject({ code: 0, said: expect.stringMatching(/^PAID: order #\d+ a pear, 7 cent/) })
    expect(await clerk('accept', offer)).toMatchObject({ code: 1, said: expect.stringMatching(/^ALREADY PAID/) })
  })
})

describe('a center', () => {
  test.skipIf(!hasStrace)('sends its vote only after the spend is on disk', async () => {
    const { coins } = await stage.command('wallet', 'coins', '--for', '1') as unknown as { coins: Array<{ keepers: string[] }> }
    const ids = await Promise.all(stage.centers.map(async name => ({ name, id: (await stage.status(name)).center })))
    const keeper = ids.find(({ id }) => coins[0].keepers.includes(String(id)))?.name ?? ''
    const trace = join(stage.dir, 'trace')
    const strace = spawn('strace', ['-f', '-tt', '-yy', '-e', 'trace=read,write,writev,fdatasync', '-o', trace, '-p', String(stage.supervisor.pid(keeper))], { stdio: ['ignore', 'ignore', 'pipe'] })
    await once(strace.stderr, 'data') // attached
    const { invoice } = await stage.control('merchant', 'invoice', { order: 'under observation', amount: 1 })
    expect((await stage.command('wallet', 'pay', String(invoice), '--with', 'coins')).paid).toBe(true)
    strace.kill('SIGINT')
    await once(strace, 'exit')

    const calls = readFileSync(trace, 'utf8').split('\n')
    // A spend is more than 400 bytes with its coin, a vote more than 100; what streams and connections say of themselves is less.
    const size = (line: string): number => Number(/= (\d+)$/.exec(line)?.[1] ?? 0)
    const asked = calls.findIndex(line => /read\(\d+<TCP/.test(line) && size(line) > 400)
    const answered = calls.findIndex((line, i) => i > asked && /writev?\(\d+<TCP/.test(line) && size(line) > 100)
    const synced = calls.findIndex((line, i) => i > asked && /fdatasync/.test(line) && / = 0$/.test(line))
    expect(asked).toBeGreaterThan(-1)
    expect(answered).toBeGreaterThan(asked)
    expect(synced).toBeGreaterThan(asked)
    expect(synced).toBeLessThan(answered)
  })
})

describe('a node of the network', () => {
  test('answers garbage with typed refusals, and goes on', async () => {
    const rpc = new RpcClient({ node: stranger.node, meter: new Counters() })
    const garbage = new Uint8Array(700).fill(0xa5)
    expect(decode(BankReply, await rpc.request(target('bank'), BANK_PROTOCOL, garbage))).toMatchObject({ is: 'refused', code: 'bad-encoding' })
    expect(decode(CenterReply, await rpc.request(target('center'), CENTER_PROTOCOL, garbage))).toMatchObject({ is: 'refused', code: 'bad-encoding' })
    await expect(rpc.request(target('center'), CENTER_PROTOCOL, new Uint8Array(1 << 19))).rejects.toMatchObject({ code: expect.stringMatching(/^(lost|refused|not-sent)$/) })
    rpc.close()
  })

  test('survives a stranger who sends no packets, broken ones, or raw noise', async () => {
    const gateway = target('gateway')
    const socket = connect(Number(gateway.addresses[0].split('/')[4]), '127.0.0.1')
    await once(socket, 'connect')
    socket.on('error', () => {})
    const closed = new Promise<void>(resolve => { socket.once('close', () => { resolve() }) })
    socket.write(new Uint8Array(100_000).fill(0x42))
    await closed

    const { multiaddr } = await import('@multiformats/multiaddr')
    const dial = async (): Promise<Awaited<ReturnType<typeof stranger.node.dialProtocol>>> =>
      await stranger.node.dialProtocol(multiaddr(`${gateway.addresses[0]}/p2p/${nodes.find(({ role }) => role === 'gateway')?.peer}`), MIX_PROTOCOL)
    const before = await stage.status('gateway-1')
    const both = async (name: string): Promise<number> => Number((await stage.status('gateway-1'))[name]) + Number((await stage.status('gateway-2'))[name])
    const received = await both('received')
    const broken = await dial()
    broken.send(new Uint8Array([0x80, 0x24, ...new Uint8Array(4608).fill(7)])) // 4608 bytes under their length, and no packet
    while (await both('received') === received) { /* until it was looked at */ }
    const giant = await dial()
    giant.send(new Uint8Array([0xff, 0xff, 0xff, 0x7f]))
    await new Promise<void>(resolve => { giant.addEventListener('close', () => { resolve() }, { once: true }) })
    expect(before.role).toBe('gateway')
    expect(await stage.command('wallet', 'shop')).toMatchObject({ merchants: [{ name: 'Corner Shop' }] })
    expect(stage.fallen).toEqual([])
  })

  test('says nothing of the wallet in its log', async () => {
    const { account, session } = await stage.command('wallet', 'account')
    const log = readFileSync(join(stage.dir, 'bank', 'log.jsonl'), 'utf8') + stage.logs()
    expect(log).not.toContain(String(account))
    expect(log).not.toContain(String(session))
  })
})
