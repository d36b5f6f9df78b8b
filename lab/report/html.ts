/** A page that needs nothing beside itself: no script, no font, no picture from elsewhere. */

export function page (title: string, body: readonly string[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escape(title)}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1e23; background: #fff }
h1 { font-size: 1.6rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; font-size: .9rem }
th, td { padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #dde1e6; text-align: left; vertical-align: top }
td.n, th.n { text-align: right }
.wide { overflow-x: auto } .about { color: #555c66 } .bad { color: #b3261e; font-weight: 600 } .good { color: #1a7f37 }
figure { margin: 1rem 0 } figcaption { color: #555c66; font-size: .9rem } svg { max-width: 100%; height: auto }
pre { background: #f4f5f7; padding: .8rem; overflow-x: auto; font-size: .85rem }
</style>
</head>
<body>
${body.join('\n')}
</body>
</html>
`
}

export function escape (text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

export type Cell = string | number | null | undefined | { readonly html: string }

export function table (head: readonly string[], rows: ReadonlyArray<readonly Cell[]>): string {
  const isNumber = head.map((_, i) => rows.some(row => typeof row[i] === 'number'))
  const cells = (tag: string, row: readonly Cell[]): string =>
    `<tr>${row.map((cell, i) => `<${tag}${isNumber[i] ? ' class="n"' : ''}>${cellText(cell)}</${tag}>`).join('')}</tr>`
  return `<div class="wide"><table>\n${cells('th', head)}\n${rows.map(row => cells('td', row)).join('\n')}\n</table></div>`
}

export function figure (svg: string, caption: string): string {
  return `<figure>${svg}<figcaption>${escape(caption)}</figcaption></figure>`
}

function cellText (cell: Cell): string {
  if (cell === null || cell === undefined) return '–'
  if (typeof cell === 'number') return digits(cell)
  return typeof cell === 'string' ? escape(cell) : cell.html
}

/** As many digits as tell something. */
export function digits (value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return value.toLocaleString('en-US').replaceAll(',', ' ')
  const size = Math.abs(value)
  if (size >= 1000) return Math.round(value).toLocaleString('en-US').replaceAll(',', ' ')
  return size >= 10 ? value.toFixed(2) : size >= 0.001 ? value.toFixed(4) : value.toExponential(2)
}
