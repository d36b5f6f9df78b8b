/** `mixmint wallet give`, `given`, `take-back`, `receive`: coins from person to person; and `receipt`, for what was paid. */
import type { Command } from 'commander'
import { toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import { bundleId } from '@mixmint/core/cash/bundle'
import { invoiceHash } from '@mixmint/core/cash/contract'
import type { SignedInvoice } from '@mixmint/core/cash/formats'
import { DAY } from '@mixmint/core/cash/keyset'
import { verifyReceipt, type Receipt } from '@mixmint/core/cash/receipt'
import type { Given, Handover } from '@mixmint/core/cash/wallet/handover'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { armor, unarmorAs } from '../armor.ts'
import { systemClock } from '../clock.ts'
import type { Json } from '../control.ts'
import type { WalletSession } from '../wallet-session.ts'
import { amount, seconds } from './options.ts'
import { EXIT, table } from './output.ts'
import { ProgressBar } from './progress.ts'
import { show, textIn, withShown, type Shown } from './texts.ts'

interface Result { readonly human: string, readonly json: Json }
export type InSession = (action: (session: WalletSession) => Promise<Result>) => Promise<void>

export function addHandover (wallet: Command, isQuiet: () => boolean, session: InSession): void {
  withShown(wallet.command('give').description('coins for somebody, as a text: whoever has it has the money, so show it to nobody else; where sizes are missing, some are exchanged first')
    .argument('<amount>', 'in the unit\'s smallest coin', amount)
    .option('--memo <text>', 'a word for whoever receives it', '').option('--days <n>', 'within how many days it is to be received', amount, 7))
    .action(async (value: number, { memo, days, ...shown }: { memo: string, days: number } & Shown) => {
      await session(async open => {
        const given = await open.run(open.engine.give(value, { memo, until: systemClock.now() + days * DAY }))
        return { json: givenJson(given), human: show(armor('bundle', given.bundle), shown, `\`mixmint wallet given ${given.sequence}\``) }
      })
    })
  withShown(wallet.command('given').description('what was given, and whether it was received as far as this wallet knows')
    .argument('[number]', 'show the text of this one again', amount))
    .action(async (number: number | undefined, shown: Shown) => {
      await session(async open => {
        const all = await open.run(open.engine.given())
        if (number === undefined) {
          const rows = all.map(one => [one.sequence, new Date(one.started).toISOString().slice(0, 19), one.bundle.amount, open.unit, stateOf(one), one.bundle.memo])
          return { json: { given: all.map(givenJson) }, human: all.length === 0 ? 'nothing' : table([['NO', 'GIVEN', 'AMOUNT', '', 'STATE', 'MEMO'], ...rows]) }
        }
        const found = all.find(({ sequence }) => sequence === number)
        if (found === undefined) throw new MixmintError('unknown-operation', 'caller', 'under this number nothing was given: `mixmint wallet given` lists them')
        return { json: givenJson(found), human: show(armor('bundle', found.bundle), shown) }
      })
    })
  wallet.command('take-back').description('take back coins that were given and not received')
    .argument('<number>', 'as `mixmint wallet given` lists it', amount)
    .option('--now', 'at once: agree with whoever has the text, for where both try at the same time, coins may be nobody\'s for a long time')
    .action(async (number: number, { now }: { now?: boolean }) => {
      await session(async open => {
        const given = await open.run(open.engine.takeBack(number, { early: now === true }))
        return outcome(given, open.unit, givenJson(given), { ours: 'taken back', theirs: 'received by somebody' })
      })
    })
  wallet.command('receive').description('coins that somebody gave: they are exchanged at once, over the mixnet, and only then yours; again after an interruption: it goes on')
    .argument('<text...>', 'the text, its parts, or files that hold them (- for standard input)')
    .option('--late', 'although its giver may take it back already')
    .action(async (texts: string[], { late }: { late?: boolean }) => {
      await session(async open => {
        const bundle = unarmorAs('bundle', textIn(texts))
        const handover = await open.run(open.engine.receive(bundle, { late: late === true }))
        const json = { bundle: toHex(bundleId(await defaultSuite(), bundle)), amount: bundle.amount, memo: bundle.memo, ...sumsJson(handover) }
        return outcome(handover, open.unit, json, { ours: 'received', theirs: 'NOT received: somebody else has had it' })
      })
    })
  withShown(wallet.command('receipt').description('the receipt for an order that was paid, for `mixmint receipt verify`: anyone can check it with nothing else')
    .argument('<order>', 'the order\'s name or its number (#1), or the beginning of its invoice\'s hash')
    .option('--bank', 'of an order that a token paid, or sealed ones: the bank\'s word that its payee has turned them in for it, even if the payee says nothing')
    .option('--pace <seconds>', 'with --bank, between two questions about sealed tokens, on average: who asks about several in a short time tells the bank that they paid one order', seconds, 3))
    .action(async (order: string, { bank, pace, ...shown }: { bank?: boolean, pace: number } & Shown) => {
      await session(async open => {
        const { receipt, name, hash } = await (bank === true ? tokenOrder(open, order, pace, isQuiet()) : paidOrder(open, order))
        const text = armor('receipt', receipt)
        const { had, invoice } = verifyReceipt(await defaultSuite(), receipt)
        // Beside the text, which may go into a file or to another program.
        if (had < invoice.amount && !isQuiet()) process.stderr.write(`The payee has turned in ${had} of ${invoice.amount} ${open.unit}: the receipt is for that much.\n`)
        return { json: { order: name, invoice: hash, by: receipt.by, amount: invoice.amount, had, receipt: text }, human: show(text, shown) }
      })
    })
  wallet.command('refund').description('have back what a merchant gives back of an order that you paid, over the mixnet')
    .argument('<order>', 'as for `receipt`')
    .action(async (order: string) => {
      await session(async open => {
        const { receipt, name } = await paidOrder(open, order)
        const { amount } = await open.run(open.engine.collectRepay(receipt.invoice))
        return { json: { order: name, amount }, human: `${amount} ${open.unit} came back of ${name}` }
      })
    })
}

/** By the order's name, its number, or the beginning of its invoice's hash. @throws unknown-order, several-orders (caller) */
async function paidOrder (open: WalletSession, order: string): Promise<{ receipt: Receipt, name: string, hash: string }> {
  const all = await open.run(open.engine.receipts())
  const { signed, name, hash } = await orderNamed(all.map(({ invoice }) => invoice), order)
  return { receipt: all.find(({ invoice }) => invoice === signed) as Receipt, name, hash }
}

/** An order that tokens were signed over to, whatever its payee says, and the bank's word on it. */
async function tokenOrder (open: WalletSession, order: string, pace: number, isQuiet: boolean): Promise<{ receipt: Receipt, name: string, hash: string }> {
  const { signed, name, hash } = await orderNamed(await open.run(open.engine.tokenOrders()), order)
  const bar = new ProgressBar('asking the bank', 1, isQuiet)
  try {
    const asking = { pace: pace * 1000, onProgress: ({ done, total }: { done: number, total: number }) => { bar.set(done, total) } }
    return { receipt: await open.run(open.engine.askTokenReceipt(invoiceHash(await defaultSuite(), signed.invoice), asking)), name, hash }
  } finally {
    bar.end()
  }
}

async function orderNamed (invoices: readonly SignedInvoice[], order: string): Promise<{ signed: SignedInvoice, name: string, hash: string }> {
  const suite = await defaultSuite()
  const all = invoices.map(signed => ({ signed, name: signed.invoice.order, hash: toHex(invoiceHash(suite, signed.invoice)) }))
  const found = all.filter(({ name, hash }) => name === order || name.startsWith(`${order} `) || (order.length >= 8 && hash.startsWith(order.toLowerCase())))
  if (found.length === 0) throw new MixmintError('unknown-order', 'caller', 'this wallet has paid no order of this name: see `mixmint wallet history`')
  if (found.length > 1) throw new MixmintError('several-orders', 'caller', `several orders have this name; name one by its hash: ${found.map(({ name, hash }) => `${hash.slice(0, 12)} (${name})`).join(', ')}`)
  return found[0]
}

function stateOf ({ ours, theirs, open }: Handover): string {
  return [[open, 'waiting'], [theirs, 'received'], [ours, 'taken back']].filter(([sum]) => sum !== 0).map(([sum, word]) => `${sum} ${word}`).join(', ')
}

export function sumsJson ({ ours, theirs, open, errors }: Handover): { [name: string]: Json } {
  return { ours, theirs, open, errors: errors.map(({ code, message }) => ({ code, message })) }
}

function givenJson (given: Given): { [name: string]: Json } {
  const { sequence, bundle, started } = given
  return {
    number: sequence, amount: bundle.amount, memo: bundle.memo, started: new Date(started).toISOString(), until: new Date(bundle.until).toISOString(),
    ...sumsJson(given), bundle: armor('bundle', bundle)
  }
}

/** Only where nothing is left to wait for, and nothing went to somebody else, the exit code says that it is done. */
function outcome (handover: Handover, unit: string, json: Json, words: { ours: string, theirs: string }): Result {
  const { ours, theirs, open, errors } = handover
  if (open > 0) process.exitCode = EXIT.retry
  else if (theirs > 0) process.exitCode = EXIT.refused
  const lines = [[ours, words.ours], [theirs, words.theirs], [open, 'not decided yet: `mixmint wallet recover` goes on']] as const
  return { json, human: [...lines.filter(([sum]) => sum > 0).map(([sum, what]) => `${sum} ${unit} ${what}`), ...new Set(errors.map(({ message }) => message))].join('\n') }
}
