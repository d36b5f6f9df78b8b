/**
 * Texts as QR codes. What is too long for one that a telephone reads goes in parts, each a text of its own:
 *
 *   mixmint-part-1:<number>.<of how many>.<which text>.<a piece of it>
 *
 * They may be read in any order, and each any number of times.
 */
import { createHash } from 'node:crypto'
import encodeQR from 'qr'
import { MixmintError } from '@mixmint/core/kit/errors'

/** Characters in one code: below version 20 (97 modules a side) with 7 % error correction. */
const LONGEST = 800
const PART = /^mixmint[-:]part-1:(\d{1,3})\.(\d{1,3})\.([A-Za-z0-9_-]{8})\.(.+)$/

function nameOf (text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 8)
}

/** The text itself where it goes into one code, else its parts. */
export function parts (text: string): string[] {
  if (text.length <= LONGEST) return [text]
  const pieces = Array.from({ length: Math.ceil(text.length / LONGEST) }, (_, i) => text.slice(i * LONGEST, (i + 1) * LONGEST))
  return pieces.map((piece, i) => `mixmint-part-1:${i + 1}.${pieces.length}.${nameOf(text)}.${piece}`)
}

/**
 * The text that these lines are: one line as it is, or all its parts.
 * @throws bad-text (caller) when they are parts of several texts, or damaged; parts-missing (caller), naming them
 */
export function joinParts (lines: readonly string[]): string {
  const full = lines.map(line => line.trim()).filter(line => line !== '')
  if (full.length === 1 && !PART.test(full[0])) return full[0]
  const found = full.map(line => PART.exec(line))
  const [first] = found
  const isOne = first?.at(2) !== undefined && found.every(match => match !== null && match[2] === first[2] && match[3] === first[3] && Number(match[1]) >= 1 && Number(match[1]) <= Number(match[2]))
  if (!isOne) throw new MixmintError('bad-text', 'caller', 'one text is wanted, or all parts of one text')
  const pieces = new Map(found.map(match => [Number(match?.[1]), match?.[4] ?? '']))
  const wanted = Array.from({ length: Number(first[2]) }, (_, i) => i + 1)
  const missing = wanted.filter(number => !pieces.has(number))
  if (missing.length > 0) throw new MixmintError('parts-missing', 'caller', `part ${missing.join(', ')} of ${wanted.length} is missing`)
  const text = wanted.map(number => pieces.get(number)).join('')
  if (nameOf(text) !== first[3]) throw new MixmintError('bad-text', 'caller', 'a part of this text was changed on its way: get it again')
  return text
}

/** For a terminal: two modules of the code in a character's height. */
export function terminalQr (text: string): string {
  return parts(text).map(part => encodeQR(part, 'ascii', { ecc: 'low', border: 2 })).join('\n')
}

/** As SVG documents, one a part. */
export function svgQr (text: string): string[] {
  return parts(text).map(part => encodeQR(part, 'svg', { ecc: 'low', border: 4 }))
}
