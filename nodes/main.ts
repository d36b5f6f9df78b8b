/** The program `mixmint`: its commands, each group in a file of `cli/`, loaded when called. */
import { Command, CommanderError } from 'commander'
import { EXIT, EXIT_HELP } from './cli/output.ts'

const VERSION = '0.1.0'

type Add = (program: Command) => void

const run = async (): Promise<Add> => (await import('./cli/run.ts')).addRun
const tools = async (): Promise<Add> => (await import('./cli/tools.ts')).addTools
/** In the order in which help lists them. */
const COMMANDS: Record<string, () => Promise<Add>> = {
  demo: async () => (await import('./cli/demo.ts')).addDemo,
  up: async () => (await import('./cli/up.ts')).addUp,
  wallet: async () => (await import('./cli/wallet.ts')).addWallet,
  bank: async () => (await import('./cli/bank.ts')).addBank,
  merchant: async () => (await import('./cli/merchant.ts')).addMerchant,
  ring: async () => (await import('./cli/ring.ts')).addRing,
  run,
  status: run,
  keys: async () => (await import('./cli/keys.ts')).addKeys,
  receipt: async () => (await import('./cli/receipt.ts')).addReceipt,
  directory: tools,
  proof: tools,
  statement: async () => (await import('./cli/statement.ts')).addStatement,
  kat: tools
}

export async function main (argv: readonly string[]): Promise<void> {
  // Whoever reads our output may go away; what was begun is still to be ended in order.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
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
  const named = Object.hasOwn(COMMANDS, argv[2] ?? '') ? [COMMANDS[argv[2]]] : new Set(Object.values(COMMANDS))
  for (const load of named) (await load())(program)
  for (const command of [program, ...program.commands.flatMap(c => [c, ...c.commands])]) command.exitOverride()
  try {
    await program.parseAsync([...argv])
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    process.exitCode = error.exitCode === 0 ? 0 : EXIT.usage
  }
  // Everything is closed; timers of libraries are not waited for. Written output is.
  process.stdout.write('', () => { process.stderr.write('', () => { process.exit() }) })
}
