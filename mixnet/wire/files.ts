/** What a node keeps in a folder of its own. In browsers files-absent.ts stands in its place (package.json, `imports`). */
import { join } from 'node:path'
import type { Suite } from '@mixmint/core/crypto/suite'
import type { MixKeyStore } from '../directory/keys.ts'
import { HandoverFile } from './handover.ts'
import { MixKeyFiles } from './mix-key-files.ts'
import { SeenLog } from './seen-log.ts'

export interface NodeFiles {
  readonly mixKeys: MixKeyStore
  readonly seenLog: SeenLog
  /** What waits over a restart for other nodes, and for wallets. */
  readonly handover: (packetSize: number) => HandoverFile
  readonly walletHandover: (packetSize: number) => HandoverFile
}

/** @param folder made when it is first needed */
export function openFiles (suite: Suite, folder: string): NodeFiles {
  return {
    mixKeys: new MixKeyFiles(suite, join(folder, 'mix-keys')),
    seenLog: new SeenLog(join(folder, 'seen')),
    handover: packetSize => new HandoverFile(join(folder, 'handover'), packetSize),
    walletHandover: packetSize => new HandoverFile(join(folder, 'handover-wallets'), packetSize)
  }
}
