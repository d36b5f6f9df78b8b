/** Elements. Styles are classes only: the page may hold none of its own. */
type Attributes = Readonly<Record<string, string | number | boolean | undefined>>
export type Child = Node | string | null

const SVG = 'http://www.w3.org/2000/svg'

export function h<T extends keyof HTMLElementTagNameMap> (tag: T, attributes: Attributes = {}, ...children: readonly Child[]): HTMLElementTagNameMap[T] {
  return filled(document.createElement(tag), attributes, children)
}

export function s<T extends keyof SVGElementTagNameMap> (tag: T, attributes: Attributes = {}, ...children: readonly Child[]): SVGElementTagNameMap[T] {
  return filled(document.createElementNS(SVG, tag), attributes, children)
}

function filled<T extends Element> (element: T, attributes: Attributes, children: readonly Child[]): T {
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : String(value))
  element.append(...children.filter(child => child !== null))
  return element
}

/** In the place of what is in it. */
export function fill (element: Element, ...children: readonly Child[]): void {
  element.replaceChildren(...children.filter(child => child !== null))
}

/** `n`: a text that stands right, as numbers do. */
export type Cell = string | number | Node | null | { readonly n: string }

/** What a table holds; numbers stand right. */
export function table (head: readonly string[], rows: ReadonlyArray<readonly Cell[]>, label: string): HTMLElement {
  const isNumber = head.map((_, i) => rows.some(row => typeof row[i] === 'number' || isRight(row[i])))
  const cell = (tag: 'td' | 'th', value: Cell, i: number): HTMLElement =>
    h(tag, { class: isNumber[i] ? 'n' : typeof value === 'string' && value.length > 60 ? 'text' : undefined, ...tag === 'th' ? { scope: 'col' } : {} }, shown(value))
  const first = (value: Cell): HTMLElement => h('th', { scope: 'row' }, shown(value))
  return h('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': label }, h('table', {},
    h('thead', {}, h('tr', {}, ...head.map((name, i) => cell('th', name, i)))),
    h('tbody', {}, ...rows.map(row => h('tr', {}, ...row.map((value, i) => i === 0 ? first(value) : cell('td', value, i)))))))
}

function isRight (value: Cell): value is { readonly n: string } {
  return typeof value === 'object' && value !== null && !(value instanceof Node)
}

function shown (value: Cell): Child {
  return typeof value === 'number' ? digits(value) : isRight(value) ? value.n : value ?? '–'
}

/** As many digits as tell something; thousands apart by thin spaces. */
export function digits (value: number): string {
  const size = Math.abs(value)
  const places = Number.isInteger(value) || size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3
  return value.toLocaleString('en-US', { maximumFractionDigits: places }).replaceAll(',', '\u202f')
}

export function bytes (value: number): string {
  const unit = value >= 1 << 30 ? ['GiB', 1 << 30] as const : value >= 1 << 20 ? ['MiB', 1 << 20] as const : ['KiB', 1 << 10] as const
  return `${digits(Number((value / unit[1]).toPrecision(3)))} ${unit[0]}`
}

/** @param seconds of which the sign is left out */
export function duration (seconds: number): string {
  const size = Math.abs(seconds)
  if (size >= 172_800) return `${Math.floor(size / 86_400)} d ${Math.floor(size / 3600) % 24} h`
  if (size >= 7200) return `${Math.floor(size / 3600)} h ${Math.floor(size / 60) % 60} min`
  if (size >= 120) return `${Math.floor(size / 60)} min${size % 60 >= 1 && size < 600 ? ` ${Math.floor(size % 60)} s` : ''}`
  return size >= 1 || size === 0 ? `${digits(Math.round(size * 10) / 10)} s` : `${digits(Math.round(size * 1e4) / 10)} ms`
}

export function clock (time: number): string {
  return new Date(time).toLocaleTimeString('en-GB')
}
