/**
 * `npm run model -- --seed S --histories N`: so many random histories of an economy; one that breaks a law is shrunk and
 * printed, and the same seed, with the path that is printed, finds it again at once.
 */
import { parseArgs } from 'node:util'
import fc from 'fast-check'
import { histories, live } from './histories.ts'

const { values } = parseArgs({ options: { seed: { type: 'string', default: '1' }, histories: { type: 'string', default: '1000' }, path: { type: 'string', default: '' } } })
const seed = whole('seed', values.seed)
const count = whole('histories', values.histories)

function say (line: string): void {
  process.stdout.write(`${line}\n`)
}

function whole (name: string, text: string): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 0) throw new Error(`--${name}: a whole number wanted`)
  return number
}

const started = performance.now()
const outcomes = new Map<string, number>()
let lived = 0
let happened = 0

function progress (): void {
  if (!process.stderr.isTTY) return
  const left = (performance.now() - started) / lived * Math.max(0, count - lived) / 1000
  process.stderr.write(`\r${lived} of ${count} histories, ${happened} events, ${left.toFixed(0)} s left  `)
}

const result = fc.check(fc.property(histories, history => {
  const told = live(history)
  happened += told.happened
  for (const [code, times] of told.outcomes) outcomes.set(code, (outcomes.get(code) ?? 0) + times)
  if (++lived % 10 === 0) progress()
}), { numRuns: count, seed, path: values.path })
if (process.stderr.isTTY) process.stderr.write('\n')

say(`${lived} histories, ${happened} events, ${((performance.now() - started) / 1000).toFixed(0)} s; what was not done, and why: ` +
  [...outcomes].sort(([, a], [, b]) => b - a).map(([code, times]) => `${code} ${times}`).join(', '))
if (result.failed) {
  say(`a law is broken: ${String(result.errorInstance)}`)
  say(JSON.stringify(result.counterexample?.[0], null, 2))
  say(`again: npm run model -- --seed ${result.seed} --histories 1 --path ${result.counterexamplePath ?? ''}`)
  process.exitCode = 1
}
