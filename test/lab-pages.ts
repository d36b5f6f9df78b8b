/**
 * What commands say in the pages of docs/lab: `npm run lab:pages [-- PAGE…]` runs each command that stands in a block of its own before a
 * block with what it says, and writes that anew. All pages take a quarter of an hour; `planning`, after other costs, a minute or two.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const PAGES = fileURLToPath(new URL('../docs/lab/', import.meta.url))
const PROGRAM = fileURLToPath(new URL('../lab/bin/mixmint-lab.js', import.meta.url))
const PAIR = /(```\nnpx mixmint lab ([^\n#]*)[^\n]*\n```\n\n```\n)([\s\S]*?)(?=```)/g
/** Where it was written, and what it took, is of no page. */
const ASIDE = /^(written to|took) /

const wanted = process.argv.slice(2)
const known = readdirSync(PAGES).filter(file => file.endsWith('.md')).map(file => file.slice(0, -'.md'.length))
const strange = wanted.find(page => !known.includes(page))
if (strange !== undefined) throw new Error(`there is no page ${strange}: ${known.join(', ')}`)
const dir = mkdtempSync(join(tmpdir(), 'mixmint-pages-'))
try {
  for (const page of wanted.length === 0 ? known : wanted) {
    const file = join(PAGES, `${page}.md`)
    const text = readFileSync(file, 'utf8').replace(PAIR, (_, head: string, command: string) => {
      process.stderr.write(`mixmint lab ${command}\n`)
      const said = execFileSync(process.execPath, [PROGRAM, ...command.trim().split(/\s+/)], { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
      return `${head}${said.trimEnd().split('\n').filter(line => !ASIDE.test(line)).join('\n')}\n`
    })
    writeFileSync(file, text)
  }
} finally {
  rmSync(dir, { recursive: true })
}
