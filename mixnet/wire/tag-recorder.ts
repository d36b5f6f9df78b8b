/**
 * Brings the tags of an engine to disk, and tells it which are there, so that no packet goes on before its tag would outlive
 * a loss of power (docs/decisions/0009-tags-before-packets.md). One commit at a time, for all tags that came during the one
 * before: packets wait for tens of ms anyway, so few wait for the disk.
 *
 *   packet ─▶ tag in memory ─▶ append ─▶ fdatasync ─▶ `recorded`          a packet that is due before that waits for it
 */
import type { Meter, Millis } from '@mixmint/core/kit/ports'
import type { MixEngine } from '../mixing/engine.ts'
import type { EpochKey } from '../mixing/keyring.ts'
import type { SeenLog } from './seen-log.ts'

/** Between attempts, while the disk takes nothing. */
const AGAIN_AFTER: Millis = 250

export interface TagRecorderOptions {
  readonly log: SeenLog
  readonly engine: Pick<MixEngine, 'tagged' | 'seenCount' | 'seenSince'>
  readonly meter: Meter
  /** The first so many of the engine's tags are on disk. */
  readonly onRecorded: (tags: number) => void
}

export class TagRecorder {
  readonly #options: TagRecorderOptions
  /** Of each key, how many tags the log holds. */
  readonly #held = new Map<number, number>()
  #recorded = 0
  #failing = false
  #running: Promise<void> | null = null
  #closed = false

  constructor (options: TagRecorderOptions) {
    this.#options = options
  }

  /** Did the disk refuse the latest tags? Packets that come now could only wait. */
  get failing (): boolean {
    return this.#failing
  }

  /** Give a key to the engine by `install`, with what was seen under it before. @throws seen-log-failed, seen-log-damaged (operator) */
  install (key: EpochKey, install: (key: EpochKey) => void): void {
    const { log, engine } = this.#options
    if (this.#held.has(key.epoch)) return
    install({ ...key, seen: log.load(key.epoch, key.privateKey) })
    this.#held.set(key.epoch, engine.seenCount(key.epoch))
  }

  /** The key was retired. @throws seen-log-failed (operator): its tags are still on the disk */
  retire (epoch: number): void {
    this.#held.delete(epoch)
    this.#options.log.remove(epoch)
  }

  /** There may be new tags. */
  poke (): void {
    if (this.#running !== null || this.#closed || this.#options.engine.tagged === this.#recorded) return
    this.#running = this.#run().finally(() => { this.#running = null })
  }

  /** Ends what is under way; what is not recorded by then never will be. */
  async close (): Promise<void> {
    this.#closed = true
    await this.#running
    try {
      await this.#options.log.close()
    } catch {
      this.#options.meter.count('mix_seen_log_failed')
    }
  }

  async #run (): Promise<void> {
    const { engine, meter, onRecorded } = this.#options
    // Not at the first packet of those that came together.
    await new Promise<void>(resolve => { setImmediate(resolve) })
    while (!this.#closed && engine.tagged !== this.#recorded) {
      const tags = engine.tagged
      try {
        for (const epoch of [...this.#held.keys()]) await this.#commit(epoch)
        this.#failing = false
        this.#recorded = tags
      } catch {
        this.#failing = true
        meter.count('mix_seen_log_failed')
        await new Promise<void>(resolve => { setTimeout(resolve, AGAIN_AFTER) })
        continue
      }
      onRecorded(tags)
    }
  }

  async #commit (epoch: number): Promise<void> {
    const { log, engine } = this.#options
    const [held, count] = [this.#held.get(epoch), engine.seenCount(epoch)]
    if (held === undefined || held === count) return
    await log.append(epoch, engine.seenSince(epoch, held))
    if (this.#held.has(epoch)) this.#held.set(epoch, count)
  }
}
