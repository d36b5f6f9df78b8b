/** `mixmint receipt verify`: needs no wallet, no network and no daemon. */
import type { Command } from 'commander'
import { toHex } from '@mixmint/core/kit/bytes'
import type { Proven } from '@mixmint/core/cash/receipt'
import { EXIT, report, table } from './output.ts'
import { textIn } from './texts.ts'

const WORDS: Readonly<Record<Proven['by'], string>> = {
  bank: 'the bank has settled this payment; its payee has the money',
  token: 'the bank has credited the token to the payee, who turned it in for this order',
  sealed: 'the bank has credited the sealed tokens to the payee, for this order',
  payee: 'by its payee\'s own word'
}

export function addReceipt (program: Command): void {
  const receipt = program.command('receipt').description('receipts that anyone can check')
  receipt.command('verify').description('check a receipt, by itself: its invoice, and the word of the bank, or of the payee, that it is paid')
    .argument('<text...>', 'the text, its parts, or a file that holds them (- for standard input)')
    .option('--json', 'print the result as JSON')
    .action(async (texts: string[], { json }: { json?: boolean }) => {
      await report(json === true, async () => {
        const { verifyReceiptText } = await import('../receipt.ts')
        const { by, invoice, had, time } = await verifyReceiptText(textIn(texts))
        const shown = {
          order: invoice.order, amount: invoice.amount, had, unit: invoice.unit, payee: toHex(invoice.payee), bank: toHex(invoice.bank), network: invoice.network,
          by, time: new Date(time).toISOString()
        }
        const paid = had >= invoice.amount
        if (!paid) process.exitCode = EXIT.refused
        const word = paid ? `PAID: ${WORDS[by]}` : `PAID IN PART: of ${invoice.amount} ${invoice.unit} the payee has had ${had}; ${WORDS[by]}`
        return { json: { paid, ...shown }, human: [word, table(Object.entries(shown).map(([name, value]) => [name, String(value)]), '  ')].join('\n') }
      })
    })
}
