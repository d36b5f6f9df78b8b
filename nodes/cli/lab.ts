/** `mixmint lab …` hands over to the lab's own program, as git does: it is no part of what a node installs. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { constants } from 'node:os'
import type { Command } from 'commander'
import { PROGRAM } from '../program.ts'
import { EXIT } from './output.ts'

/** In a checkout it is beside us; installed, on the path. */
const BESIDE = join(dirname(PROGRAM), '..', '..', 'lab', 'bin', 'mixmint-lab.js')
const NAME = 'mixmint-lab'

export function addLab (program: Command): void {
  program.command('lab').description('simulate and measure mix networks: mixmint-lab, a program of its own')
    .allowUnknownOption().helpOption(false).argument('[words...]')
    .action(async (words: string[]) => { process.exitCode = await handOver(words) })
}

async function handOver (words: readonly string[]): Promise<number> {
  const [program, args] = existsSync(BESIDE) ? [process.execPath, [BESIDE, ...words]] : [NAME, [...words]]
  return await new Promise(resolve => {
    spawn(program, args, { stdio: 'inherit' })
      .on('error', (error: NodeJS.ErrnoException) => {
        process.stderr.write(error.code === 'ENOENT'
          ? `mixmint: there is no ${NAME} here; it is the workspace lab/ of the repository, or the package @mixmint/lab\n`
          : `mixmint: ${NAME} cannot be started: ${error.message}\n`)
        resolve(EXIT.operator)
      })
      .on('exit', (code, signal) => { resolve(code ?? 128 + constants.signals[signal as NodeJS.Signals]) })
  })
}
