/** `mixmint status`: what a running node says of itself, once or again and again. */
import { InvalidArgumentError, type Command } from 'commander'
import { asMixmintError } from '@mixmint/core/kit/saga'
import { callControl, type Json, type JsonObject } from '../control.ts'
import { sleep } from '../clock.ts'
import { flat } from '../observe.ts'
import { report, table } from './output.ts'

const CLEAR = '\x1b[H\x1b[2J'

export function addStatus (program: Command): void {
  program.command('status').description('what a running node says of itself')
    .requiredOption('--dir <dir>', 'the node\'s folder')
    .option('--watch [seconds]', 'again and again, with what changes a second; until Ctrl-C', seconds)
    .option('--json', 'print the result as JSON; with --watch, one a line')
    .action(async ({ dir, json, watch: every }: { dir: string, json?: boolean, watch?: number | true }) => {
      if (every !== undefined) {
        await watch(dir, json === true, every === true ? 2 : every)
        return
      }
      await report(json === true, async () => {
        const status = await callControl(dir, 'status') as JsonObject
        return { json: status, human: statusText(status) }
      })
    })
}

function seconds (text: string): number {
  const value = Number(text)
  if (!(value >= 0.1 && value <= 3600)) throw new InvalidArgumentError('seconds from 0.1 to 3600 are wanted.')
  return value
}

/** A daemon that is not there, or goes away, may come back. */
async function watch (dir: string, json: boolean, every: number): Promise<void> {
  let told = false
  const stop = Promise.withResolvers<undefined>()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      told = true
      stop.resolve(undefined)
    })
  }
  let before: { readonly status: JsonObject, readonly at: number } | null = null
  while (!told) {
    let text: string
    try {
      const status = await callControl(dir, 'status', {}, 10_000) as JsonObject
      const at = performance.now()
      text = json ? JSON.stringify(status) : statusText(status, before === null ? undefined : { status: before.status, seconds: (at - before.at) / 1000 })
      before = { status, at }
    } catch (error) {
      const { code, message } = asMixmintError(error)
      before = null
      text = json ? JSON.stringify({ error: { code, message } }) : `${message} (${code})`
    }
    process.stdout.write(process.stdout.isTTY && !json ? `${CLEAR}${text}\n` : `${text}\n${json ? '' : '\n'}`)
    await Promise.race([sleep(every * 1000), stop.promise])
  }
}

/** @param earlier what it said so many seconds ago: then counts that grew show by how much a second */
function statusText (status: JsonObject, earlier?: { readonly status: JsonObject, readonly seconds: number }): string {
  const { role, version, state, waitsFor, pid, uptime, memory, counters, ...rest } = status
  const before = earlier === undefined ? {} : { ...flat(earlier.status), ...earlier.status.counters as JsonObject }
  const row = (name: string, value: Json): string[] => {
    const was = (before as Record<string, unknown>)[name]
    const rate = earlier === undefined || typeof value !== 'number' || typeof was !== 'number' || value === was ? [] : [`${value > was ? '+' : ''}${((value - was) / earlier.seconds).toFixed(1)}/s`]
    return [name, String(value), ...rate]
  }
  const lists = Object.entries(rest).filter((entry): entry is [string, JsonObject[]] => Array.isArray(entry[1]) && entry[1].length > 0 && typeof entry[1][0] === 'object')
  const waits = waitsFor === '' || waitsFor === undefined ? '' : `; waits for ${String(waitsFor)}`
  return [
    `${String(role)}, ${String(state)}${waits}; for ${duration(Number(uptime))}; version ${String(version)}, process ${String(pid)}, ${(Number(memory) / (1 << 20)).toFixed(0)} MiB`,
    table([...Object.entries(flat(rest)), ...Object.entries(counters as JsonObject)].map(([name, value]) => row(name, value))),
    ...lists.map(([name, items]) => `${name}:\n${table([Object.keys(items[0]), ...items.map(item => Object.values(item).map(cell))], '  ')}`)
  ].join('\n')
}

function cell (value: Json): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function duration (seconds: number): string {
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60]
  return days > 0 ? `${days} d ${hours} h` : hours > 0 ? `${hours} h ${minutes} min` : minutes > 0 ? `${minutes} min` : `${seconds} s`
}
