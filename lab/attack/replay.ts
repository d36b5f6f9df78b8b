/**
 * Replay: packets that a mix has passed on are sent to it again, so that what leaves twice shows where they go. Real packets,
 * engines and tags on disk of the daemon (mixnet/wire/seen-log.ts). In each case n packets are sent, and the same n again:
 *
 *   at once                     to the same engine
 *   after a rotation            in the next epoch, while the old key still opens packets
 *   without the key             when the old key is gone
 *   after a restart             to an engine whose tags were read from disk
 *   after a loss of power       it came before the tags were on disk: then nothing has left for them either
 *   without tags                to an engine that has forgotten them: what the tags are there against
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Suite } from '@mixmint/core/crypto/suite'
import type { MixEngine } from '@mixmint/mixnet/mixing/engine'
import { SeenLog } from '@mixmint/mixnet/wire/seen-log'
import { engineOf, keptRng, keyOf, Line, MESSAGE_SIZE, turn } from './line.ts'

export interface Replay {
  readonly when: string
  readonly packets: number
  /** Left the mix the first time, and the second. */
  readonly first: number
  readonly again: number
  /** Why the second ones did not. */
  readonly dropped: Readonly<Record<string, number>>
}

const SELF = new Uint8Array(39)
const HOPS = 3
const EPOCH = 1

export async function replay (suite: Suite, packets: number, seed: number): Promise<Replay[]> {
  const same = (before: (engine: MixEngine) => void) => (engine: MixEngine): MixEngine => {
    before(engine)
    return engine
  }
  const rng = keptRng(seed, 'engines')
  const install = (engine: MixEngine): void => {
    engine.handle({ kind: 'install', key: keyOf(suite, seed, 0, EPOCH + 1) }, 0, rng)
    turn(engine, EPOCH + 1, rng)
  }
  const dir = mkdtempSync(join(tmpdir(), 'mixmint-lab-'))
  try {
    return [
      await measure(suite, 'at once', packets, seed, same(() => {})),
      await measure(suite, 'after a rotation', packets, seed, same(install)),
      await measure(suite, 'without the key', packets, seed, same(engine => {
        install(engine)
        engine.handle({ kind: 'retire', epoch: EPOCH }, 0, rng)
      })),
      await measure(suite, 'after a restart', packets, seed, async engine => await restart(suite, engine, seed, dir)),
      await measure(suite, 'after a loss of power', packets, seed, () => fresh(suite, seed), { recorded: false }),
      await measure(suite, 'without tags', packets, seed, () => fresh(suite, seed))
    ]
  } finally {
    rmSync(dir, { recursive: true })
  }
}

function fresh (suite: Suite, seed: number, seen: Iterable<Uint8Array> = []): MixEngine {
  return engineOf(suite, SELF, { ...keyOf(suite, seed, 0), seen }, keptRng(seed, 'restarted'))
}

/** The tags go to disk, the process ends, and another begins with what is there. */
async function restart (suite: Suite, engine: MixEngine, seed: number, dir: string): Promise<MixEngine> {
  const { privateKey } = keyOf(suite, seed, 0)
  const log = new SeenLog(dir)
  log.create(EPOCH, privateKey)
  log.load(EPOCH, privateKey)
  await log.append(EPOCH, engine.seenSince(EPOCH, 0))
  await log.close()
  const later = new SeenLog(dir)
  const restarted = fresh(suite, seed, later.load(EPOCH, privateKey))
  await later.close()
  return restarted
}

/** @param between what happens before they are sent again @param recorded is what comes first on disk? */
async function measure (
  suite: Suite, when: string, packets: number, seed: number, between: (engine: MixEngine) => MixEngine | Promise<MixEngine>, { recorded = true } = {}
): Promise<Replay> {
  const line = new Line(suite, HOPS, seed)
  if (!recorded) line.engines[0].handle({ kind: 'recorded', tags: 0 }, 0, keptRng(seed, 'recorded'))
  const sent = Array.from({ length: packets }, () => line.packet(new Uint8Array(MESSAGE_SIZE)))
  const send = (): number => sent.filter(packet => typeof line.pass(0, packet) !== 'string').length
  const first = send()
  line.engines[0] = await between(line.engines[0])
  const before = { ...line.engines[0].counts().dropped }
  const again = send()
  const dropped = Object.fromEntries(Object.entries(line.engines[0].counts().dropped).map(([why, n]) => [why, n - (before[why as keyof typeof before] ?? 0)]))
  return { when, packets, first, again, dropped }
}
