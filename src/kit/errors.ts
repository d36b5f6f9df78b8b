/** Errors: one base class; every refusal has a stable code, says who erred, and whether trying again may help. */

/** Who has to act: the caller of this function, the remote peer, the operator of this machine, or we (a defect). */
export type Fault = 'caller' | 'peer' | 'operator' | 'us'

/** A refusal or failure that callers can act on. */
export class MixmintError extends Error {
  /** Stable, kebab-case, documented; programs switch on it. */
  readonly code: string
  /** Who has to act. */
  readonly fault: Fault
  /** True when the same call may succeed later without anybody changing anything. */
  readonly retry: boolean

  constructor (code: string, fault: Fault, message: string, options: { retry?: boolean, cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'MixmintError'
    this.code = code
    this.fault = fault
    this.retry = options.retry ?? false
  }
}

/** Is this one of ours, and if a code is given, with that code? */
export function isMixmintError (error: unknown, code?: string): error is MixmintError {
  return error instanceof MixmintError && (code === undefined || error.code === code)
}
