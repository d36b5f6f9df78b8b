/**
 * The story of the demo on several hosts, each in a network namespace with its own address: founded by the commands of docs/founding.md
 * as they stand there, with a delay on every link, so that frames overtake each other, and packets dropped; the merchant takes the
 * token while it reaches nobody but who pays, coins are paid while an authority, a center and a mix are cut off. What cannot be
 * bought, is said so and costs nothing. At the end it prints how long each step took.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { JsonObject } from '../../nodes/control.ts'
import type { Setting } from '../../nodes/demo/setting.ts'
import { Stage } from '../../nodes/demo/stage.ts'
import { Story } from '../../nodes/demo/story.ts'
import { Timeline } from '../../nodes/demo/timeline.ts'
import { SMALL_NETWORK, type NetworkPlan } from '../../nodes/layout.ts'
import { lacking, NamespaceLab } from './netns/lab.ts'
import { Hosts } from './pages/hosts.ts'
import { enlarged, readPage } from './pages/page.ts'

const PLAN: NetworkPlan = SMALL_NETWORK
const { addresses, blocks } = enlarged(readPage('founding.md'), { gw: PLAN.gateways, mix: PLAN.layers * PLAN.mixesPerLayer, center: PLAN.centers })
const FIRST_PURCHASE = '4. The first purchase'
/** A second payee, of which the page knows nothing. */
const STALL = 'stall1'
const ADDRESSES = new Map([...addresses, [STALL, '192.0.2.62']])
const ENVIRONMENT = {
  MIXMINT_PROFILE: 'demo', MIXMINT_PARAMETERS: '{ epochLength = 30000, epochGrace = 15000 }', MIXMINT_DENOMINATIONS: '13', MIXMINT_SEALED_DAYS: '0'
}

/** Each way, at either end of each path, ms. */
const NEAR = { least: 1, most: 4 }
const FAR = { least: 5, most: 25 }
const FAR_HOSTS = ['gw2', 'mix4']
const LOSSY_HOSTS = ['me', 'gw1', 'center2', 'shop1']
const MINORITY = ['auth4', 'center7', 'mix6']
/** `mixmint init` puts nodes there. */
const PORT = 4001

const missing = lacking()
if (missing !== null) process.stderr.write(`tests in network namespaces are left out: this machine lacks ${missing}\n`)

const hostsOf = (kind: string): string[] => [...addresses.keys()].filter(name => name.replace(/\d+$/, '') === kind)

describe.skipIf(missing !== null)('the demo on several hosts', () => {
  const root = mkdtempSync(join(tmpdir(), 'mixmint-netns-'))
  const timeline = new Timeline(() => {}, false)
  const setting: Setting = {
    bank: 'bank1/bank', merchant: 'shop1/merchant', centers: hostsOf('center').map(host => `${host}/center`),
    mixes: [...hostsOf('gw').map(host => `${host}/gateway`), ...hostsOf('mix').map(host => `${host}/mix`)],
    // On a machine that CI shares with other suites, whose disks may be busy.
    acceptsWithin: 2_000,
    handOver: async (file, till) => await lab.carry(file, 'me', till.split('/')[0]),
    openStall: async () => {
      await at('auth1', `scp network.toml ${STALL}:`)
      await at('bank1', `scp bank.pub ${STALL}:`)
      await at(STALL, 'mixmint init merchant --dir merchant --address "$ADDRESS" --network network.toml --yes --set merchant.name=Stall --set merchant.unlisted=true --set merchant.bank="$(cat bank.pub)"')
      return `${STALL}/merchant`
    }
  }
  const steps: Array<{ readonly what: string, readonly meanwhile: string, readonly seconds: number, readonly of: string }> = []
  let lab: NamespaceLab
  let stage: Stage
  let hosts: Hosts
  let story: Story
  let hasFailed = false

  beforeAll(async () => {
    lab = new NamespaceLab()
    await lab.add(ADDRESSES, name => FAR_HOSTS.includes(name) ? FAR : NEAR)
    const environment = ['env', ...Object.entries(ENVIRONMENT).map(([name, value]) => `${name}=${value}`)]
    stage = new Stage(root, PLAN, name => [...lab.within(name.split('/')[0]), ...environment], { net: join(root, 'me'), within: lab.within('me') })
    story = new Story(stage, setting, timeline)
    hosts = new Hosts({
      root, environment: ENVIRONMENT, addresses: ADDRESSES, within: host => lab.within(host),
      services: {
        start: async (host, role) => { await stage.supervisor.start(join(host, role)) },
        stop: async (host, role) => { await stage.supervisor.stop(join(host, role)) },
        reload: () => { throw new Error('nothing is reloaded here') }
      }
    })
    lab.drop(1, LOSSY_HOSTS)
  })

  // Each part of a story needs those before it.
  beforeEach(context => { context.skip(hasFailed) })

  afterEach(({ task }) => {
    hasFailed ||= task.result?.state === 'fail'
    lab.heal()
    lab.drop(1, LOSSY_HOSTS)
  })

  afterAll(async () => {
    report()
    hosts.close()
    await stage.stop()
    await lab.close()
    rmSync(root, { recursive: true, force: true })
  })

  const at = async (host: string, commands: string): Promise<string> => await hosts.run({ section: '', hosts: [host], commands })

  /** A step of the story, timed; `meanwhile`: what the network does besides delaying packets and dropping some. */
  async function step<T> (what: string, meanwhile: string, take: () => Promise<T>): Promise<T> {
    const [told, began] = [timeline.happenings.length, performance.now()]
    const result = await take()
    const of = timeline.happenings.slice(told).flatMap(({ who, took }) => took === null ? [] : `${who} ${took < 1000 ? `${Math.round(took)} ms` : `${(took / 1000).toFixed(1)} s`}`)
    steps.push({ what, meanwhile, seconds: (performance.now() - began) / 1000, of: of.join(', ') })
    return result
  }

  function report (): void {
    const rows = steps.map(({ what, meanwhile, seconds, of }) => `| ${what} | ${meanwhile} | ${seconds.toFixed(1)} | ${of} |`)
    const { lost, cut } = lab.dropped()
    const all = steps.reduce((sum, { seconds }) => sum + seconds, 0)
    process.stderr.write(`${all.toFixed(0)} s in all; ${lost} packets dropped by chance, ${cut} at cuts; load ${loadavg()[0].toFixed(1)}\n| step | meanwhile | s | of which |\n|---|---|---|---|\n${rows.join('\n')}\n`)
  }

  async function until (isSo: () => Promise<boolean>): Promise<void> {
    while (!await isSo()) await new Promise(resolve => setTimeout(resolve, 100))
  }

  /** Of the newest document of an authority. */
  async function document (authority: string): Promise<{ epoch: number, signatures: number }> {
    const { epoch, signatures } = await stage.status(`${authority}/authority`)
    return { epoch: Number(epoch), signatures: Number(signatures) }
  }

  /** Addresses that the directory names to the wallet; none while it has no document in force. */
  async function listed (): Promise<Set<string>> {
    const { nodes } = await stage.attempt('directory', 'show', '--net', stage.terminal.net)
    return new Set((nodes as JsonObject[] | undefined)?.map(({ address }) => String(address)))
  }

  const addressOf = (host: string): string => `/ip4/${ADDRESSES.get(host)}/tcp/${PORT}`
  const received = async (host: string): Promise<number> => Number((await stage.status(`${host}/mix`)).received)

  const founding = blocks.filter(({ section }) => section !== FIRST_PURCHASE)
  const nodes = founding.filter(({ section }) => section === '3. The nodes')

  test('it is founded as the page says', async () => {
    await step('founded: keys, entries, the file of the network', '', async () => await hosts.follow(founding.filter(block => !nodes.includes(block))))
    expect(stage.supervisor.names().sort()).toEqual(hostsOf('auth').map(host => `${host}/authority`))
  })

  test('all hosts are in it, by their own addresses', async () => {
    const printed = await step('all nodes started and listed', '', async () => await hosts.follow(nodes))
    expect(printed).toMatch(/network example, epoch \d+, until \S+, signed by [34] of 4 authorities/)
    expect(printed).toMatch(/^ok +outside +an authority reaches/m)
    expect(await listed()).toEqual(new Set([...addresses].filter(([host]) => host !== 'me' && !host.startsWith('auth')).map(([host]) => addressOf(host))))
  })

  test('coins are withdrawn, and become a token over the mixnet, though one packet in twenty is lost', async () => {
    await step('money comes in, coins are withdrawn', '', async () => { await story.moneyComesIn() })
    lab.drop(5)
    await step('coins become a token', '5 % of all packets lost', async () => { await story.buyAToken() })
  })

  test('a token is accepted where the shop reaches nobody but the wallet', async () => {
    await step('the bank and all centers are stopped', '', async () => { await story.stopTheBank() })
    await step('a coffee is ordered, and another', '', async () => { await story.orderTwice() })
    const seen = async (seconds: number): Promise<boolean[]> => await Promise.all(['auth1', 'gw1', 'mix1'].map(async host => await lab.reaches('shop1', host, PORT, seconds)))
    expect(await seen(20)).toEqual([true, true, true])
    lab.part(['shop1'], [...ADDRESSES.keys()].filter(name => name !== 'shop1' && name !== 'me'))
    const [, meanwhile] = await Promise.all([
      step('the token is accepted, and a second time refused', 'the shop cut off from all but the wallet', async () => { await story.payOffline() }), seen(2)
    ])
    expect(meanwhile).toEqual([false, false, false])
    lab.heal()
    await step('the bank is back, the token turned in', '', async () => { await story.deposit() })
  })

  test('coins are paid while an authority, a center and a mix are cut off, and keepers die when they are back', async () => {
    const { epoch } = await document('auth1')
    lab.part(MINORITY)
    await step('coins are paid', `${MINORITY.join(', ')} cut off`, async () => {
      await story.payOnline()
    })
    await step('the others go on without them', `${MINORITY.join(', ')} cut off`, async () => {
      await until(async () => {
        const seen = await document('auth1')
        return seen.epoch > epoch && seen.signatures === 3
      })
    })
    const last = await document('auth1')
    expect((await document('auth4')).epoch).toBeLessThan(last.epoch)
    lab.heal()
    await step('the center is back', '', async () => {
      await until(async () => Number((await stage.status('center7/center')).epoch) >= last.epoch && (await listed()).has(addressOf('center7')))
    })
    await step('a double spend is refused and proved', '', async () => { await story.spendTwice() })
    await step('two keepers are killed, coins replaced and taken back', '', async () => { await story.loseKeepers() })
    await step('the authority and the mix are back', '', async () => {
      await until(async () => {
        const seen = await document('auth1')
        return seen.epoch > last.epoch && seen.signatures === 4
      })
      await until(async () => (await listed()).has(addressOf('mix6')))
      const before = await received('mix6')
      await until(async () => await received('mix6') > before)
    })
  })

  test('parted, a purchase fails with a reason and costs nothing; healed, it succeeds', async () => {
    const order = async (): Promise<string> => String((await stage.command('wallet', 'order', 'song')).invoice)
    const invoice = await order()
    const before = await stage.command('wallet', 'balance')
    const failed = await step('a purchase fails', 'wallet and mixes cut off from bank, shop and centers', async () => {
      lab.part(['me', ...hostsOf('gw'), ...hostsOf('mix')], ['bank1', 'shop1', ...hostsOf('center')])
      return await stage.attempt('wallet', 'pay', invoice, '--with', 'coins')
    })
    expect((failed.error as JsonObject).code).toMatch(/^(lost|overdue|not-sent|unreachable|merchant-unreachable)$/)
    lab.heal()
    await step('it is recovered, and succeeds', '', async () => {
      await stage.command('wallet', 'recover')
      await stage.command('wallet', 'pay', invoice, '--with', 'coins')
    })
    const after = await stage.command('wallet', 'balance')
    expect(Number(after.available) + Number(after.promised)).toBe(Number(before.available) - 99)
  })

  test('the books hold all of it', async () => {
    await step('the books', '', async () => { await story.closeTheBooks() })
    expect(timeline.checks.length).toBe(23)
    expect(lab.dropped().lost).toBeGreaterThan(100)
    expect(lab.dropped().cut).toBeGreaterThan(100)
  })
})
