/** Plots as SVG, by Observable Plot on a document without a browser. */
import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'

const { document } = parseHTML('<!doctype html><html><body></body></html>')
const WIDTH = 680
const HEIGHT = 320

export interface Xy { readonly x: number, readonly y: number }
export interface Series { readonly name: string, readonly points: ReadonlyArray<Xy & { readonly low?: number, readonly high?: number }> }
interface Axes { readonly x: string, readonly y: string, readonly log?: boolean }

/** Lines with dots, and bars for intervals where there are some. */
export function lines (series: readonly Series[], { x, y, log = false }: Axes): string {
  const data = series.flatMap(({ name, points }) => points.map(point => ({ ...point, name })))
  return render({
    x: { label: x, type: log ? 'log' : 'linear', nice: true }, y: { label: y, nice: true, grid: true },
    color: { legend: series.length > 1, domain: series.map(({ name }) => name) },
    marks: [
      Plot.ruleX(data.filter(({ low }) => low !== undefined), { x: 'x', y1: 'low', y2: 'high', stroke: 'name' }),
      Plot.line(data, { x: 'x', y: 'y', stroke: 'name', z: 'name' }),
      Plot.dot(data, { x: 'x', y: 'y', fill: 'name', r: 3 })
    ]
  })
}

/** A density as an area, and a law beside it as a line. */
export function density (measured: readonly Xy[], law: readonly Xy[], axes: Axes): string {
  return render({
    x: { label: axes.x }, y: { label: axes.y, grid: true },
    marks: [
      Plot.areaY(measured, { x: 'x', y: 'y', fill: '#4269d0', fillOpacity: 0.35, curve: 'step' }),
      Plot.lineY(law, { x: 'x', y: 'y', stroke: '#c1440e', strokeWidth: 2 }),
      Plot.ruleY([0])
    ]
  })
}

/** Lines beside each other, without dots. */
export function curves (series: readonly Series[], { x, y }: Axes): string {
  const data = series.flatMap(({ name, points }) => points.map(point => ({ ...point, name })))
  return render({
    x: { label: x }, y: { label: y, grid: true }, color: { legend: true, domain: series.map(({ name }) => name) },
    marks: [Plot.lineY(data, { x: 'x', y: 'y', stroke: 'name', z: 'name', strokeWidth: 2, curve: 'step' }), Plot.ruleY([0])]
  })
}

/** A value with its interval for each name. */
export function estimates (values: ReadonlyArray<{ readonly name: string, readonly value: number, readonly low: number, readonly high: number }>, { x }: { readonly x: string }): string {
  return render({
    height: 70 + 22 * values.length, marginLeft: 170, x: { label: x, grid: true, nice: true }, y: { label: null, domain: values.map(({ name }) => name) },
    marks: [Plot.ruleX([0]), Plot.ruleY([...values], { y: 'name', x1: 'low', x2: 'high', stroke: '#4269d0' }), Plot.dot([...values], { x: 'value', y: 'name', fill: '#4269d0' })]
  })
}

/** How often values fall where. */
export function counts (values: readonly number[], axes: Axes): string {
  return render({
    x: { label: axes.x }, y: { label: axes.y, grid: true },
    marks: [Plot.rectY(values.map(x => ({ x })), { ...Plot.binX({ y: 'count' }, { x: 'x', thresholds: 24 }), fill: '#4269d0' }), Plot.ruleY([0])]
  })
}

/** A bar for each name. */
export function bars (values: ReadonlyArray<{ readonly name: string, readonly value: number }>, { x }: { readonly x: string }): string {
  return render({
    height: 70 + 30 * values.length, marginLeft: 170, marginRight: 60, x: { label: x, grid: true, nice: true }, y: { label: null, domain: values.map(({ name }) => name) },
    marks: [Plot.barX([...values], { x: 'value', y: 'name', fill: '#4269d0' }), Plot.text([...values], { x: 'value', y: 'name', text: ({ value }: { value: number }) => value.toPrecision(4), dx: 4, textAnchor: 'start' }), Plot.ruleX([0])]
  })
}

function render (options: Plot.PlotOptions): string {
  const drawn = Plot.plot({ width: WIDTH, height: HEIGHT, marginLeft: 60, marginBottom: 42, style: { fontSize: '12px', background: 'none' }, ...options, document: document as unknown as Plot.PlotOptions['document'] })
  return String((drawn as unknown as { outerHTML: string }).outerHTML)
}
