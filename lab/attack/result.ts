/** The folder of an attack's measurement: rows as JSON and CSV, with all that is wanted to measure it again. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { flat, table, VERSION } from '../run/folder.ts'

/**
 * `<name>.json` with program, version, what was given and the rows, `<name>.csv` with the rows, flat.
 * @param given what it was measured of
 */
export function writeResult (dir: string, name: string, given: Readonly<Record<string, unknown>>, rows: readonly object[]): void {
  mkdirSync(dir, { recursive: true })
  writeFileSync(join(dir, `${name}.json`), `${JSON.stringify({ program: 'mixmint-lab', version: VERSION, command: name, given, rows }, null, 2)}\n`)
  writeFileSync(join(dir, `${name}.csv`), table(rows.map(row => flat(row))))
}
