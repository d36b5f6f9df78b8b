/** Options that several commands share, and how their values are read. */
import { InvalidArgumentError, type Command } from 'commander'
import { join } from 'node:path'

/** A whole amount, in the unit's smallest coin. */
export function amount (text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value === 0) throw new InvalidArgumentError('a whole number from 1 on is wanted.')
  return value
}

/** A whole number from 0 on. */
export function whole (text: string): number {
  return text === '0' ? 0 : amount(text)
}

/** A time of at most a day. */
export function seconds (text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= 0 && value <= 86_400)) throw new InvalidArgumentError('a number of seconds from 0 to 86400 is wanted.')
  return value
}

/** 32 bytes in hexadecimal. */
export function hexKey (text: string): string {
  if (!/^[0-9a-fA-F]{64}$/.test(text)) throw new InvalidArgumentError('a key of 64 hexadecimal digits is wanted.')
  return text.toLowerCase()
}

export function defaultNet (): string {
  return process.env.MIXMINT_NET ?? 'mixmint-net'
}

export interface NetOptions { readonly net: string, readonly dir?: string, readonly json?: boolean }

/** `--net`, `--dir` and `--json` of a command group about one node or wallet of a network's folder. */
export function withNet (command: Command, what: string): Command {
  return command
    .option('--net <dir>', 'the network\'s folder, as `mixmint up` made it (or the variable MIXMINT_NET)', defaultNet())
    .option('--dir <dir>', `the ${what}'s own folder (default: ${what} inside the network's)`)
    .option('--json', 'print the result as JSON')
}

export function folderOf (options: NetOptions, what: string): string {
  return options.dir ?? join(options.net, what)
}

export interface SettingFlags { readonly set: string[] }

/** `--set NAME=VALUE`, again for more: before variables and the file. */
export function withSettings (command: Command): Command {
  return command.option('--set <name=value>', 'a setting instead of what the file says, such as log=debug; again for more', (one: string, all: string[]) => [...all, one], [])
}
