/** Texts as QR codes: what a reader of codes sees is the text; long ones come in parts that fit together, or are refused. */
import { expect, test } from 'vitest'
import decodeQR from 'qr/decode.js'
import encodeQR from 'qr'
import { joinParts, parts, svgQr, terminalQr } from '../../nodes/qr.ts'

const long = `mixmint-bundle-1:${'0123456789abcdefghijklmnopqrstuvwxyz-_'.repeat(150)}`

/** What stands in a code that was printed: two rows a line, dark where nothing is printed. */
function read (printed: string): string {
  const rows = printed.split('\n').filter(line => line !== '').flatMap(line => [
    [...line].map(char => char === ' ' || char === '▄'), [...line].map(char => char === ' ' || char === '▀')
  ])
  const size = rows[0].length
  const scale = 4
  const data = new Uint8Array(size * size * scale * scale * 4).fill(255)
  for (let y = 0; y < size * scale; y++) {
    for (let x = 0; x < size * scale; x++) {
      const dark = rows[Math.floor(y / scale)][Math.floor(x / scale)]
      data.fill(dark ? 0 : 255, (y * size * scale + x) * 4, (y * size * scale + x) * 4 + 3)
    }
  }
  return decodeQR({ width: size * scale, height: size * scale, data })
}

test('a code in a terminal is read as its text', () => {
  const text = `mixmint:invoice-1:${'Az09-_'.repeat(60)}`
  expect(read(terminalQr(text))).toBe(text)
})

test('as SVG: the same modules, one document a part', () => {
  const [svg] = svgQr('mixmint:invoice-1:abc')
  expect(svg).toBe(encodeQR('mixmint:invoice-1:abc', 'svg', { ecc: 'low', border: 4 }))
  expect(svg).toMatch(/^<svg /)
  expect(svgQr(long)).toHaveLength(parts(long).length)
})

test('parts are small, and come together in any order, some of them twice', () => {
  const all = parts(long)
  expect(all.length).toBeGreaterThan(3)
  for (const part of all) expect(part.length).toBeLessThan(850)
  expect(joinParts([...all].reverse())).toBe(long)
  expect(joinParts(['', ` ${all[0]} `, ...all, ...all])).toBe(long)
  expect(joinParts(['mixmint-bundle-1:abc'])).toBe('mixmint-bundle-1:abc')
  expect(parts('short')).toEqual(['short'])
})

test('what is missing is named; what does not belong together is refused', () => {
  const all = parts(long)
  expect(() => joinParts([all[0], ...all.slice(2)])).toThrow(expect.objectContaining({ code: 'parts-missing', message: expect.stringContaining('part 2 of') }))
  expect(() => joinParts([all[0]])).toThrow(expect.objectContaining({ code: 'parts-missing' }))
  const other = parts(`${long}x`)
  for (const lines of [[all[0], ...other.slice(1)], [all[0], 'mixmint-bundle-1:abc'], [], ['a', 'b'], [all[0].replace(':1.', ':0.')], [all[0].replace(':1.', ':9.')]]) {
    expect(() => joinParts(lines)).toThrow(expect.objectContaining({ code: 'bad-text' }))
  }
  const bent = all.map((part, i) => i === 1 ? `${part.slice(0, -1)}~` : part)
  expect(() => joinParts(bent)).toThrow(expect.objectContaining({ code: 'bad-text' }))
})
