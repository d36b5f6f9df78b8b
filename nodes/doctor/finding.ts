/** What `mixmint doctor` finds: one line each. */
import { asMixmintError } from '@mixmint/core/kit/saga'
import { ofSystem } from '../system-error.ts'

/** `warn`: it works, but not as it should for long; `fail`: it does not, or not safely. */
export interface Finding {
  readonly check: string
  readonly state: 'ok' | 'warn' | 'fail'
  readonly what: string
  /** What to do; '' where there is nothing. */
  readonly advice: string
}

export const ok = (check: string, what: string): Finding => ({ check, state: 'ok', what, advice: '' })
export const warn = (check: string, what: string, advice: string): Finding => ({ check, state: 'warn', what, advice })
export const fail = (check: string, what: string, advice: string): Finding => ({ check, state: 'fail', what, advice })

/** What was thrown, as a finding: our own errors say what to do themselves. */
export function failed (check: string, error: unknown): Finding {
  const { code, message } = asMixmintError(ofSystem(error))
  const [what, ...advice] = message.split(/(?<=[^:]): /)
  return fail(check, `${what} (${code})`, advice.join(': '))
}
