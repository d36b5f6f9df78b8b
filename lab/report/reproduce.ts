/** Published and measured, side by side. */
import type { Claim } from '../reproduce/claims.ts'
import { VERSION } from '../run/folder.ts'
import { digits, page, table } from './html.ts'

export function reproductionOf (claims: readonly Claim[]): string {
  const title = 'Published and measured'
  return page(title, [
    `<h1>${title}</h1>`,
    `<p class="about">mixmint-lab ${VERSION}. Each scenario is as its source describes it; nothing is tuned. ${claims.filter(({ met }) => met).length} of ${claims.length} are as near as they have to be.</p>`,
    table(['what', 'source', 'published', 'measured', '± 95 %', 'unit', 'within', ''], claims.map(claim =>
      [claim.what, claim.source, claim.published, claim.measured, claim.within, claim.unit, claim.tolerance, { html: claim.met ? '<span class="good">yes</span>' : '<span class="bad">NO</span>' }]))
  ])
}

/** For people, on a terminal. */
export function claimLines (claims: readonly Claim[]): string[][] {
  return [
    ['WHAT', 'PUBLISHED', 'MEASURED', '± 95 %', 'UNIT', 'WITHIN', 'MET'],
    ...claims.map(({ what, published, measured, within, unit, tolerance, met }) =>
      [what, digits(published), digits(measured), within === undefined ? '' : digits(within), unit, digits(tolerance), met ? 'yes' : 'NO'])
  ]
}
