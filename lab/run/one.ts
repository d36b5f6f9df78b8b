/** One scenario from its files to its point, with a trace of messages where that is asked for. */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Scenario } from '../scenario/schema.ts'
import { pointOf, type Point } from './folder.ts'
import { simulate } from './simulate.ts'

/**
 * @param trace the file for a line a message; null: none
 * @param progress is told which part is done, from 0 to 1
 * @throws bad-scenario (caller): a file that it names
 */
export function runOne (scenario: Scenario, trace: string | null, progress: (part: number) => void): Point {
  if (trace === null) return pointOf(scenario, simulate(scenario, { progress }))
  mkdirSync(dirname(trace), { recursive: true })
  const file = openSync(trace, 'w')
  try {
    return pointOf(scenario, simulate(scenario, { progress, trace: line => { writeSync(file, `${JSON.stringify(line)}\n`) } }))
  } finally {
    closeSync(file)
  }
}
