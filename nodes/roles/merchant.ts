/** The daemon of a merchant: a till. */
import { join } from 'node:path'
import { toHex } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import { asMixmintError, drive, type Saga } from '@mixmint/core/kit/saga'
import { bankConflicts } from '@mixmint/core/cash/bank-archive'
import { MerchantListing } from '@mixmint/core/cash/formats'
import { signMerchantListing } from '@mixmint/core/cash/listing-entry'
import type { DepositOptions } from '@mixmint/core/cash/merchant/deposit'
import { MerchantEngine } from '@mixmint/core/cash/merchant/engine'
import type { OrderLine } from '@mixmint/core/cash/merchant/orders'
import type { Deposited, MerchantEffect } from '@mixmint/core/cash/merchant/parts'
import { BANK_PROTOCOL, BankReply, BankRequest, MAX_PRESENTATIONS, MERCHANT_PROTOCOL, MerchantReply, MerchantRequest } from '@mixmint/core/cash/messages'
import { refusal } from '@mixmint/core/cash/refusal'
import { knownTime } from '@mixmint/core/cash/steady-clock'
import { tillNamed, type Till } from '@mixmint/core/cash/till'
import { armor, unarmor } from '../armor.ts'
import type { Json, JsonObject } from '../control.ts'
import { whole, word } from '../control-input.ts'
import { serviceTold } from './service-told.ts'
import type { Daemon, Role } from './role.ts'
import { missingOf, orNothing, trustReadings, type Reading } from '../metrics/readings.ts'
import { loadOrCreateSeed } from '../secrets.ts'
import { Service } from '../service.ts'
import { StoreMark } from '../store/mark.ts'
import { MIGRATIONS } from '../store/migrations.ts'
import { openMoney } from '../store/money.ts'
import { connectionKinds } from './connections.ts'

const MINUTE = 60_000
/** Proofs in one answer, where no other number is asked for. */
const PROOFS_AT_ONCE = 100
const PRUNE_EVERY = 60 * MINUTE
/** Payments that wait for the bank are tried again this often. */
const SETTLE_EVERY = 15_000

export async function startMerchant (daemon: Daemon): Promise<Role> {
  const { config, suite, ports, counters, log } = daemon
  /** As of the last reload. */
  let current = config
  const key = suite.ed25519KeyPair(loadOrCreateSeed(join(config.dir, 'payee.key'), daemon.passphrase))
  const till: Till = { name: tillNamed(suite, config.till), alone: config.postgresFile === '' }

  const money = await openMoney(ports.store, config.postgresFile, `merchant ${toHex(key.publicKey)} of ${config.network.network} in ${config.unit}`, MIGRATIONS.merchant)
  const run = async <T>(saga: Saga<T, MerchantEffect>): Promise<T> => await drive(saga, { ...ports, store: money.store }, async effect => {
    const { participant } = service
    if (effect.do === 'ask-center') return await participant.askCenter(effect)
    return decode(BankReply, await participant.askService(config.bank, async node => await participant.ask(node, BANK_PROTOCOL, encode(BankRequest, effect.request))))
  })
  const engine = new MerchantEngine({
    suite, key, till, bank: config.bank, unit: config.unit, network: config.network.network, catalogue: () => current.catalogue,
    registry: () => service.participant.registry(), meter: counters, trust: config.trust,
    ...config.invoiceMinutes === 0 ? {} : { invoiceLifetime: config.invoiceMinutes * MINUTE }
  })
  const mark = await StoreMark.open({
    dir: config.dir, known: async () => await run(knownTime()), restoredAt: config.restoredAt, declare: async time => { await run(engine.declareLoss(time)) }, log, fail: daemon.fail
  })
  const service: Service = await Service.start({
    ...daemon, dir: config.dir, places: config, kind: 'merchant', protocol: MERCHANT_PROTOCOL, unlisted: config.unlisted,
    body: async () => encode(MerchantListing, signMerchantListing(suite, key, config.network.network, daemon.peer, { name: current.name, till: till.alone ? till.name : new Uint8Array(0), store: money.id })),
    handle: async (content, via) => {
      let request: MerchantRequest
      try {
        request = decode(MerchantRequest, content)
      } catch (error) {
        counters.count('bad_request', { via })
        return encode(MerchantReply, refusal(error))
      }
      const reply = await run(engine.handle(request))
      if (reply.is === 'refused') mark.judge(reply, engine.seen)
      return encode(MerchantReply, reply)
    }
  })
  const fetchKeys = (): void => {
    run(engine.fetchSealedKeys()).catch((error: unknown) => { log.warn('the keys of sealed tokens wait for the bank', { code: asMixmintError(error).code }) })
  }
  fetchKeys()
  // One pass at a time: while the bank is away each takes longer than the time between two.
  let pass: Promise<{ settled: number, pending: number }> | null = null
  const settle = async (): Promise<{ settled: number, pending: number }> => await (pass ??= run(engine.settlePending()).finally(() => { pass = null }))
  const settling = setInterval(() => {
    fetchKeys()
    settle().catch((error: unknown) => { log.warn('payments wait for the bank', { code: asMixmintError(error).code }) })
  }, SETTLE_EVERY)
  // One at a time: whoever asks meanwhile finds less to do.
  let depositing: Promise<unknown> = Promise.resolve()
  const deposit = async (options: DepositOptions): Promise<Deposited> => {
    const turn = depositing.then(async () => await run(engine.deposit(options)))
    depositing = turn.catch(() => {})
    return await turn
  }
  const timers = [settling, setInterval(() => {
    run(engine.prune()).catch((error: unknown) => { log.warn('orders that nobody paid are not forgotten', { code: asMixmintError(error).code }) })
  }, PRUNE_EVERY)]
  if (config.depositMinutes > 0) {
    timers.push(setInterval(() => {
      deposit({}).then(
        ({ credited, already, refused }) => { if (credited + already + refused > 0) log.info('tokens were turned in', { credited, already, refused }) },
        (error: unknown) => { log.warn('tokens are not turned in yet', { code: asMixmintError(error).code }) })
    }, config.depositMinutes * MINUTE))
  }

  /** A payment handed over at the counter: how long the engine took, and what it said. */
  const accept = async (text: string): Promise<Json> => {
    const payment = unarmor(text)
    const started = performance.now()
    const took = (): number => Math.round((performance.now() - started) * 1000) / 1000
    if (payment.kind === 'token') {
      const { signed, repeat } = await run(engine.accept(payment.value))
      return { state: 'paid', how: 'token', repeat, milliseconds: took(), ...(await orderOf(signed.paid.invoice)) }
    }
    if (payment.kind === 'sealed') {
      const { signed, repeat } = await run(engine.acceptSealed(payment.value))
      return { state: 'paid', how: 'sealed', repeat, milliseconds: took(), ...(await orderOf(signed.paid.invoice)) }
    }
    if (payment.kind !== 'coins') throw new MixmintError('wrong-kind', 'caller', `this is a mixmint ${payment.kind}, but a payment is wanted: what \`mixmint wallet present\` or \`mixmint wallet offer\` wrote`)
    const { reply, repeat } = await run(engine.acceptCoins(payment.value.contract, payment.value.inputs))
    if (reply.is === 'paid') return { state: 'paid', how: 'coins', repeat, milliseconds: took(), ...(await orderOf(reply.signed.paid.invoice)) }
    if (reply.is !== 'short') throw new MixmintError('internal', 'us', `coins were answered with ${reply.is}`)
    const conflicts = reply.inputs.filter(input => input.state === 'conflict').length
    const found: string[] = []
    for (const { coin } of reply.inputs) {
      const proof = await run(engine.proofOf(coin))
      if (proof !== null) found.push(armor('proof', proof.file))
    }
    return { state: conflicts > 0 ? 'double-spend' : 'short', coins: reply.inputs.map(({ state, code }) => ({ state, code })), proofs: found }
  }
  const orderOf = async (invoice: Uint8Array): Promise<JsonObject> => {
    const line = await run(engine.orderOf(invoice))
    return { order: line.order, amount: line.amount, unit: config.unit, deliver: mayDeliver(line, current.settledAbove) }
  }

  const readings = async (): Promise<Reading[]> => {
    const { trust } = config
    const due = await run(engine.due())
    return [['merchant_tokens_due', due], ...trust === undefined ? [] : trustReadings(await run(engine.atRisk()), trust.total)]
  }

  return {
    operations: {
      invoice: async input => {
        const minutes = input.minutes === undefined ? 0 : whole(input, 'minutes')
        const signed = await run(engine.invoice(word(input, 'order'), whole(input, 'amount'), minutes === 0 ? undefined : minutes * MINUTE))
        return { invoice: armor('invoice', signed), order: signed.invoice.order, settleBy: new Date(signed.invoice.settleBy).toISOString() }
      },
      orders: async input => ({
        orders: (await run(engine.orders(input.last === undefined ? undefined : whole(input, 'last')))).map(line => ({ ...lineJson(line), state: stateOf(line, ports.clock.now()), deliver: mayDeliver(line, current.settledAbove) }))
      }),
      sold: async input => ({ unit: config.unit, sold: (await run(engine.sold(whole(input, 'from'), whole(input, 'until')))).map(lineJson) }),
      accept: async input => await accept(word(input, 'payment')),
      due: async () => ({ due: await run(engine.due()), batch: MAX_PRESENTATIONS }),
      // With a limit: a step of many, by whoever shows how far it is.
      deposit: async input => {
        const results: Json[] = []
        const sums = await deposit({
          limit: input.limit === undefined ? undefined : whole(input, 'limit'), again: input.again === true,
          onResult: ({ serial, amount, state, code }) => { if (input.results === true) results.push({ serial: toHex(serial), amount, state, code }) }
        })
        return { ...sums, results }
      },
      settle: async () => await settle(),
      repay: async input => {
        const { order } = await run(engine.repay(whole(input, 'number'), input.amount === undefined ? undefined : whole(input, 'amount')))
        return { order }
      },
      risks: async () => {
        const { atRisk, losses } = await run(engine.risks())
        return { atRisk, losses: losses.map(({ how, amount, code, time }) => ({ how, amount, code, time: new Date(time).toISOString() })) }
      },
      takings: async () => ({ ...await run(engine.takings()) }),
      // A page of what payers did; with the first one what convicts centers and banks, of which there are few: of banks what it met
      // itself; what nodes of the network see in the directory is with `mixmint directory evidence`.
      proofs: async input => {
        const before = input.before === undefined ? undefined : whole(input, 'before')
        const page = await run(engine.proofs(input.last === undefined ? PROOFS_AT_ONCE : whole(input, 'last'), before))
        const others = before === undefined
          ? [...(await run(engine.convictions())).map(file => armor('center', file)), ...(await run(bankConflicts())).map(conflict => armor('bank', conflict))]
          : []
        return { proofs: [...page.map(({ file }) => armor('proof', file)), ...others], next: page.at(-1)?.number ?? 0 }
      },
      payee: async () => ({ payee: toHex(key.publicKey), bank: toHex(config.bank) })
    },
    status: async () => ({ epoch: service.participant.keeper.view()?.epoch ?? -1, connections: connectionKinds(service.participant), ...service.mixer.status() }),
    evidence: service.participant.keeper.evidence,
    reach: async addresses => await service.participant.reach(addresses),
    told: async () => serviceTold(service, ports.clock.now(), config.bank, await orNothing(readings(), log)),
    missing: () => missingOf(service.participant, !config.unlisted),
    money: money.store,
    reload: changed => { current = changed },
    stop: async () => {
      mark.stop()
      for (const timer of timers) clearInterval(timer)
      await service.stop()
      await money.close()
    }
  }
}

function lineJson ({ order, amount, paid, time, settleBy, invoice, settled }: OrderLine): JsonObject {
  return {
    order, amount, how: paid, settled, invoice: toHex(invoice), settleBy: new Date(settleBy).toISOString(), paidAt: time === 0 ? null : new Date(time).toISOString()
  }
}

function stateOf ({ paid, settleBy }: OrderLine, now: number): string {
  return paid !== null ? `paid (${paid})` : now < settleBy ? 'open' : 'expired'
}

/** Above what the merchant set, it delivers only what nothing can undo. */
function mayDeliver ({ paid, amount, settled }: OrderLine, settledAbove: number): boolean {
  return paid !== null && (settled || amount <= settledAbove)
}
