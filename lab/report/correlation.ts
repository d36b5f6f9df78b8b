/** The report of flow correlation: what is told after which time, with cover and without. */
import type { Correlation } from '../attack/correlation.ts'
import type { Roc } from '../measure/roc.ts'
import { VERSION } from '../run/folder.ts'
import { escape, figure, page, table } from './html.ts'
import { lines, type Series } from './plots.ts'

const SEEN = {
  link_count: 'The wallet’s link alone, by how many packets: does it ask anybody?',
  link_bursts: 'The wallet’s link alone, by bursts: does it ask anybody?',
  both: 'Both links: the bank, or another service?',
  both_idle: 'Both links: the bank, or nobody?'
} as const

/** @param plan what was given, for the reader who measures it again */
export function correlationReport (plan: Readonly<Record<string, unknown>>, rows: readonly Correlation[]): string {
  const title = 'A wallet’s link and the bank’s'
  return page(title, [
    `<h1>${title}</h1>`,
    `<p class="about">mixmint-lab ${VERSION}. AUC: the chance that one of the first kind looks more like it than one of the second; 0.5 is a guess. Bars hold it with 95 %.</p>`,
    ...Object.entries(SEEN).map(([what, caption]) => figure(lines(seriesOf(rows, row => row[what as keyof typeof SEEN]), { x: 'seconds observed →', y: '↑ AUC' }), caption)),
    table(['cover', 'seconds', 'link: how many', 'link: bursts', 'bank or other', 'found at 1 % false', 'bank or nobody', 'answered'],
      rows.map(row => [row.cover ? 'yes' : 'no', row.observed_s, row.link_count.auc, row.link_bursts.auc, row.both.auc, row.found_at_1pc, row.both_idle.auc, row.answered])),
    '<h2>To measure it again</h2>',
    `<pre>${escape(JSON.stringify(plan, null, 2))}</pre>`
  ])
}

function seriesOf (rows: readonly Correlation[], of: (row: Correlation) => Roc): Series[] {
  return [false, true].map(cover => ({
    name: cover ? 'with cover' : 'without',
    points: rows.filter(row => row.cover === cover).map(row => ({ x: row.observed_s, y: of(row).auc, low: of(row).ci95[0], high: of(row).ci95[1] }))
  }))
}
