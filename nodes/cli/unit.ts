/** `mixmint unit`, `mixmint completion`: what the system is given about the program. For the latter, `program` has all commands. */
import { Argument, type Command } from 'commander'
import { PROGRAM } from '../program.ts'
import { report } from './output.ts'

export function addSystem (program: Command): void {
  program.command('unit').description('the systemd unit of nodes, for /etc/systemd/system/mixmint@.service; then `systemctl enable --now mixmint@mix` runs the node in BASE/mix')
    .option('--base <dir>', 'the folder in which the folders of nodes are', '/var/lib/mixmint')
    .option('--user <name>', 'who runs them', 'mixmint')
    .action(async ({ base, user }: { base: string, user: string }) => {
      await report(false, async () => {
        const { unitText } = await import('../unit.ts')
        return { json: null, human: unitText({ program: `${process.execPath} ${PROGRAM}`, base, user }).trimEnd() }
      })
    })
  program.command('completion').description('the script by which a shell completes commands: bash: `source <(mixmint completion bash)`; zsh: the same; fish: `mixmint completion fish | source`')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .action(async (shell: 'bash' | 'zsh' | 'fish') => {
      await report(false, async () => {
        const { completion } = await import('../completion.ts')
        return { json: null, human: completion(shell, program) }
      })
    })
}
