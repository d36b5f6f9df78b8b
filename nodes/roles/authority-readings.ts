/** What an authority tells of itself and of the others. */
import type { AuthorityStatus } from '@mixmint/mixnet/directory/authority'
import { epochStart } from '@mixmint/mixnet/directory/epoch'
import type { Parameters } from '@mixmint/mixnet/directory/formats'
import type { Reading } from '../metrics/readings.ts'

/**
 * @param until the epoch in which its term has ended; Infinity: it is open
 * @param admitted how many nodes it admits
 */
export function authorityReadings ({ epoch, signatures, round, colleagues }: AuthorityStatus, parameters: Parameters, until: number, admitted: number): Reading[] {
  const count = (state: string, number: number): Reading => ['authority_colleagues', number, { state }]
  const answering = colleagues.filter(({ answers }) => answers)
  const ahead = answering.map(each => each.ahead).sort((a, b) => a - b)[Math.floor(answering.length / 2)] ?? 0
  return [
    ['directory_epoch', epoch], ['authority_admitted', admitted], ['authority_signatures', signatures], ['authority_round', round],
    // 0 − 0: Prometheus knows a negative zero.
    ['clock_offset_seconds', (0 - ahead) / 1000],
    count('answering', answering.length), count('silent', colleagues.length - answering.length),
    count('clock-wrong', answering.filter(each => Math.abs(each.ahead) > parameters.clockSkew).length),
    count('parameters-differ', answering.filter(each => each.differing.length > 0).length),
    ...epoch < 0 ? [] : [['directory_document_end_timestamp_seconds', epochStart(parameters, epoch + 1) / 1000] as const],
    ...Number.isFinite(until) ? [['authority_term_end_timestamp_seconds', epochStart(parameters, until) / 1000] as const] : []
  ]
}
