/** The code under which something is refused. */
import { MixmintError } from '@mixmint/core/kit/errors'

/** `accepted`, or the code of the error; anything but a MixmintError is a defect and goes on flying. */
export function codeOf (attempt: () => unknown): string {
  try {
    attempt()
    return 'accepted'
  } catch (error) {
    if (error instanceof MixmintError) return error.code
    throw error
  }
}
