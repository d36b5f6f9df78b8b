/**
 * The story of the demo: a purchase that nobody watched, with everything that may go wrong on the way. It uses the
 * program's own commands, each in a process of its own, and checks every claim that it makes.
 */
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { asMixmintError } from '@mixmint/core/kit/saga'
import type { JsonObject } from '../control.ts'
import { startNetwork } from '../cli/up.ts'
import type { NetworkPlan } from '../layout.ts'
import { onOneMachine, type Setting } from './setting.ts'
import type { Stage } from './stage.ts'
import type { Timeline } from './timeline.ts'
import { chooseVictims, type PurseCoin, type Victims } from './victims.ts'

const CREDIT = 10_000
const WITHDRAW = 5_000
const COFFEE = 320
const SONG = 99
/** A wallet that has ended leaves its connection behind for a moment. */
const QUIET_WITHIN = 30_000
const CHEAT_WITH_TOKEN = 'cheat-with-token'
const CHEAT_WITH_COINS = 'cheat-with-coins'

export async function play (stage: Stage, timeline: Timeline, quiet: boolean): Promise<void> {
  const story = new Story(stage, onOneMachine(stage), timeline)
  const began = performance.now()
  await startNetwork(stage.supervisor, stage.plan, quiet)
  timeline.tell('network', `${stage.supervisor.names().length} processes are ready: ${describe(stage.plan)}`, { took: performance.now() - began })
  await story.moneyComesIn()
  await story.buyAToken()
  await story.stopTheBank()
  await story.orderTwice()
  await story.payOffline()
  await story.deposit()
  await story.payOnline()
  await story.spendTwice()
  await story.loseKeepers()
  await story.closeTheBooks()
}

/** Its parts are told in the order in which they stand here, on a network that runs; each is told and checked on the timeline. @throws demo-claim-failed */
export class Story {
  readonly #stage: Stage
  readonly #setting: Setting
  readonly #timeline: Timeline
  /** Everything that must not stand in any log: coins, serials, accounts, sessions. */
  readonly #secrets = new Set<string>()
  #account = ''
  /** What was sold, in all. */
  #sold = 0
  /** Of the coffee: the wallet's, and that of a copy of the wallet. */
  #invoices = ['', '']

  constructor (stage: Stage, setting: Setting, timeline: Timeline) {
    this.#stage = stage
    this.#setting = setting
    this.#timeline = timeline
  }

  async moneyComesIn (): Promise<void> {
    const { command, control, bank } = this.#tools()
    this.#timeline.step('Money comes in')
    const { words } = await command('wallet', 'init')
    this.#secrets.add(String(words))
    const { account } = await command('wallet', 'account')
    this.#account = String(account)
    this.#secrets.add(this.#account)
    await control(bank, 'credit', { account: this.#account, amount: CREDIT, reference: 'demo' })
    this.#timeline.tell('operator', `credits the wallet's account at the bank with ${CREDIT} cents`)
    const withdrawn = await command('wallet', 'withdraw', String(WITHDRAW))
    this.#timeline.tell('wallet', `withdraws ${WITHDRAW} cents as ${String(withdrawn.coins)} coins, blindly signed`, {
      took: Number(withdrawn.milliseconds),
      sees: { bank: 'the account, the amount, and numbers that it signs' },
      cannotSee: { bank: 'the coins: the numbers are blinded, and it will not know the coins again' }
    })
    const { balance } = await control(bank, 'balance', { account: this.#account })
    const purse = await command('wallet', 'balance')
    this.#timeline.check('what left the account is in the wallet', balance === CREDIT - WITHDRAW && purse.available === WITHDRAW, { account: balance, wallet: purse.available })
  }

  async buyAToken (): Promise<void> {
    const { command, status, bank } = this.#tools()
    this.#timeline.step('Coins become a token, over the mixnet')
    const before = await this.#quietBank()
    const bought = await command('wallet', 'token', String(COFFEE))
    const after = await status(bank)
    this.#secrets.add(String(bought.serial)).add(String(bought.session))
    this.#timeline.tell('wallet', `exchanges coins for a token of ${COFFEE} cents made out to ${String(bought.merchant)}, with change; the answer came back through SURBs`, {
      took: Number(bought.milliseconds),
      sees: { gateway: 'that this address is connected, and how many packets', bank: 'the amount, the payee, and coins that it once signed blindly', mixes: 'the neighbour before and the neighbour after' },
      cannotSee: { gateway: 'where packets go, or what they are', bank: 'an account, an address, or which withdrawal the coins came from', mixes: 'both ends' }
    })
    const came = (status: JsonObject, via: string): number => Number((status.counters as JsonObject)[`bank_operations op=settle via=${via}`] ?? 0)
    const connections = after.connections as JsonObject
    // Where packets are lost it may be asked again, and answers the same.
    this.#timeline.check('the bank was asked over the mixnet, and never directly', came(after, 'mixnet') > came(before, 'mixnet') && came(after, 'direct') === came(before, 'direct'),
      { viaMixnet: came(after, 'mixnet') - came(before, 'mixnet'), viaDirect: came(after, 'direct') - came(before, 'direct') })
    this.#timeline.check('no wallet was connected to the bank: it saw no account and no address', connections.unknown === 0 && (connections.gateway ?? 0) === 0, { connections })
    const purse = await command('wallet', 'balance')
    this.#timeline.check('the change is in the wallet, to the unit', purse.available === WITHDRAW - COFFEE && purse.tokens === COFFEE, { coins: purse.available, tokens: purse.tokens })
  }

  async stopTheBank (): Promise<void> {
    const { supervisor } = this.#stage
    const { bank, centers } = this.#tools()
    this.#timeline.step('The bank and all centers are down; the token is accepted all the same')
    const began = performance.now()
    await Promise.all([bank, ...centers].map(async name => { await supervisor.stop(name) }))
    this.#timeline.tell('operator', `stops the bank and all ${centers.length} centers`, { took: performance.now() - began })
  }

  /** Both get an invoice over the mixnet: the wallet, and a copy of it. From here to the deposit the merchant needs nobody but who pays. */
  async orderTwice (): Promise<void> {
    const { command } = this.#tools()
    const cheat = this.#copyWallet(CHEAT_WITH_TOKEN)
    const began = performance.now()
    const orders = [await command('wallet', 'order', 'coffee'), await command('wallet', '--dir', cheat, 'order', 'coffee')]
    this.#invoices = orders.map(({ invoice }) => String(invoice))
    this.#timeline.tell('wallet', 'orders a coffee over the mixnet, and so does a copy of it', { took: performance.now() - began })
  }

  async payOffline (): Promise<void> {
    const { command, control, merchant, acceptsWithin, handOver } = this.#tools()
    const file = this.#atHome('token.txt')
    await command('wallet', 'present', this.#invoices[0], '--out', file)
    const payment = await handOver(file, merchant)
    const paid = await control(merchant, 'accept', { payment })
    this.#sold += COFFEE
    this.#timeline.tell('merchant', `accepts the token for order ${String(paid.order)}: bank's signature, payee, amount, dates, owner, serial on disk`, {
      took: Number(paid.milliseconds), sees: { merchant: 'a token made out to it, and the order' }, cannotSee: { merchant: 'who bought it' }
    })
    this.#timeline.check('accepted with no bank and no center, in milliseconds', paid.state === 'paid' && paid.repeat === false && Number(paid.milliseconds) < acceptsWithin, { milliseconds: paid.milliseconds })
    const again = await control(merchant, 'accept', { payment })
    this.#timeline.check('the same paper shown twice is told apart: nothing is delivered again', again.repeat === true, { repeat: again.repeat })
    const forged = this.#atHome('token-again.txt')
    await command('wallet', '--dir', this.#atHome(CHEAT_WITH_TOKEN), 'present', this.#invoices[1], '--out', forged)
    const refused = await refusalOf(control(merchant, 'accept', { payment: await handOver(forged, merchant) }))
    this.#timeline.tell('cheat', 'signs a copy of the same token over to another order')
    this.#timeline.check('the same token a second time is refused', codeOf(refused) === 'token-already-accepted', { code: codeOf(refused) })
  }

  /** Starts the bank and the centers again, too. */
  async deposit (): Promise<void> {
    const { control, bank, centers, merchant } = this.#tools()
    const { supervisor } = this.#stage
    const began = performance.now()
    await Promise.all([bank, ...centers].map(async name => { await supervisor.start(name) }))
    this.#timeline.tell('operator', 'starts them again', { took: performance.now() - began })
    const deposit = await control(merchant, 'deposit')
    const repeated = await control(merchant, 'deposit')
    const balance = await this.#merchantBalance()
    this.#timeline.tell('merchant', `deposits the token and is credited ${COFFEE} cents`)
    this.#timeline.check('credited once, however often it deposits', deposit.credited === 1 && repeated.credited === 0 && balance === COFFEE, { first: deposit.credited, second: repeated.credited, account: balance })
  }

  async payOnline (): Promise<void> {
    const { command, status, merchant } = this.#tools()
    const { plan } = this.#stage
    this.#timeline.step('Coins, judged by their keepers')
    this.#copyWallet(CHEAT_WITH_COINS)
    const coins = (await command('wallet', 'coins', '--for', String(SONG))).coins as unknown as PurseCoin[]
    for (const { coin } of coins) this.#secrets.add(coin)
    const asked = (status: JsonObject): number => Number((status.counters as JsonObject)['keeper_answer kind=vote'] ?? 0)
    const before = asked(await status(merchant))
    const song = await command('wallet', 'order', 'song')
    const paid = await command('wallet', 'pay', String(song.invoice), '--with', 'coins')
    this.#sold += SONG
    const votes = asked(await status(merchant)) - before
    this.#timeline.tell('wallet', `pays order ${String(paid.order)} with ${coins.length} coins; the merchant asks each coin's ${plan.ring.replicas} keepers on the ring`, {
      took: Number(paid.milliseconds), sees: { centers: 'which coin is spent' }, cannotSee: { centers: 'for what, to whom, or which coins go together' }
    })
    this.#timeline.check('every coin was certified by a quorum of its keepers, and the bank settled', paid.paid === true && paid.settled === true && votes >= coins.length * plan.ring.quorum, { coins: coins.length, votes, quorum: plan.ring.quorum })
  }

  /** The coins of payOnline, from the copy of the wallet that was made before. */
  async spendTwice (): Promise<void> {
    const { command, attempt, control, handOver, openStall } = this.#tools()
    const { supervisor } = this.#stage
    const stall = await openStall()
    await supervisor.start(stall)
    const { invoice } = await control(stall, 'invoice', { order: 'a song, again', amount: SONG })
    const file = this.#atHome('coins-again.txt')
    await command('wallet', '--dir', this.#atHome(CHEAT_WITH_COINS), 'offer', String(invoice), '--out', file, '--no-copy')
    const refused = await control(stall, 'accept', { payment: await handOver(file, stall) })
    this.#timeline.tell('cheat', 'offers the same coins, from a copy of the wallet, to another payee')
    this.#timeline.check('the other payee refuses: a double spend', refused.state === 'double-spend', { state: refused.state, coins: (refused.coins as JsonObject[]).map(coin => coin.state) })
    const proofs = refused.proofs as string[]
    const proof = this.#atHome('double-spend.txt')
    writeFileSync(proof, `${proofs[0]}\n`)
    const verified = await command('proof', 'verify', proof)
    const bent = this.#atHome('double-spend-bent.txt')
    const middle = Math.floor(proofs[0].length / 2)
    writeFileSync(bent, `${proofs[0].slice(0, middle)}${proofs[0][middle] === 'A' ? 'B' : 'A'}${proofs[0].slice(middle + 1)}\n`)
    const unverified = await attempt('proof', 'verify', bent)
    this.#timeline.check('`mixmint proof verify` confirms the proof, and nothing else', verified.valid === true && unverified.error !== undefined, { valid: verified.valid, bent: codeOf(unverified) })
    await supervisor.stop(stall)
  }

  async loseKeepers (): Promise<void> {
    const { command, control, status, merchant } = this.#tools()
    const { supervisor } = this.#stage
    this.#timeline.step('Keepers die')
    const { first, second, before, unavailable } = await this.#victims()
    const names = await this.#centerNames()
    const [one, two] = [names.get(first) ?? '', names.get(second) ?? '']

    await supervisor.kill(one)
    this.#timeline.tell('chaos', `kills ${one}, a keeper of the next coin (SIGKILL)`)
    const paid = await this.#payInvoice('while one keeper is dead', before.value)
    this.#timeline.tell('wallet', `pays ${before.value} cents with a coin that ${one} keeps`, { took: Number(paid.milliseconds) })
    this.#timeline.check('payment works with one keeper dead', paid.paid === true && paid.settled === true && paid.leftOver === 0, { paid: paid.paid, leftOver: paid.leftOver })

    await supervisor.kill(two)
    this.#timeline.tell('chaos', `kills ${two} too: a coin of ${unavailable.value} has lost two of its keepers`)
    const replaced = (status: JsonObject): number => Number((status.counters as JsonObject)['merchant_request op=pay outcome=short'] ?? 0)
    const shortBefore = replaced(await status(merchant))
    const substituted = await this.#payInvoice('while two keepers are dead', unavailable.value)
    const short = replaced(await status(merchant)) - shortBefore
    this.#timeline.tell('wallet', `pays ${unavailable.value} cents: that coin is unavailable, so it signs others to the same contract`, { took: Number(substituted.milliseconds) })
    this.#timeline.check('the unavailable coin was replaced, and the payment works', substituted.paid === true && short >= 1 && Number(substituted.leftOver) >= unavailable.value, { answersOfUnavailable: short, leftOver: substituted.leftOver })

    const began = performance.now()
    await Promise.all([supervisor.start(one), supervisor.start(two)])
    this.#timeline.tell('operator', `starts ${one} and ${two} again`, { took: performance.now() - began })
    const purse = await command('wallet', 'balance')
    const recovered = await command('wallet', 'recover')
    const after = await command('wallet', 'balance')
    this.#timeline.tell('wallet', `takes back the coin that was left over, as a fresh one`, { took: Number(recovered.milliseconds) })
    this.#timeline.check('the coin left over came back, whole', after.leftOver === 0 && after.promised === 0 && after.available === Number(purse.available) + Number(purse.leftOver) + Number(purse.promised), { before: purse.available, leftOver: purse.leftOver, after: after.available })
    const takings = await control(merchant, 'takings')
    this.#timeline.check('nothing was paid twice', takings.accepted === this.#sold, { sold: this.#sold, taken: takings.accepted })
    const again = await command('wallet', 'recover')
    this.#timeline.check('and nothing is left to recover', (again.results as unknown[]).length === 0, { left: (again.results as unknown[]).length })
  }

  async closeTheBooks (): Promise<void> {
    const { command, control, status, bank, merchant } = this.#tools()
    this.#timeline.step('The books')
    await control(merchant, 'deposit')
    await control(merchant, 'settle')
    const books = await control(bank, 'books')
    const purse = await command('wallet', 'balance')
    const account = Number((await control(bank, 'balance', { account: this.#account })).balance)
    const takenIn = await this.#merchantBalance()
    const takings = await control(merchant, 'takings')
    const [issued, redeemed, outstanding] = [Number(books.issued), Number(books.redeemed), Number(books.outstanding)]
    this.#timeline.tell('bank', `issued ${issued}, redeemed ${redeemed}, outstanding ${outstanding}; accounts ${String(books.accounts)}, tokens ${String(books.tokens)}`)
    this.#timeline.check('issued = redeemed + outstanding, to the unit', books.balanced === true && issued === redeemed + outstanding, { issued, redeemed, outstanding })
    this.#timeline.check('what is outstanding is in the wallet', outstanding === purse.available, { outstanding, wallet: purse.available })
    this.#timeline.check('what the merchant took is in its account', takenIn === takings.accepted && takings.pending === 0, { account: takenIn, taken: takings.accepted })
    this.#timeline.check('every cent that came in is somewhere', CREDIT === account + takenIn + Number(purse.available) && books.credited === CREDIT, { credited: CREDIT, walletAccount: account, merchantAccount: takenIn, coins: purse.available })
    await this.#checkMixes(status)
    for (const { coin } of (await command('wallet', 'coins')).coins as unknown as PurseCoin[]) this.#secrets.add(coin)
    const logs = this.#stage.logs()
    const leaked = [...this.#secrets].filter(secret => logs.includes(secret))
    this.#timeline.check(`no log line of any process names one of the ${this.#secrets.size} coins, tokens, accounts and sessions`, leaked.length === 0 && logs.length > 0, { searched: this.#secrets.size, found: leaked.length })
    this.#timeline.check('no process ended that was not told to', this.#stage.fallen.length === 0, { fallen: [...this.#stage.fallen] })
  }

  async #checkMixes (status: Stage['status']): Promise<void> {
    const counts = await Promise.all(this.#setting.mixes.map(status))
    const sum = (name: string): number => counts.reduce((all, each) => all + Number(each[name]), 0)
    const dropped = counts.reduce((all, each) => all + Object.values(each.dropped as JsonObject).reduce<number>((some, n) => some + Number(n), 0), 0)
    const [received, forwarded, delivered, queued] = [sum('received'), sum('forwarded'), sum('delivered'), sum('queued')]
    this.#timeline.tell('mixes', `mixed ${received} packets`)
    this.#timeline.check('every packet is accounted for: received = forwarded + delivered + dropped + queued', received > 0 && received === forwarded + delivered + dropped + queued, { received, forwarded, delivered, dropped, queued })
  }

  /** The bank's status once the connection of the last withdrawal has gone. */
  async #quietBank (): Promise<JsonObject> {
    const patience = AbortSignal.timeout(QUIET_WITHIN)
    for (;;) {
      const status = await this.#stage.status(this.#setting.bank)
      if ((status.connections as JsonObject).unknown === 0) return status
      patience.throwIfAborted()
    }
  }

  async #payInvoice (order: string, value: number): Promise<JsonObject> {
    const { command, control, merchant } = this.#tools()
    const { invoice } = await control(merchant, 'invoice', { order, amount: value })
    const paid = await command('wallet', 'pay', String(invoice), '--with', 'coins')
    this.#sold += value
    return paid
  }

  async #victims (): Promise<Victims> {
    const { command } = this.#tools()
    for (let attempt = 0; attempt < 5; attempt++) {
      const coins = (await command('wallet', 'coins')).coins as unknown as PurseCoin[]
      for (const { coin } of coins) this.#secrets.add(coin)
      const victims = chooseVictims(coins, this.#stage.plan.ring.quorum)
      if (victims !== null) return victims
      // Chance has put all coins with the wrong keepers: others will do.
      await command('wallet', 'exchange', String(coins[0].value))
    }
    throw new Error('no two centers were found whose death leaves the rest of the purse payable')
  }

  /** Ring ids, as `wallet coins` shows them, to names of nodes. */
  async #centerNames (): Promise<Map<string, string>> {
    return new Map(await Promise.all(this.#setting.centers.map(async name => [String((await this.#stage.status(name)).center), name] as const)))
  }

  async #merchantBalance (): Promise<number> {
    const { control, bank, merchant } = this.#tools()
    return Number((await control(bank, 'balance', { account: String((await control(merchant, 'payee')).payee) })).balance)
  }

  /** A cheat's way: keep a copy of the wallet, spend with the one, and then with the other. */
  #copyWallet (name: string): string {
    const copy = this.#atHome(name)
    cpSync(this.#atHome('wallet'), copy, { recursive: true })
    return copy
  }

  /** A file, or a copy of the wallet, where people type their commands. */
  #atHome (name: string): string {
    return join(this.#stage.terminal.net, name)
  }

  #tools (): Pick<Stage, 'command' | 'attempt' | 'control' | 'status'> & Setting {
    const stage = this.#stage
    return {
      ...this.#setting,
      command: async (...args) => await stage.command(...args),
      attempt: async (...args) => await stage.attempt(...args),
      control: async (node, operation, input) => await stage.control(node, operation, input),
      status: async name => await stage.status(name)
    }
  }
}

/** The refusal that an operation is expected to end with, as a command would print it. */
async function refusalOf (operation: Promise<JsonObject>): Promise<JsonObject> {
  try {
    return await operation
  } catch (error) {
    const { code, message } = asMixmintError(error)
    return { error: { code, message } }
  }
}

function describe (plan: NetworkPlan): string {
  return `${plan.authorities} directory authorities, ${plan.gateways} gateways, ${plan.layers} layers of ${plan.mixesPerLayer} mixes, ${plan.centers} centers, a bank, a merchant`
}

function codeOf (result: JsonObject): string {
  return String((result.error as JsonObject | undefined)?.code ?? 'none')
}
