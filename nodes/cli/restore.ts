/** `mixmint wallet restore` and `secure`: a wallet from its words, on a new machine, over the mixnet; its coins for this machine alone. */
import type { Command } from 'commander'
import { createInterface } from 'node:readline'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Recovered } from '@mixmint/core/cash/wallet/engine'
import type { Handover } from '@mixmint/core/cash/wallet/handover'
import type { Json } from '../control.ts'
import { createRestored, hasWords } from '../wallet-folder.ts'
import type { WalletSession } from '../wallet-session.ts'
import { sumsJson } from './handover.ts'
import { seconds } from './options.ts'
import { EXIT, table } from './output.ts'
import { ProgressBar } from './progress.ts'

interface Result { readonly human: string, readonly json: Json }
const PACE = ['--pace <seconds>', 'between two questions, on average: the longer, the less the bank can tell that they are one wallet\'s', seconds, 3] as const

type Prepared = (action: (session: WalletSession) => Promise<Result>, before?: () => Promise<void>) => Promise<void>

export function addRestore (wallet: Command, folder: () => string, isQuiet: () => boolean, session: Prepared, recovered: (results: readonly Recovered[]) => Result): void {
  wallet.command('restore')
    .description('the wallet of twelve words, which are read from standard input, on a new machine; again after an interruption: it goes on. Each question to the bank is asked apart, at random times')
    .option(...PACE)
    .option('--no-secure', 'leave the coins as they were: those that you gave away, and nobody has received yet, can still be received')
    .action(async ({ pace, secure }: { pace: number, secure: boolean }) => {
      await session(async open => {
        const bar = new ProgressBar('restoring', 1, isQuiet())
        try {
          const { restored, recovered: results } = await open.run(open.engine.restore({ pace: pace * 1000, onProgress: ({ done, total }) => { bar.set(done, total) } }))
          const { human, json } = recovered(results)
          const secured = secure ? await secureCoins(open, pace, isQuiet()) : null
          const rows: Array<[string, number]> = [
            ['coins', restored.available - (secured?.theirs ?? 0)], ['in operations under way', restored.inFlight], ['left over', restored.leftOver],
            ['tokens, perhaps used', restored.tokens], ['signed away, for what is not known', restored.unknown], ['operations that the bank answered badly', restored.bad]
          ]
          return {
            json: { ...restored, unit: open.unit, ...(json as Record<string, Json>), secured: secured === null ? null : sumsJson(secured) },
            human: [
              table(rows.filter(([name, value]) => value > 0 || name === 'coins')), ...results.length === 0 ? [] : [human],
              ...secured === null
                ? ['Among these may be coins that you gave away, and whoever finds the lost machine can spend them too: `mixmint wallet secure` exchanges what is still yours.']
                : securedLines(secured, open.unit)
            ].join('\n')
          }
        } finally {
          bar.end()
        }
      }, async () => {
        // Never as an argument: arguments stand in the list of processes, and in the history of the shell.
        if (!hasWords(folder())) createRestored(folder(), await readWords())
      })
    })
  wallet.command('secure')
    .description('after a restore: exchange every coin of before, so that nobody else can have it, neither whoever has the lost machine nor those who have not yet received what you gave them')
    .option(...PACE)
    .action(async ({ pace }: { pace: number }) => {
      await session(async open => {
        const secured = await secureCoins(open, pace, isQuiet())
        if (secured.open > 0) process.exitCode = EXIT.retry
        return { json: sumsJson(secured), human: securedLines(secured, open.unit).join('\n') || 'nothing to secure' }
      })
    })
}

async function secureCoins (open: WalletSession, pace: number, isQuiet: boolean): Promise<Handover> {
  const bar = new ProgressBar('securing', 1, isQuiet)
  try {
    return await open.run(open.engine.secure({ pause: 2 * pace * 1000, onProgress: ({ done, total }) => { bar.set(done, total) } }))
  } finally {
    bar.end()
  }
}

function securedLines ({ ours, theirs, open, errors }: Handover, unit: string): string[] {
  const lines = [[ours, 'exchanged, and yours alone'], [theirs, 'had by somebody else'], [open, 'not decided yet: `mixmint wallet recover` goes on']] as const
  return [...lines.filter(([sum]) => sum > 0).map(([sum, what]) => `${sum} ${unit} ${what}`), ...new Set(errors.map(({ message }) => message))]
}

async function readWords (): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write('The twelve words: ')
  const lines = createInterface({ input: process.stdin, terminal: false })
  for await (const line of lines) if (line.trim() !== '') return line
  throw new MixmintError('bad-argument', 'caller', 'the words of the wallet are wanted on standard input, in one line')
}
