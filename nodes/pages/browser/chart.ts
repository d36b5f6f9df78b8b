/** Plots: lines over time, histograms, bars; each with its legend, and the same as a table. */
import { scaleLinear, scaleTime } from 'd3-scale'
import { area, line } from 'd3-shape'
import type { Values } from '../rates.ts'
import { clock, digits, fill, h, s, table } from './dom.ts'

export interface Line { readonly name: string, readonly values: Values }
export type Format = (value: number) => string

const HEIGHT = 168
const EDGE = { top: 8, right: 6, bottom: 20, left: 38 }
const COLOURS = 7
/** Width of a letter on an axis. */
const LETTER = 6.2
/** As many lines as colours; the smaller ones are one. */
const OTHERS = 'others'

export function colour (index: number): string {
  return `s${index % COLOURS}`
}

/** A panel whose plot is drawn anew when its width changes. */
abstract class Panel {
  readonly root: HTMLElement
  protected readonly plot: HTMLElement
  protected readonly legend = h('ul', { class: 'legend' })
  protected readonly note = h('span', { class: 'unit' })
  readonly #details = h('details', {}, h('summary', {}, 'As a table'))
  #table: (() => Node) | null = null

  constructor (title: string, unit: string, plot: HTMLElement, broad = false) {
    this.plot = plot
    this.note.textContent = unit
    this.root = h('section', { class: broad ? 'panel broad' : 'panel' }, h('h3', {}, title, this.note), plot, this.legend, this.#details)
    this.#details.addEventListener('toggle', () => { this.#showTable() })
    new ResizeObserver(() => { this.draw() }).observe(plot)
  }

  protected get width (): number {
    return Math.max(240, this.plot.clientWidth)
  }

  protected setTable (made: (() => Node) | null): void {
    this.#table = made
    this.#details.hidden = made === null
    this.#showTable()
  }

  #showTable (): void {
    if (this.#details.open && this.#table !== null) fill(this.#details, this.#details.firstElementChild, this.#table())
  }

  protected abstract draw (): void
}

/** Lines over time, with a cursor that pointer and arrow keys move. */
export class LinePanel extends Panel {
  readonly #title: string
  readonly #format: Format
  readonly #none: string
  readonly #most: number | undefined
  readonly #colours = new Map<string, number>()
  #times: readonly number[] = []
  #lines: readonly Line[] = []
  #cursor: number | null = null

  /** @param none what is said where there is nothing; `most`: the least that the axis reaches up to */
  constructor (title: string, unit: string, { format = digits, none = 'nothing yet', most, broad = false }: { format?: Format, none?: string, most?: number, broad?: boolean } = {}) {
    super(title, unit, h('div', { class: 'plot', tabindex: 0, role: 'slider', 'aria-label': `${title}: moments`, 'aria-orientation': 'horizontal' }), broad)
    this.#title = title
    this.#format = format
    this.#none = none
    this.#most = most
    this.plot.addEventListener('pointermove', event => { this.#point(event) })
    this.plot.addEventListener('pointerleave', () => { this.#move(null) })
    this.plot.addEventListener('blur', () => { this.#move(null) })
    this.plot.addEventListener('keydown', event => { this.#key(event) })
  }

  update (times: readonly number[], lines: readonly Line[]): void {
    this.#times = times
    this.#lines = fewer(lines)
    if (this.#cursor !== null && this.#cursor >= times.length) this.#cursor = null
    for (const { name } of this.#lines) if (!this.#colours.has(name)) this.#colours.set(name, this.#colours.size)
    this.draw()
    const rows = (): Node => table(['time', ...this.#lines.map(({ name }) => name)], times.map((time, i) => [clock(time), ...this.#lines.map(({ values }) => values[i] ?? null)]).reverse(), this.#title)
    this.setTable(this.#isEmpty ? null : rows)
  }

  get #isEmpty (): boolean {
    return this.#lines.every(({ values }) => values.every(value => value === null))
  }

  protected draw (): void {
    const times = this.#times
    this.plot.tabIndex = this.#isEmpty ? -1 : 0
    if (this.#isEmpty) {
      fill(this.plot, h('p', { class: 'empty' }, times.length < 2 ? 'the first figures are being taken' : this.#none))
      fill(this.legend)
      return
    }
    const { width } = this
    const x = scaleTime([new Date(times[0]), new Date(times[times.length - 1])], [EDGE.left, width - EDGE.right])
    const top = Math.max(this.#most ?? 0, ...this.#lines.flatMap(({ values }) => values.map(value => value ?? 0)))
    const y = scaleLinear([0, top === 0 ? 1 : top], [HEIGHT - EDGE.bottom, EDGE.top]).nice(4)
    const ticks = x.ticks(Math.max(2, Math.floor(width / 90)))
    const tickText = x.tickFormat()
    const isSub = (date: Date): boolean => date.getSeconds() !== 0
    const marks = this.#lines.flatMap(({ name, values }, i) => {
      const points = values.map((value, at) => ({ at, value }))
      const has = ({ value }: { value: number | null }): boolean => value !== null
      const px = ({ at }: { at: number }): number => x(new Date(times[at]))
      const py = ({ value }: { value: number | null }): number => y(value ?? 0)
      const tone = colour(this.#colours.get(name) ?? i)
      const below = area<{ at: number, value: number | null }>().defined(has).x(px).y0(y(0)).y1(py)(points)
      const over = line<{ at: number, value: number | null }>().defined(has).x(px).y(py)(points)
      return [i === 0 ? s('path', { class: `area ${tone}`, d: below ?? '' }) : null, s('path', { class: `stroke ${tone}`, d: over ?? '' })]
    })
    const at = this.#cursor
    const cursor = at === null
      ? []
      : [
          s('line', { class: 'cursor', x1: x(new Date(times[at])), x2: x(new Date(times[at])), y1: EDGE.top, y2: HEIGHT - EDGE.bottom }),
          ...this.#lines.map(({ name, values }, i) => values[at] === null || values[at] === undefined ? null : s('circle', { class: `dot ${colour(this.#colours.get(name) ?? i)}`, cx: x(new Date(times[at])), cy: y(values[at]), r: 4 }))
        ]
    fill(this.plot, s('svg', { viewBox: `0 0 ${width} ${HEIGHT}`, 'aria-hidden': 'true' },
      ...y.ticks(top === 0 ? 1 : 4).flatMap(tick => [
        s('line', { class: 'grid', x1: EDGE.left, x2: width - EDGE.right, y1: y(tick), y2: y(tick) }),
        s('text', { x: EDGE.left - 7, y: y(tick) + 4, 'text-anchor': 'end' }, this.#format(tick))
      ]),
      ...ticks.map(tick => s('text', { x: x(tick), y: HEIGHT - 4, 'text-anchor': x(tick) > width - 24 ? 'end' : 'middle' }, isSub(tick) ? tickText(tick) : clock(tick.getTime()).slice(0, 5))),
      ...marks, ...cursor))
    this.#tell()
  }

  #tell (): void {
    const at = this.#cursor ?? this.#times.length - 1
    const said = this.#lines.map(({ name, values }, i) => {
      const value = values[at]
      return { name, tone: colour(this.#colours.get(name) ?? i), text: value === null || value === undefined ? '–' : this.#format(value) }
    })
    fill(this.legend, ...said.map(({ name, tone, text }) => h('li', {}, h('span', { class: `key ${tone}` }), `${name} `, h('b', {}, text))),
      this.#cursor === null ? null : h('li', { class: 'moment' }, `at ${clock(this.#times[at])}`))
    this.plot.setAttribute('aria-valuemin', '0')
    this.plot.setAttribute('aria-valuemax', String(this.#times.length - 1))
    this.plot.setAttribute('aria-valuenow', String(at))
    this.plot.setAttribute('aria-valuetext', `${clock(this.#times[at])}: ${said.map(({ name, text }) => `${name} ${text}`).join(', ')}`)
  }

  #point (event: PointerEvent): void {
    const { left, width } = this.plot.getBoundingClientRect()
    const x = (event.clientX - left) / width * this.width
    const [first, end] = [this.#times[0], this.#times[this.#times.length - 1]]
    const time = first + (x - EDGE.left) / (this.width - EDGE.left - EDGE.right) * (end - first)
    let near = 0
    for (const [i, each] of this.#times.entries()) if (Math.abs(each - time) < Math.abs(this.#times[near] - time)) near = i
    this.#move(near)
  }

  #key (event: KeyboardEvent): void {
    const end = this.#times.length - 1
    const at = this.#cursor ?? end
    const to: Record<string, number | null> = { ArrowLeft: Math.max(0, at - 1), ArrowDown: Math.max(0, at - 1), ArrowRight: Math.min(end, at + 1), ArrowUp: Math.min(end, at + 1), Home: 0, End: end, Escape: null }
    if (!(event.key in to)) return
    event.preventDefault()
    this.#move(to[event.key])
  }

  #move (to: number | null): void {
    if (this.#cursor === to || this.#isEmpty) return
    this.#cursor = to
    this.draw()
  }
}

/** Where values fell. */
export class HistogramPanel extends Panel {
  readonly #title: string
  readonly #format: Format
  readonly #none: string
  #bounds: readonly number[] = []
  #counts: readonly number[] = []

  constructor (title: string, unit: string, format: Format, none: string) {
    super(title, unit, h('div', { class: 'plot' }))
    this.#title = title
    this.#format = format
    this.#none = none
  }

  /** @param said what the legend says */
  update (bounds: readonly number[], counts: readonly number[], said: ReadonlyArray<readonly [string, string]>): void {
    this.#bounds = bounds
    this.#counts = counts
    this.draw()
    fill(this.legend, ...said.map(([name, text]) => h('li', {}, `${name} `, h('b', {}, text))))
    const total = counts.reduce((a, b) => a + b, 0)
    this.setTable(total === 0 ? null : () => table(['up to', 'packets', 'share, %'], counts.map((count, i) => [i === bounds.length ? 'more' : this.#format(bounds[i]), count, Math.round(1000 * count / total) / 10]), this.#title))
  }

  protected draw (): void {
    const total = this.#counts.reduce((a, b) => a + b, 0)
    if (total === 0) {
      fill(this.plot, h('p', { class: 'empty' }, this.#none))
      return
    }
    const { width } = this
    // What is empty at both ends is left out, but for one bar.
    const filledAt = this.#counts.flatMap((count, i) => count > 0 ? [i] : [])
    const [from, to] = [Math.max(0, filledAt[0] - 1), Math.min(this.#counts.length - 1, filledAt[filledAt.length - 1] + 1)]
    const bars = this.#counts.slice(from, to + 1)
    const y = scaleLinear([0, 100 * Math.max(...bars) / total], [HEIGHT - EDGE.bottom, EDGE.top]).nice(4)
    const step = (width - EDGE.left - EDGE.right) / bars.length
    const names = bars.map((_, i) => from + i === this.#bounds.length ? 'more' : `≤ ${this.#format(this.#bounds[from + i])}`)
    const every = Math.ceil((Math.max(...names.map(({ length }) => length)) * LETTER + 8) / step)
    fill(this.plot, s('svg', { viewBox: `0 0 ${width} ${HEIGHT}`, role: 'img', 'aria-label': `${this.#title}: histogram; the same as a table below` },
      ...y.ticks(4).flatMap(tick => [
        s('line', { class: 'grid', x1: EDGE.left, x2: width - EDGE.right, y1: y(tick), y2: y(tick) }),
        s('text', { x: EDGE.left - 7, y: y(tick) + 4, 'text-anchor': 'end' }, `${digits(tick)}%`)
      ]),
      ...bars.flatMap((count, i) => {
        const [left, top] = [EDGE.left + i * step, y(100 * count / total)]
        return [
          s('rect', { class: 'bar', x: left + 1, width: Math.max(1, step - 2), y: top, height: Math.max(0, HEIGHT - EDGE.bottom - top), rx: 2 }, s('title', {}, `${names[i]}: ${digits(count)}`)),
          i % every === 0 ? s('text', { x: left + step / 2, y: HEIGHT - 4, 'text-anchor': 'middle' }, names[i]) : null
        ]
      })))
  }
}

/** A bar for each name. */
export class BarsPanel {
  readonly root: HTMLElement
  readonly #list = h('ul', { class: 'bars' })
  readonly #none: string

  constructor (title: string, unit: string, none: string) {
    this.#none = none
    this.root = h('section', { class: 'panel' }, h('h3', {}, title, h('span', { class: 'unit' }, unit)), this.#list)
  }

  update (values: ReadonlyArray<{ readonly name: string, readonly value: number }>, format: Format = digits): void {
    const most = Math.max(0, ...values.map(({ value }) => value))
    if (values.length === 0) {
      fill(this.#list, h('li', { class: 'empty' }, this.#none))
      return
    }
    fill(this.#list, ...values.map(({ name, value }) => {
      const bar = h('i')
      bar.style.width = `${most === 0 ? 0 : 100 * value / most}%`
      return h('li', {}, h('span', { class: 'row' }, name, h('b', {}, format(value))), h('div', { class: 'track', 'aria-hidden': 'true' }, bar))
    }))
  }
}

function fewer (lines: readonly Line[]): Line[] {
  if (lines.length <= COLOURS) return [...lines]
  const size = ({ values }: Line): number => values.reduce<number>((sum, value) => sum + (value ?? 0), 0)
  const bySize = [...lines].sort((a, b) => size(b) - size(a))
  const rest = bySize.slice(COLOURS - 1)
  const kept = lines.filter(each => !rest.includes(each))
  return [...kept, { name: OTHERS, values: rest[0].values.map((_, i) => rest.reduce<number | null>((sum, { values }) => values[i] === null || values[i] === undefined ? sum : (sum ?? 0) + values[i], null)) }]
}
