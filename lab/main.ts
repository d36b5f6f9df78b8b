/** The program `mixmint-lab`, to which `mixmint lab …` hands over: its commands, each group in a file of `cli/`. */
import { Command, CommanderError } from 'commander'
import { EXIT, EXIT_HELP } from 'mixmint/cli/output.ts'
import { addAttack } from './cli/attack.ts'
import { addCompare } from './cli/compare.ts'
import { addLive } from './cli/live.ts'
import { addPlan } from './cli/plan.ts'
import { addReproduce } from './cli/reproduce.ts'
import { addRing } from './cli/ring.ts'
import { addRun } from './cli/run.ts'
import { VERSION } from './run/folder.ts'

const COMMANDS = [addRun, addCompare, addAttack, addRing, addReproduce, addLive, addPlan]

export function labProgram (): Command {
  const program = new Command('mixmint-lab')
    .description('Simulate and measure mix networks with the production mixer, cover and routing code.')
    .version(VERSION)
    .showHelpAfterError('(see mixmint-lab help, or mixmint-lab help COMMAND)')
    .addHelpText('after', `\n${EXIT_HELP}`)
    .exitOverride()
  for (const add of COMMANDS) add(program)
  for (const command of program.commands) command.exitOverride()
  return program
}

export async function main (argv: readonly string[]): Promise<void> {
  try {
    await labProgram().parseAsync([...argv])
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    process.exitCode = error.exitCode === 0 ? 0 : EXIT.usage
  }
}
