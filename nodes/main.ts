/** The program `mixmint`: its commands, each group in a file of `cli/`, loaded when called. */
import { Command, CommanderError } from 'commander'
import { EXIT, EXIT_HELP } from './cli/output.ts'
import { VERSION } from './program.ts'

type Add = (program: Command) => void

const tools = async (): Promise<Add> => (await import('./cli/tools.ts')).addTools
const backup = async (): Promise<Add> => (await import('./cli/backup.ts')).addBackup
const system = async (): Promise<Add> => (await import('./cli/unit.ts')).addSystem
/** In the order in which help lists them. */
const COMMANDS: Record<string, () => Promise<Add>> = {
  demo: async () => (await import('./cli/demo.ts')).addDemo,
  up: async () => (await import('./cli/up.ts')).addUp,
  wallet: async () => (await import('./cli/wallet.ts')).addWallet,
  bank: async () => (await import('./cli/bank.ts')).addBank,
  merchant: async () => (await import('./cli/merchant.ts')).addMerchant,
  ring: async () => (await import('./cli/ring.ts')).addRing,
  init: async () => (await import('./cli/init.ts')).addInit,
  config: async () => (await import('./cli/config.ts')).addConfig,
  run: async () => (await import('./cli/run.ts')).addRun,
  status: async () => (await import('./cli/status.ts')).addStatus,
  doctor: async () => (await import('./cli/doctor.ts')).addDoctor,
  backup,
  restore: backup,
  keys: async () => (await import('./cli/keys.ts')).addKeys,
  receipt: async () => (await import('./cli/receipt.ts')).addReceipt,
  directory: tools,
  proof: tools,
  statement: async () => (await import('./cli/statement.ts')).addStatement,
  kat: tools,
  lab: async () => (await import('./cli/lab.ts')).addLab,
  unit: system,
  completion: system
}

/** Commands about all commands. */
const ABOUT_ALL = ['completion']

/** The program with all of its commands. */
export async function wholeProgram (): Promise<Command> {
  const program = empty()
  for (const load of new Set(Object.values(COMMANDS))) (await load())(program)
  return program
}

export async function main (argv: readonly string[]): Promise<void> {
  // Whoever reads our output may go away; what was begun is still to be ended in order.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  let program: Command
  if (Object.hasOwn(COMMANDS, argv[2] ?? '') && !ABOUT_ALL.includes(argv[2])) {
    program = empty();
    (await COMMANDS[argv[2]]())(program)
  } else program = await wholeProgram()
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

function empty (): Command {
  return new Command('mixmint')
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
}
