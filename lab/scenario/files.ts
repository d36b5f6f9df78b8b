/**
 * The files that a scenario names. In memory a scenario has their whole paths; in a folder that is written it has their names
 * alone, and they are beside it, so that the folder can be moved, and says nothing of the machine.
 */
import { copyFileSync, existsSync, readFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { bad } from './fields.ts'
import type { Scenario } from './schema.ts'

/** The keys that name files. */
export const FILE_KEYS = ['clients.file', 'link.file'] as const

export function filesOf ({ clients, link }: Scenario): string[] {
  return [clients.file, link.file].filter(file => file !== '')
}

/** As it is written. */
export function portable (scenario: Scenario): Scenario {
  const { clients, link } = scenario
  return { ...scenario, clients: { ...clients, file: basename(clients.file) }, link: { ...link, file: basename(link.file) } }
}

/** Copy into a folder, each under its own name. @throws bad-scenario (caller): two have one name and differ, or one cannot be read */
export function copyFiles (files: readonly string[], dir: string): void {
  const taken = new Map<string, string>()
  for (const file of new Set(files)) {
    const to = join(dir, basename(file))
    const before = taken.get(to)
    try {
      if (before !== undefined && !readFileSync(before).equals(readFileSync(file))) throw bad(file, `${before} has the same name, and says something else; give one of them another name`)
      taken.set(to, file)
      if (before === undefined && !(existsSync(to) && resolve(to) === resolve(file))) copyFileSync(file, to)
    } catch (error) {
      if (error instanceof Error && 'syscall' in error) throw bad(file, error.message)
      throw error
    }
  }
}
