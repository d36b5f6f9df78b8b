/** What commands print: one result, for people or (--json) for programs; errors with what to do; exit codes. */
import type { MixmintError } from '@mixmint/core/kit/errors'
import { asMixmintError } from '@mixmint/core/kit/saga'
import type { Json, JsonObject } from '../control.ts'
import { ofSystem } from '../system-error.ts'

/** As `mixmint help exit-codes` prints them. */
export const EXIT = {
  refused: 1,
  usage: 2,
  operator: 3,
  retry: 4,
  internal: 70
} as const

export const EXIT_HELP = `Exit codes
  0   done
  1   refused: the other side or a rule says no; trying the same again will not help
  2   the command was given wrongly
  3   something on this machine needs attention (configuration, files, a daemon that is not running)
  4   not now: the same command may succeed later
  70  a defect in mixmint`

export function exitCode (error: MixmintError): number {
  if (error.fault === 'us') return EXIT.internal
  if (error.code === 'bad-argument') return EXIT.usage
  if (error.retry) return EXIT.retry
  if (error.fault === 'operator') return EXIT.operator
  return EXIT.refused
}

/** Run a command's action; print its result or its error; set the exit code. */
export async function report (json: boolean, action: () => Promise<{ human: string, json: Json }>): Promise<void> {
  try {
    const result = await action()
    process.stdout.write(`${json ? JSON.stringify(result.json) : result.human}\n`)
  } catch (cause) {
    const error = asMixmintError(ofSystem(cause))
    process.exitCode = exitCode(error)
    const body: JsonObject = { error: { code: error.code, fault: error.fault, retry: error.retry, message: error.message } }
    if (json) process.stdout.write(`${JSON.stringify(body)}\n`)
    else process.stderr.write(`mixmint: ${error.message} (${error.code})\n`)
    if (error.fault === 'us' && process.env.MIXMINT_DEBUG !== undefined) process.stderr.write(`${error.stack}\n`)
  }
}

/** Columns, each as wide as its widest cell; numbers to the right. */
export function table (rows: ReadonlyArray<ReadonlyArray<string | number>>, indent = ''): string {
  const widths: number[] = []
  for (const row of rows) row.forEach((cell, i) => { widths[i] = Math.max(widths[i] ?? 0, String(cell).length) })
  return rows.map(row => indent + row
    .map((cell, i) => typeof cell === 'number' ? String(cell).padStart(widths[i]) : cell.padEnd(widths[i]))
    .join('  ').trimEnd()).join('\n')
}
