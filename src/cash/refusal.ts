/** Refusals: how an error of an engine travels to whoever asked, and becomes an error again there. */
import { MixmintError, type Fault } from '../kit/errors.ts'
import { asMixmintError } from '../kit/saga.ts'
import type { Refused } from './messages.ts'

/**
 * The reply that stands for an error. What went wrong inside this machine (faults `operator` and `us`) is told by code
 * only: the text of such an error may name files or peers, and the asker can do nothing with it.
 */
export function refusal (error: unknown): { is: 'refused' } & Refused {
  const { code, fault, retry, message } = asMixmintError(error)
  const ours = fault === 'operator' || fault === 'us'
  return {
    is: 'refused', code: code.slice(0, 64), fault, retry,
    message: ours ? 'the service has a fault of its own; try again later, or ask its operator' : message.slice(0, 512)
  }
}

/** Who has to act, as the asker sees it: the service calls its asker `peer`, and itself anything else. */
const SEEN_BY_ASKER: Record<Fault, Fault> = { peer: 'caller', caller: 'peer', operator: 'peer', us: 'peer' }

/** The error that a refusal stands for, thrown by whoever asked. Its code is the service's own. */
export function errorOf ({ code, fault, retry, message }: Refused): MixmintError {
  return new MixmintError(code, SEEN_BY_ASKER[fault], message, { retry })
}
