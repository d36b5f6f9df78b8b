/** `mixmint wallet …`: a person's own money. Each command is one session on the network. */
import type { Command } from 'commander'
import { bankConflicts } from '@mixmint/core/cash/bank-archive'
import { toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { SignedInvoice } from '@mixmint/core/cash/formats'
import type { HistoryEntry } from '@mixmint/core/cash/wallet/history'
import type { Recovered } from '@mixmint/core/cash/wallet/engine'
import { armor, unarmorAs, type Offer } from '../armor.ts'
import type { Json } from '../control.ts'
import type { WalletSession } from '../wallet-session.ts'
import { amount, folderOf, withNet, type NetOptions } from './options.ts'
import { report, table } from './output.ts'
import { addRestore } from './restore.ts'
import { addHandover } from './handover.ts'
import { textIn, writeText } from './texts.ts'

interface Result { readonly human: string, readonly json: Json }
type PayWith = 'token' | 'sealed' | 'coins'

const WITHOUT_COPY = ['--no-copy', 'pay with coins even while the bank does not answer, or keeps a copy of another payment with them: if this machine is lost too, that payment can neither be completed nor taken back'] as const

export function addWallet (program: Command): void {
  const wallet = withNet(program.command('wallet'), 'wallet').description('your coins and tokens: withdraw, buy, pay, and see what became of it')
  const options = (): NetOptions => wallet.opts<NetOptions>()
  const folder = (): string => folderOf(options(), 'wallet')
  const local = async (action: () => Promise<Result>): Promise<void> => { await report(options().json === true, action) }
  /** An action within a session; the result says how long it took. */
  const session = async (action: (session: WalletSession) => Promise<Result>, before: () => Promise<void> = async () => {}): Promise<void> => {
    let open: WalletSession | null = null
    try {
      await local(async () => {
        await before()
        const { WalletSession } = await import('../wallet-session.ts')
        open = await WalletSession.open(options().net, folder())
        const started = performance.now()
        const { human, json } = await action(open)
        const milliseconds = Math.round(performance.now() - started)
        return { human, json: { ...(json as Record<string, Json>), milliseconds, session: open.peer, gateway: open.guard } }
      })
      // After the result is printed: nobody waits for it, and what does not come to its end is gone on with another time.
      await (open as WalletSession | null)?.refreshSome()
    } finally {
      await (open as WalletSession | null)?.close()
    }
  }

  wallet.command('init').description('make a wallet; its twelve words are all that is needed to own its money')
    .action(async () => {
      await local(async () => {
        const { createWallet } = await import('../wallet-folder.ts')
        const made = createWallet(folder())
        return { json: { words: made }, human: `Write these words down and show them to nobody:\n\n  ${made}\n` }
      })
    })
  addRestore(wallet, folder, () => options().json === true, session, recoveredResult)
  wallet.command('account').description('the key that names your account at the bank: give it to the bank\'s operator')
    .action(async () => {
      await session(async ({ engine }) => ({ json: { account: toHex(engine.account) }, human: toHex(engine.account) }))
    })
  wallet.command('balance').description('what you have, in coins, in tokens and (with --account) at the bank')
    .option('--account', 'ask the bank for the account\'s balance too, which tells it that you are here')
    .action(async ({ account }: { account?: boolean }) => {
      await session(async open => {
        const balance = await open.run(open.engine.balance())
        const atBank: Record<string, number> = account === true ? { account: await open.run(open.engine.accountBalance()) } : {}
        const json = { ...balance, ...atBank, unit: open.unit }
        const lines = [['coins', balance.available], ['of these to be refreshed', balance.ageing], ['given, perhaps not received', balance.given], ['in operations under way', balance.promised], ['left over, to reclaim', balance.leftOver],
          ['too near their end', balance.ended], ['tokens', balance.tokens], ...Object.entries(atBank).map(([name, value]) => [`${name} at the bank`, value])]
        return { json, human: table(lines.filter(([name, value]) => value !== 0 || name === 'coins').map(([name, value]) => [String(name), Number(value), open.unit])) }
      })
    })
  wallet.command('withdraw').description('coins from your account, blindly signed: the bank cannot recognise them later')
    .argument('<amount>', 'in the unit\'s smallest coin', amount)
    .action(async (value: number) => {
      await session(async open => {
        const entry = await open.run(open.engine.withdraw(value))
        const coins = (await open.run(open.engine.coins())).length
        return { json: { ...entryJson(entry), coins }, human: `withdrew ${entry.amount} ${open.unit}; ${coins} coins in the wallet` }
      })
    })
  wallet.command('coins').description('the coins, and the centers that keep each')
    .option('--for <amount>', 'only those that a payment of this amount would begin with', amount)
    .action(async ({ for: wanted }: { for?: number }) => {
      await session(async open => {
        const coins = wanted === undefined ? await open.run(open.engine.coins()) : (await open.run(open.engine.plan(wanted))).coins
        const registry = open.participant.registry()
        const shown = coins.map(({ id, coin, value, state }) => {
          const known = registry.find(coin.keyset)
          const keepers = known?.ring.keepers(id, coin.signature).map(keeper => toHex(keeper.id)) ?? []
          return { coin: toHex(id), value, state, until: known === undefined ? '' : new Date(known.keyset.spendUntil).toISOString(), keepers }
        })
        return {
          json: { coins: shown },
          human: table([['VALUE', 'STATE', 'UNTIL', 'COIN', 'KEEPERS'], ...shown.map(c => [c.value, c.state, c.until.slice(0, 10), `${c.coin.slice(0, 12)}…`, c.keepers.map(k => k.slice(0, 8)).join(' ')])])
        }
      })
    })
  wallet.command('shop').description('merchants and what they sell; asked over the mixnet')
    .option('--merchant <name>', 'only this one, by name or payee key')
    .action(async ({ merchant }: { merchant?: string }) => {
      await session(async open => {
        const found = merchant === undefined ? open.merchants() : [open.merchant(merchant, toHex)]
        const shops = await Promise.all(found.map(async ({ name, payee }) => {
          const reply = await open.askMerchant(payee, { op: 'catalogue' })
          if (reply.is !== 'catalogue') throw unexpected()
          return { name, payee: toHex(payee), items: reply.items.map(item => ({ ...item })) }
        }))
        return {
          json: { merchants: shops },
          human: shops.map(({ name, items }) => [`${name}:`, table(items.map(({ item, price, unit }) => [item, price, unit]), '  ')].join('\n')).join('\n')
        }
      })
    })
  wallet.command('order').description('ask a merchant for an invoice, over the mixnet')
    .argument('<item>', 'as `mixmint wallet shop` names it').option('--merchant <name>', 'by name or payee key')
    .action(async (item: string, { merchant }: { merchant?: string }) => {
      await session(async open => {
        const signed = await orderItem(open, item, merchant)
        return { json: invoiceJson(signed), human: armor('invoice', signed) }
      })
    })
  wallet.command('token').description('buy a token made out to a merchant, over the mixnet; it is valid for a day and accepted with no network')
    .argument('<amount>', 'exactly what it shall pay', amount).option('--merchant <name>', 'by name or payee key')
    .option('--till <name>', 'that alone takes it, by the name that stands there; default: what the directory says of this merchant')
    .option('--sealed', 'so that the bank does not learn to whom it is made out')
    .action(async (value: number, { merchant, till: tillName, sealed }: { merchant?: string, till?: string, sealed?: boolean }) => {
      await session(async open => {
        const { name, payee, till: listed } = open.merchant(merchant, toHex)
        const till = tillName === undefined ? listed : open.till(tillName)
        if (sealed === true) {
          const values = (await open.run(open.engine.buySealed(payee, value, { till }))).map(token => token.value)
          return { json: { sealed: values, amount: value, unit: open.unit, merchant: name }, human: `sealed tokens of ${values.join(', ')}: ${value} ${open.unit} for ${name}` }
        }
        const { token } = await open.run(open.engine.buyToken(payee, value, { till }))
        const json = { serial: toHex(token.serial), amount: token.amount, unit: token.unit, merchant: name, notAfter: new Date(token.notAfter).toISOString() }
        return { json, human: `token ${json.serial.slice(0, 12)}…: ${token.amount} ${token.unit} for ${name}, until ${json.notAfter}` }
      })
    })
  wallet.command('tokens').description('the tokens you bought, and how each stands')
    .action(async () => {
      await session(async open => {
        const tokens = (await open.run(open.engine.tokens())).map(({ token: { token }, state }) => ({ serial: toHex(token.serial), amount: token.amount, state, notAfter: new Date(token.notAfter).toISOString() }))
        const sealed = (await open.run(open.engine.sealedTokens())).map(({ serial, value, state }) => ({ serial: toHex(serial), amount: value, state, notAfter: 'sealed' }))
        tokens.push(...sealed)
        return { json: { tokens }, human: table([['AMOUNT', 'STATE', 'UNTIL', 'SERIAL'], ...tokens.map(t => [t.amount, t.state, t.notAfter, `${t.serial.slice(0, 12)}…`])]) }
      })
    })
  wallet.command('pay').description('pay an invoice, over the mixnet; again after an interruption: the same payment goes on')
    .argument('<invoice>', 'the text that begins with mixmint-invoice-1:, its URI, or a file that holds it')
    .option('--with <what>', 'token, sealed or coins', 'token').option(...WITHOUT_COPY)
    .action(async (text: string, { with: what, copy }: { with: string, copy: boolean }) => {
      await session(async open => await pay(open, readInvoice(text), payWith(what), !copy))
    })
  wallet.command('buy').description('order an item and pay for it, over the mixnet')
    .argument('<item>', 'as `mixmint wallet shop` names it').option('--merchant <name>', 'by name or payee key')
    .option('--with <what>', 'token, sealed or coins', 'token').option(...WITHOUT_COPY)
    .action(async (item: string, { merchant, with: what, copy }: { merchant?: string, with: string, copy: boolean }) => {
      await session(async open => {
        const kind = payWith(what)
        const signed = await orderItem(open, item, merchant)
        const { payee, amount, till } = signed.invoice
        if (kind === 'token') await open.run(open.engine.buyToken(payee, amount, { till }))
        if (kind === 'sealed') await open.run(open.engine.buySealed(payee, amount, { till }))
        return await pay(open, signed, kind, !copy)
      })
    })
  wallet.command('present').description('sign a token over to an invoice and write it to a file, to be handed over at a counter')
    .argument('<invoice>', 'the invoice\'s text, or a file that holds it')
    .option('--serial <hex>', 'the beginning of the token\'s serial; default: one that fits').requiredOption('--out <file>', 'where to write it')
    .option('--sealed', 'sealed tokens that add up to it')
    .action(async (text: string, { serial, out, sealed }: { serial?: string, out: string, sealed?: boolean }) => {
      await session(async (open): Promise<Result> => {
        const signed = readInvoice(text)
        if (sealed === true) {
          const payment = await open.run(open.engine.presentSealed(signed))
          writeText(out, armor('sealed', payment))
          return { json: { file: out, tokens: payment.presentations.length }, human: `written to ${out}: hand it over, for this order only` }
        }
        const tokens = await open.run(open.engine.tokens())
        // What was signed over to this very order before comes first: the same paper again, not a second token.
        const before = tokens.filter(({ invoice }) => invoice !== null && armor('invoice', invoice) === armor('invoice', signed))
        const held = serial !== undefined
          ? tokens.filter(({ token: { token } }) => toHex(token.serial).startsWith(serial.toLowerCase()))
          : [...before, ...await open.run(open.engine.fittingTokens(signed))]
        if (held.length === 0) throw new MixmintError('unknown-token', 'caller', 'the wallet holds no token that fits this invoice: buy one with `mixmint wallet token`')
        const presentation = await open.run(open.engine.presentToken(held[0].token.token.serial, signed))
        writeText(out, armor('token', presentation))
        return { json: { file: out, serial: toHex(held[0].token.token.serial) }, human: `written to ${out}: hand it over, for this order only` }
      })
    })
  wallet.command('offer').description('sign coins over to an invoice and write them to a file, to be handed over at a counter')
    .argument('<invoice>', 'the invoice\'s text, or a file that holds it').requiredOption('--out <file>', 'where to write it')
    .option(...WITHOUT_COPY)
    .action(async (text: string, { out, copy }: { out: string, copy: boolean }) => {
      await session(async open => {
        const offer = await makeOffer(open, readInvoice(text), !copy)
        writeText(out, armor('coins', offer))
        return { json: { file: out, coins: offer.inputs.length }, human: `written to ${out}; \`mixmint wallet recover\` learns what became of it` }
      })
    })
  addHandover(wallet, () => options().json === true, session)
  wallet.command('exchange').description('fresh coins of these values for others, over the mixnet')
    .argument('<values...>', 'values of coins, such as 1 2 4 8', (value: string, all: number[] = []) => [...all, amount(value)])
    .action(async (values: number[]) => {
      await session(async open => {
        const entry = await open.run(open.engine.exchange(values))
        return { json: entryJson(entry), human: `exchanged ${entry.amount} ${open.unit}` }
      })
    })
  wallet.command('refresh').description('exchange coins that end for fresh ones; every command does a few whose time has come')
    .option('--early', 'all coins of keysets that issue no more, whether or not their time has come: the bank may see that they are of one wallet')
    .action(async ({ early }: { early?: boolean }) => {
      await session(async open => {
        const results = await open.run(open.engine.refresh({ early: early === true, pause: 5_000 }))
        return { json: { results: results.map(recoveredJson) }, human: results.length === 0 ? 'nothing to refresh now' : table(results.map(recoveredRow)) }
      })
    })
  wallet.command('history').description('everything this wallet has done')
    .action(async () => { await session(async open => entries(await open.run(open.engine.history()), open.unit)) })
  wallet.command('pending').description('what was begun and is not over')
    .action(async () => { await session(async open => entries(await open.run(open.engine.pending()), open.unit)) })
  wallet.command('proofs').description('what this wallet holds against its bank: proofs, one a line, that anyone can check with `mixmint proof verify`')
    .action(async () => {
      await session(async open => {
        const proofs = (await open.run(bankConflicts())).map(conflict => armor('bank', conflict))
        return { json: { proofs }, human: proofs.join('\n') }
      })
    })
  wallet.command('recover').description('carry on with everything that was begun, and bring back what was left over: coins, and tokens that were not used')
    .option('--presented', 'ask back tokens, too, that were handed over at a till and may never have come there')
    .action(async ({ presented }: { presented?: boolean }) => {
      await session(async open => {
        const results = await open.run(open.engine.recover(presented === true))
        return recoveredResult(results)
      })
    })
}

async function orderItem (open: WalletSession, item: string, merchant: string | undefined): Promise<SignedInvoice> {
  const reply = await open.askMerchant(open.merchant(merchant, toHex).payee, { op: 'order', item })
  if (reply.is === 'refused') throw new MixmintError(reply.code, 'caller', reply.message, { retry: reply.retry })
  if (reply.is !== 'invoice') throw unexpected()
  return reply.signed
}

async function pay (open: WalletSession, signed: SignedInvoice, kind: PayWith, waived: boolean): Promise<Result> {
  const { order, amount, unit } = signed.invoice
  const before = kind === 'coins' ? await open.run(open.engine.balance()) : null
  if (kind === 'token') {
    await open.run(open.engine.payWithToken(signed))
    return { json: { paid: true, with: kind, order, amount, unit }, human: `PAID ${amount} ${unit} with a token: ${order}` }
  }
  if (kind === 'sealed') {
    await open.run(open.engine.payWithSealed(signed))
    return { json: { paid: true, with: kind, order, amount, unit }, human: `PAID ${amount} ${unit} with sealed tokens: ${order}` }
  }
  const { settled, receipt } = await open.run(open.engine.payWithCoins(signed, { waived }))
  const after = await open.run(open.engine.balance())
  return {
    json: { paid: receipt !== null || settled, with: kind, order, amount, unit, settled, before: before?.available ?? 0, after: after.available, leftOver: after.leftOver },
    human: `PAID ${amount} ${unit} with coins: ${order}${settled ? '' : '; the change comes when the bank has settled (`mixmint wallet recover`)'}`
  }
}

/** Begin to pay, with a file as the messenger: what the wallet would tell the merchant is the offer, and no answer comes. The bank keeps its copy first. */
async function makeOffer (open: WalletSession, signed: SignedInvoice, waived: boolean): Promise<Offer> {
  let offer: Offer | null = null
  try {
    await open.runWith(open.engine.payWithCoins(signed, { waived }), async (effect, ask) => {
      if (effect.do === 'ask-bank' && effect.request.op === 'file') return await ask()
      if (effect.do === 'ask-merchant' && effect.request.op === 'pay') {
        const { contract, inputs } = effect.request
        offer = { contract, inputs }
      }
      throw new MixmintError('handed-over', 'peer', 'the payment was written to a file', { retry: true })
    })
  } catch (error) {
    if (offer === null || !(error instanceof MixmintError) || error.code !== 'handed-over') throw error
  }
  if (offer === null) throw new MixmintError('already-paid', 'caller', 'this invoice is paid')
  return offer
}

function readInvoice (text: string): SignedInvoice {
  return unarmorAs('invoice', textIn([text]))
}

function payWith (what: string): PayWith {
  if (what !== 'token' && what !== 'sealed' && what !== 'coins') throw new MixmintError('bad-argument', 'caller', '--with: token, sealed or coins')
  return what
}

function unexpected (): MixmintError {
  return new MixmintError('bad-reply', 'peer', 'the merchant answered something else than was asked')
}

function invoiceJson (signed: SignedInvoice): Json {
  const { order, amount, unit, payee, settleBy } = signed.invoice
  return { invoice: armor('invoice', signed), order, amount, unit, payee: toHex(payee), settleBy: new Date(settleBy).toISOString() }
}

function entryJson ({ sequence, kind, state, amount, started, order }: HistoryEntry): Record<string, Json> {
  return { number: sequence, kind, state, amount, started: new Date(started).toISOString(), order }
}

function entries (list: readonly HistoryEntry[], unit: string): Result {
  const rows = list.map(e => [e.sequence, new Date(e.started).toISOString().slice(0, 19), e.kind, e.state, e.amount, unit, e.order])
  return { json: { entries: list.map(entryJson) }, human: list.length === 0 ? 'nothing' : table([['NO', 'BEGUN', 'WHAT', 'STATE', 'AMOUNT', '', 'ORDER'], ...rows]) }
}

function recoveredResult (results: readonly Recovered[]): Result {
  return { json: { results: results.map(recoveredJson) }, human: results.length === 0 ? 'nothing was under way' : table(results.map(recoveredRow)) }
}

function recoveredJson ({ entry, error }: Recovered): Json {
  return { ...(entry === null ? {} : entryJson(entry)), error: error === null ? null : { code: error.code, message: error.message } }
}

function recoveredRow ({ entry, error }: Recovered): string[] {
  return [entry === null ? 'token sent again' : `${entry.kind} ${entry.amount}`, error === null ? entry?.state ?? 'done' : `not over: ${error.message}`]
}
