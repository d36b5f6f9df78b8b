/** `mixmint merchant …`: what a merchant's operator or clerk does with the running till. */
import { InvalidArgumentError, type Command } from 'commander'
import { callControl, type JsonObject } from '../control.ts'
import { csv, dayCsv } from '../csv.ts'
import { amount, folderOf, withNet, type NetOptions } from './options.ts'
import { EXIT, report, table } from './output.ts'
import { ProgressBar } from './progress.ts'
import { readText, show, withShown, writeText, type Shown } from './texts.ts'

export function addMerchant (program: Command): void {
  const merchant = withNet(program.command('merchant'), 'merchant').description('operate the running till: invoices, payments at the counter, deposits')
  const ask = async (operation: string, input: JsonObject, human: (result: JsonObject) => string): Promise<void> => {
    const options = merchant.opts<NetOptions>()
    await report(options.json === true, async () => {
      const json = await callControl(folderOf(options, 'merchant'), operation, input)
      return { json, human: human(json as JsonObject) }
    })
  }

  withShown(merchant.command('invoice').description('make an invoice; hand the text, or show its QR code, to the customer')
    .argument('<order>', 'your name for the order').argument('<amount>', 'in the unit\'s smallest coin', amount)
    .option('--minutes <n>', 'how long it can be paid; default: as long as the network allows', amount))
    .action(async (order: string, value: number, { minutes, ...shown }: { minutes?: number } & Shown) => {
      await ask('invoice', { order, amount: value, minutes: minutes ?? 0 }, r => show(String(r.invoice), shown))
    })
  merchant.command('orders').description('the latest invoices, whether they are paid, and whether to deliver')
    .option('--last <n>', 'at most so many', amount, 50)
    .action(async ({ last }: { last: number }) => {
      await ask('orders', { last }, r => table([['ORDER', 'AMOUNT', 'STATE'], ...(r.orders as JsonObject[]).map(o => [String(o.order), Number(o.amount), `${String(o.state)}${o.how !== null && o.deliver !== true ? ', deliver when settled' : ''}`])]))
    })
  merchant.command('accept').description('take a payment that a customer hands over as a file: a token (no network needed) or coins')
    .argument('<file>', 'the file that `mixmint wallet present` or `mixmint wallet offer` wrote')
    .action(async (file: string) => {
      const options = merchant.opts<NetOptions>()
      await report(options.json === true, async () => {
        const json = await callControl(folderOf(options, 'merchant'), 'accept', { payment: readText(file) }) as JsonObject
        const { human, exit } = tillAnswer(json)
        process.exitCode = exit
        return { json, human }
      })
    })
  merchant.command('deposit').description('turn in accepted tokens at the bank, and settle payments that wait for it; after an interruption, again: it goes on')
    .option('--again', 'those, too, that the bank has refused before').option('--results <file>', 'what became of each token, as CSV')
    .action(async ({ again, results }: { again?: boolean, results?: string }) => {
      const options = merchant.opts<NetOptions>()
      await report(options.json === true, async () => await depositAll(folderOf(options, 'merchant'), again === true, results))
    })
  merchant.command('payee').description('the key that tokens and payments must name, which is also the account at the bank')
    .action(async () => { await ask('payee', {}, r => String(r.payee)) })
  merchant.command('takings').description('what was taken, and how much of it is in the account; of one day, as CSV')
    .option('--day <date>', 'every order that was paid on this day (UTC), such as 2026-05-01', day).option('--out <file>', 'the CSV into this file')
    .action(async ({ day, out }: { day?: number, out?: string }) => {
      if (day === undefined) await ask('takings', {}, r => table(Object.entries(r).map(([name, value]) => [name, Number(value)])))
      else await ask('sold', { from: day, until: day + 86_400_000 }, r => written(dayCsv(r.sold as JsonObject[], String(r.unit)), out))
    })
  merchant.command('refund').description('give back a paid order, or a part of it: its payer has it with `mixmint wallet refund`, as coins out of your account')
    .argument('<number>', 'of the order', amount).argument('[amount]', 'default: all of it', amount)
    .action(async (number: number, value: number | undefined) => {
      await ask('repay', { number, ...value === undefined ? {} : { amount: value } }, r => `${String(r.order)}: its payer can have it back with \`mixmint wallet refund\``)
    })
  merchant.command('losses').description('what is at risk for coins that were taken on trust, and what was delivered and never paid')
    .action(async () => {
      await ask('risks', {}, r => {
        const losses = r.losses as JsonObject[]
        return [`at risk now: ${String(r.atRisk)}`, losses.length === 0 ? 'no losses' : table([['WHEN', 'AMOUNT', 'PAID WITH', 'WHY'], ...losses.map(l => [String(l.time).slice(0, 19), Number(l.amount), String(l.how), String(l.code)])])].join('\n')
      })
    })
  merchant.command('proofs').description('double-spend proofs that this till has met, the newest first, as text for `mixmint proof verify`')
    .option('--last <n>', 'at most so many', amount, 100).option('--before <number>', 'those before this one: `next`, as --json tells', amount)
    .action(async ({ last, before }: { last: number, before?: number }) => {
      await ask('proofs', { last, ...before === undefined ? {} : { before } }, r => (r.proofs as string[]).join('\n'))
    })
}

/** Midnight, UTC, at which a day begins. */
function day (text: string): number {
  const time = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(text) : NaN
  if (Number.isNaN(time) || new Date(time).toISOString().slice(0, 10) !== text) throw new InvalidArgumentError('a day such as 2026-05-01 is wanted.')
  return time
}

function written (text: string, out: string | undefined): string {
  if (out === undefined) return text
  writeText(out, text)
  return `written to ${out}`
}

/** Batch after batch, each of them on disk at both sides before the next is begun. */
async function depositAll (dir: string, again: boolean, file: string | undefined): Promise<{ human: string, json: JsonObject }> {
  const { due, batch } = await callControl(dir, 'due') as JsonObject & { due: number, batch: number }
  const sums = { credited: 0, already: 0, refused: 0, amount: 0 }
  const results: JsonObject[] = []
  const bar = new ProgressBar('turning in', due)
  try {
    for (let first = again; ; first = false) {
      const one = await callControl(dir, 'deposit', { limit: batch, again: first, results: file !== undefined }) as JsonObject
      for (const name of ['credited', 'already', 'refused', 'amount'] as const) sums[name] += Number(one[name])
      results.push(...one.results as JsonObject[])
      const done = Number(one.credited) + Number(one.already) + Number(one.refused)
      if (done === 0) break
      bar.tick('', done)
    }
  } finally {
    bar.end()
    if (file !== undefined) writeText(file, csv([['serial', 'amount', 'state', 'code'], ...results.map(r => [String(r.serial), Number(r.amount), String(r.state), String(r.code)])]), 'nothing more: what was recorded')
  }
  const { settled, pending } = await callControl(dir, 'settle') as JsonObject
  return {
    json: { ...sums, settled, pending },
    human: `credited ${sums.credited}, already credited ${sums.already}, refused ${sums.refused}, settled ${String(settled)}`
  }
}

/** What the clerk is told of a payment. Only a payment that was taken now is PAID; to everything else the exit code says no. */
export function tillAnswer (r: JsonObject): { human: string, exit: number } {
  if (r.state === 'paid' && r.repeat !== true && r.deliver === false) {
    return { human: `PAID, NOT SETTLED: order ${String(r.order)}, ${String(r.amount)} ${String(r.unit)}; deliver when \`mixmint merchant orders\` says no more to wait`, exit: EXIT.retry }
  }
  if (r.state === 'paid' && r.repeat !== true) {
    return { human: `PAID: order ${String(r.order)}, ${String(r.amount)} ${String(r.unit)}, in ${String(r.milliseconds)} ms`, exit: 0 }
  }
  if (r.state === 'paid') return { human: `ALREADY PAID: order ${String(r.order)} was paid with this before; do not deliver again`, exit: EXIT.refused }
  if (r.state === 'double-spend') {
    return { human: 'NOT PAID: a coin of it was signed over to somebody else before; `mixmint merchant proofs` prints the proof', exit: EXIT.refused }
  }
  const refused = ((r.coins ?? []) as JsonObject[]).find(coin => coin.state === 'refused')
  if (refused !== undefined) return { human: `NOT PAID: a coin of it is refused by its keepers (${String(refused.code)}); ask the customer for other coins`, exit: EXIT.refused }
  return { human: 'NOT PAID: too few keepers of a coin answer; ask the customer for other coins, or try again later', exit: EXIT.retry }
}
