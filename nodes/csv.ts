/** Comma-separated values (RFC 4180), which spreadsheets read and do not run: no cell begins as a formula does. */
import type { JsonObject } from './control.ts'

export function csv (rows: ReadonlyArray<ReadonlyArray<string | number>>): string {
  return rows.map(row => row.map(cell).join(',')).join('\r\n')
}

function cell (value: string | number): string {
  if (typeof value === 'number') return String(value)
  const harmless = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}

/** The orders that were paid on a day, as the daemon's operation `sold` lists them, and their sum. */
export function dayCsv (sold: readonly JsonObject[], unit: string): string {
  return csv([
    ['paid at', 'order', 'amount', 'unit', 'paid with', 'settled', 'invoice'],
    ...sold.map(line => [String(line.paidAt), String(line.order), Number(line.amount), unit, String(line.how), line.settled === true ? 'yes' : 'no', String(line.invoice)]),
    ['', 'sum', sold.reduce((sum, line) => sum + Number(line.amount), 0), unit, '', '', '']
  ])
}
