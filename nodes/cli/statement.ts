/** `mixmint statement verify`: what a bank signed about its coins, checked by anybody. */
import type { Command } from 'commander'
import { toHex } from '@mixmint/core/kit/bytes'
import { report, table } from './output.ts'
import { readText } from './texts.ts'

export function addStatement (program: Command): void {
  const statement = program.command('statement').description('statements of banks: what they issued and redeemed')
  statement.command('verify').description('check statements, one a line: each by itself, and each against those before it')
    .argument('<file>', 'the file, or - for standard input')
    .option('--json', 'print the result as JSON')
    .action(async (file: string, { json }: { json?: boolean }) => {
      await report(json === true, async () => {
        const { verifyStatementTexts } = await import('../statement.ts')
        const all = (await verifyStatementTexts(readText(file).split('\n'))).map(({ bank, keysets, time, ...rest }) => ({
          ...rest, bank: toHex(bank), time: new Date(time).toISOString(),
          keysets: keysets.map(({ keyset, issued, redeemed }) => ({ keyset: toHex(keyset), issued, redeemed, outstanding: issued - redeemed }))
        }))
        return {
          json: { valid: true, statements: all },
          human: all.map(each => [
            `VALID: the bank ${each.bank} of the network ${each.network} says, in ${each.unit}, at ${each.time}:`,
            table([['KEYSET', 'ISSUED', 'REDEEMED', 'OUTSTANDING'], ...each.keysets.map(k => [k.keyset.slice(0, 16), k.issued, k.redeemed, k.outstanding])], '  ')
          ].join('\n')).join('\n')
        }
      })
    })
}
