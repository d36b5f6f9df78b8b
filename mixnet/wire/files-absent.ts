/** In a browser there are no folders. */
import { MixmintError } from '@mixmint/core/kit/errors'

/** @throws no-files (caller), always */
export function openFiles (): never {
  throw new MixmintError('no-files', 'caller', 'there are no folders in a browser: leave `folder` out')
}
