/** What a node keeps in a folder of its own. In browsers files-absent.ts stands in its place (package.json, `imports`). */
import { join } from 'node:path'
import type { Suite } from '@mixmint/core/crypto/suite'
import type { MixKeyStore } from '../directory/keys.ts'
import { MixKeyFiles } from './mix-key-files.ts'
import { SeenLog } from './seen-log.ts'

export interface NodeFiles {
  readonly mixKeys: MixKeyStore
  readonly seenLog: SeenLog
}

/** @param folder made when it is first needed */
export function openFiles (suite: Suite, folder: string): NodeFiles {
  return { mixKeys: new MixKeyFiles(suite, join(folder, 'mix-keys')), seenLog: new SeenLog(join(folder, 'seen')) }
}
