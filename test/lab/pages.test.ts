/** Commands that the lab's pages tell readers to type are ones that it has. */
import { readdirSync, readFileSync } from 'node:fs'
import { CommanderError } from 'commander'
import { expect, test } from 'vitest'
import { parse } from 'smol-toml'
import { labProgram } from '../../lab/main.ts'
import { readScenario } from '../../lab/scenario/read.ts'

const ROOT = new URL('../../', import.meta.url)
const PAGES = ['lab/README.md', ...readdirSync(new URL('docs/lab/', ROOT)).map(name => `docs/lab/${name}`)]
const textOf = (page: string): string => readFileSync(new URL(page, ROOT), 'utf8')

/** As a shell would cut it, of what stands behind `mixmint lab`, up to whatever comes after the command. */
const commandsIn = (text: string): string[][] => [...text.matchAll(/npx mixmint lab ([^\n`#;&']+)/g)].map(([, words]) => words.trim().split(/\s+/))

/** Parsed, not run. @returns what it complains about */
function complaint (words: readonly string[]): string | null {
  const program = labProgram()
  const all = [program, ...program.commands]
  for (const command of all) command.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} })
  for (const command of program.commands) command.action(() => {})
  try {
    program.parse(words, { from: 'user' })
    return null
  } catch (error) {
    return error instanceof CommanderError ? error.message : String(error)
  }
}

test('what is not a command of the lab is told', () => {
  expect(complaint(['run', 'x.toml', '--no-such'])).toMatch(/unknown option/)
  expect(complaint(['rnu'])).toMatch(/unknown command/)
})

test.each(PAGES)('%s: every command can be given', page => {
  const commands = commandsIn(textOf(page))
  expect(commands.length).toBeGreaterThan(1)
  expect(commands.map(words => [words.join(' '), complaint(words)]).filter(([, why]) => why !== null)).toEqual([])
})

test.each(PAGES)('%s: every setting and sweep is of a key that there is, every scenario a whole one', page => {
  const text = textOf(page)
  for (const [, , key] of text.matchAll(/--(set|sweep) ([a-z0-9_.]+)=/g)) {
    const [section, name] = key.split('.')
    expect(() => readScenario({ delay: { per_mix_s: 1 }, clients: { rate: 1 }, run: { duration_s: 1 }, [section]: { [name]: 'no value of any' } }, key)).not.toThrow(/there is no/)
  }
  for (const [, toml] of text.matchAll(/```toml\n([\s\S]*?)```/g)) expect(() => readScenario(parse(toml), page)).not.toThrow()
})
