/** `mixmint merchant …`: what a merchant's operator or clerk does with the running till. */
import type { Command } from 'commander'
import { callControl, type JsonObject } from '../control.ts'
import { amount, folderOf, withNet, type NetOptions } from './options.ts'
import { EXIT, report, table } from './output.ts'
import { readText, show, withShown, type Shown } from './texts.ts'

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
  merchant.command('orders').description('invoices and whether they are paid')
    .action(async () => {
      await ask('orders', {}, r => table([['ORDER', 'AMOUNT', 'STATE'], ...(r.orders as JsonObject[]).map(o => [String(o.order), Number(o.amount), String(o.state)])]))
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
  merchant.command('deposit').description('turn in accepted tokens at the bank, and settle payments that wait for it')
    .action(async () => { await ask('deposit', {}, r => `credited ${String(r.credited)}, already credited ${String(r.already)}, refused ${String(r.refused)}, settled ${String(r.settled)}`) })
  merchant.command('payee').description('the key that tokens and payments must name, which is also the account at the bank')
    .action(async () => { await ask('payee', {}, r => String(r.payee)) })
  merchant.command('takings').description('what was taken, and how much of it is in the account')
    .action(async () => { await ask('takings', {}, r => table(Object.entries(r).map(([name, value]) => [name, Number(value)]))) })
  merchant.command('proofs').description('double-spend proofs that this till has met, as text for `mixmint proof verify`')
    .action(async () => { await ask('proofs', {}, r => (r.proofs as string[]).join('\n')) })
}

/** What the clerk is told of a payment. Only a payment that was taken now is PAID; to everything else the exit code says no. */
export function tillAnswer (r: JsonObject): { human: string, exit: number } {
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
