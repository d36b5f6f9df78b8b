/** What one exchange is told (`dialProtocol`), checked and complete. */
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import type { MixDialOptions } from './api.ts'
import type { Leave } from './stream.ts'

export interface DialSettings extends Readonly<Required<Omit<MixDialOptions, 'signal' | 'exit' | 'replySize'>>>, Pick<MixDialOptions, 'signal' | 'exit' | 'replySize'> {
  readonly protocol: string
}

const LEAVES: readonly Leave[] = ['quiet', 'close', 'open']
/** What timers can count, ms. */
export const LONGEST: Millis = 2 ** 31 - 1

/**
 * Options that are none of ours are left alone: clients of libp2p say more than a mix can heed.
 * @throws bad-argument (caller), saying which
 */
export function checkDial (protocol: string, options: MixDialOptions, usual: { readonly patience: Millis }): DialSettings {
  if (typeof protocol !== 'string' || protocol === '') throw bad('protocol', 'the name of one protocol')
  const { expectReply = true, signal, patience = usual.patience, replySize, leave = 'quiet', quiet = 0, exit } = options
  if (!isWhole(patience, 1)) throw bad('patience', 'milliseconds, at least 1,')
  if (!isWhole(quiet, 0)) throw bad('quiet', 'milliseconds')
  if (replySize !== undefined && !isWhole(replySize, 0)) throw bad('replySize', 'a number of bytes')
  if (!LEAVES.includes(leave)) throw bad('leave', LEAVES.join(', '))
  return { protocol, expectReply, signal, patience, replySize, leave, quiet, exit }
}

function isWhole (value: number, least: number): boolean {
  return Number.isSafeInteger(value) && value >= least && value <= LONGEST
}

function bad (option: string, wanted: string): MixmintError {
  return new MixmintError('bad-argument', 'caller', `nothing was sent, ${option}: ${wanted} wanted`)
}
