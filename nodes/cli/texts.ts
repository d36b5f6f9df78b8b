/** Money as text on the command line: read from arguments, files or parts; shown as text, as a URI, or as QR codes. */
import type { Command } from 'commander'
import { readFileSync, writeFileSync } from 'node:fs'
import { MixmintError } from '@mixmint/core/kit/errors'
import { uriOf } from '../armor.ts'
import { joinParts, svgQr, terminalQr } from '../qr.ts'

/** @throws no-such-file (operator) */
export function readText (file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8').trim()
  } catch (error) {
    throw new MixmintError('no-such-file', 'operator', `cannot read ${file}`, { cause: error })
  }
}

/** A text that is given itself, in a file (- for standard input), or in parts. @throws no-such-file (operator), and those of joinParts */
export function textIn (given: readonly string[]): string {
  return joinParts(given.flatMap(one => (/^mixmint[-:]/.test(one) ? one : readText(one)).split('\n')))
}

/** @throws cannot-write (operator): what is written is kept, and the same command, or `again`, writes the same text */
export function writeText (file: string, text: string, again = 'the same command with another --out'): void {
  try {
    writeFileSync(file, `${text}\n`, { mode: 0o600 })
  } catch (cause) {
    throw new MixmintError('cannot-write', 'operator', `cannot write ${file}; nothing is lost: ${again} gives it again`, { cause })
  }
}

export interface Shown { readonly uri?: boolean, readonly qr?: boolean, readonly svg?: string, readonly out?: string }

/** The options of `show`. */
export function withShown (command: Command): Command {
  return command
    .option('--uri', 'as a URI, for a link').option('--qr', 'as QR codes, too, in the terminal')
    .option('--svg <file>', 'as QR codes, too, in SVG files; of several parts, -1, -2 … before the ending').option('--out <file>', 'into this file instead')
}

/** What to print of a text; files that are asked for are written. @param again see writeText */
export function show (text: string, { uri, qr, svg, out }: Shown, again?: string): string {
  const link = uriOf(text)
  if (svg !== undefined) {
    const documents = svgQr(link)
    for (const [i, document] of documents.entries()) writeText(documents.length === 1 ? svg : svg.replace(/(\.svg)?$/, `-${i + 1}$1`), document, again)
  }
  if (out !== undefined) writeText(out, text, again)
  return [...out === undefined ? [uri === true ? link : text] : [`written to ${out}`], ...qr === true ? [terminalQr(link)] : []].join('\n')
}
