/** `mixmint demo`: a whole network, and the story of a purchase that nobody watched. */
import type { Command } from 'commander'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { MixmintError } from '@mixmint/core/kit/errors'
import { asMixmintError } from '@mixmint/core/kit/saga'
import { Stage } from '../demo/stage.ts'
import { play } from '../demo/story.ts'
import { Timeline } from '../demo/timeline.ts'
import { createNetwork, SMALL_NETWORK } from '../layout.ts'
import { interruption } from './interruption.ts'
import { exitCode } from './output.ts'

export function addDemo (program: Command): void {
  program.command('demo').description('start a whole network on this machine, play a purchase on it, check every claim, and stop it again')
    .option('--keep <dir>', 'keep the data in this folder; `mixmint up --dir` starts that network again')
    .option('--json', 'print the timeline as JSON')
    .action(async ({ keep, json }: { keep?: string, json?: boolean }) => { await demo(keep, json === true) })
}

async function demo (keep: string | undefined, json: boolean): Promise<void> {
  const say = (line: string): void => { if (!json) process.stdout.write(`${line}\n`) }
  const timeline = new Timeline(say, !json && process.stdout.isTTY)
  let dir = ''
  let stage: Stage | undefined
  let error: MixmintError | null = null
  const interrupted = interruption().then(() => { throw new MixmintError('interrupted', 'operator', 'interrupted; every process of the demo was stopped') })
  interrupted.catch(() => {}) // it may come before anybody waits for it
  try {
    dir = folder(keep)
    const { defaultSuite } = await import('@mixmint/core/crypto/choose')
    say('mixmint: a purchase that nobody watched, on a network of processes on this machine')
    await createNetwork(await defaultSuite(), dir, SMALL_NETWORK)
    stage = new Stage(dir, SMALL_NETWORK)
    await Promise.race([play(stage, timeline, json), interrupted])
  } catch (caught) {
    error = asMixmintError(caught)
  } finally {
    await stage?.stop()
    if (keep === undefined && dir !== '') rmSync(dir, { recursive: true, force: true })
  }
  const ok = error === null && timeline.checks.every(check => check.ok)
  if (json) {
    process.stdout.write(`${JSON.stringify({
      ok, seconds: Math.round(timeline.seconds * 10) / 10, happenings: timeline.happenings, checks: timeline.checks,
      error: error === null ? null : { code: error.code, message: error.message }
    }, null, 2)}\n`)
  }
  say(ok
    ? `\n${timeline.checks.length} claims checked, all hold, in ${timeline.seconds.toFixed(1)} s.${keep === undefined ? '' : ` The data is in ${dir}.`}`
    : `\nmixmint: ${error?.message ?? 'a claim does not hold'}`)
  if (!ok) process.exitCode = error === null ? 1 : exitCode(error)
}

/** @throws folder-not-empty (caller) */
function folder (keep: string | undefined): string {
  if (keep === undefined) return mkdtempSync(join(tmpdir(), 'mixmint-demo-'))
  if (existsSync(keep) && (!statSync(keep).isDirectory() || readdirSync(keep).length > 0)) throw new MixmintError('folder-not-empty', 'caller', `${keep} is not an empty folder: name a new one`)
  mkdirSync(keep, { recursive: true, mode: 0o700 })
  return resolve(keep)
}
