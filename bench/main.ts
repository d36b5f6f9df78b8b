/**
 * `npm run bench [-- AREA] [--json FILE]`: a table of rows on standard output, and the rows in a file if asked.
 * `npm run bench -- costs --costs FILE`: what operations cost on this machine, for `mixmint lab plan`.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { Row } from './harness.ts'

const AREAS: Readonly<Record<string, () => Promise<Row[]>>> = {
  crypto: async () => await (await import('./crypto.bench.ts')).cryptoRows(),
  sphinx: async () => await (await import('./sphinx.bench.ts')).sphinxRows(),
  mixnet: async () => await (await import('./mixnet.bench.ts')).mixnetRows(),
  bundle: async () => await (await import('./bundle.bench.ts')).bundleRows(),
  replay: async () => await (await import('./replay.bench.ts')).replayRows(),
  center: async () => await (await import('./center.bench.ts')).centerRows(),
  bank: async () => await (await import('./bank.bench.ts')).bankRows(),
  merchant: async () => await (await import('./merchant.bench.ts')).merchantRows(),
  cash: async () => await (await import('./cash.bench.ts')).cashRows(),
  lab: async () => (await import('./lab.bench.ts')).labRows(),
  costs: async () => await (await import('./costs.bench.ts')).costsRows()
}

const HEAD = ['name', 'ratio', 'value', 'unit', 'goal', 'met']

function cells ({ name, ratio, value, unit, goal, met }: Row): string[] {
  const digits = value >= 1000 ? 0 : value >= 10 ? 1 : 2
  return [name, ratio?.toFixed(2) ?? '', value.toFixed(digits), unit, goal ?? '', met === null ? '' : met ? 'yes' : 'NO']
}

function print (rows: readonly Row[]): void {
  const table = [HEAD, ...rows.map(cells)]
  const widths = HEAD.map((_, column) => Math.max(...table.map(row => row[column].length)))
  for (const row of table) console.log(row.map((cell, i) => i === 1 || i === 2 ? cell.padStart(widths[i]) : cell.padEnd(widths[i])).join('  ').trimEnd())
}

/** @returns the exit code: 2 when the arguments are none of ours; a missed goal is in the table, not in the code */
async function main (): Promise<number> {
  let given
  try {
    given = parseArgs({ allowPositionals: true, options: { json: { type: 'string' }, costs: { type: 'string' } } })
  } catch (error) {
    console.error(`${(error as Error).message}\nusage: npm run bench [-- AREA] [--json FILE] [--costs FILE]`)
    return 2
  }
  const wanted = given.positionals.length === 0 ? Object.keys(AREAS) : given.positionals
  const strange = wanted.find(area => !Object.hasOwn(AREAS, area))
  if (strange !== undefined) {
    console.error(`there is no area ${strange}; areas: ${Object.keys(AREAS).join(', ')}`)
    return 2
  }
  const rows: Row[] = []
  for (const area of wanted) {
    const measured = await AREAS[area]()
    print(measured)
    console.log('')
    rows.push(...measured)
  }
  const goals = rows.filter(row => row.met !== null)
  if (goals.length > 0) console.log(`${goals.filter(row => row.met === true).length} of ${goals.length} goals met`)
  if (given.values.costs !== undefined) {
    const costs = (await import('./costs.bench.ts')).lastCosts()
    if (costs === null) {
      console.error('--costs: the area costs is wanted')
      return 2
    }
    writeFileSync(given.values.costs, `${JSON.stringify(costs, null, 2)}\n`)
  }
  if (given.values.json !== undefined) writeFileSync(given.values.json, `${JSON.stringify(rows, null, 2)}\n`)
  return 0
}

process.exitCode = await main()
