/** The program `mixmint`: its commands, each in a file of `cli/`, loaded when called. */
import { Command, CommanderError } from 'commander'
import { EXIT, EXIT_HELP } from './cli/output.ts'

const VERSION = '0.1.0'

export async function main (argv: readonly string[]): Promise<void> {
  const program = new Command('mixmint')
    .description('Pay without being watched: coins, day tokens and a mix network, as one program.')
    .version(VERSION)
    .showHelpAfterError('(see mixmint help, or mixmint help COMMAND)')
    .showSuggestionAfterError()
    .addHelpText('after', `
Start here
  mixmint demo                        a whole network on this machine, and a purchase that nobody watches
  mixmint up --dir mynet              the same network, until you stop it; prints what to type next
  mixmint wallet --net mynet balance  a wallet on it

${EXIT_HELP}`)
    .exitOverride()
  const [{ addRun }, { addUp }, { addDemo }, { addWallet }, { addBank }, { addMerchant }, { addTools }] = await Promise.all([
    import('./cli/run.ts'), import('./cli/up.ts'), import('./cli/demo.ts'), import('./cli/wallet.ts'), import('./cli/bank.ts'),
    import('./cli/merchant.ts'), import('./cli/tools.ts')
  ])
  for (const add of [addDemo, addUp, addRun, addWallet, addBank, addMerchant, addTools]) add(program)
  for (const command of [program, ...program.commands.flatMap(c => [c, ...c.commands])]) command.exitOverride()
  try {
    await program.parseAsync([...argv])
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    process.exitCode = error.exitCode === 0 ? 0 : EXIT.usage
  }
}
