/**
 * What a node that stops could not send, because a neighbour was away itself, waits in a file for the node to come back:
 * two neighbours that restart at one time would otherwise each lose what it has for the other. The packets have been mixed
 * and are what a wire would have carried, in the order in which it would have; of where they came from nothing is here.
 * A gateway keeps so what waits for wallets, and which wallets there are, in a file of its own.
 *
 *   time of writing 8 ‖ (peer id 39 ‖ packet) …
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { concat, fromHex, toHex, u64 } from '@mixmint/core/kit/bytes'
import type { Millis } from '@mixmint/core/kit/ports'
import type { Unsent } from './packets.ts'

const PEER_SIZE = 39
const HEAD_SIZE = 8

export class HandoverFile {
  readonly #file: string
  readonly #packetSize: number

  /** @param packetSize bytes of every packet */
  constructor (file: string, packetSize: number) {
    this.#file = file
    this.#packetSize = packetSize
  }

  /** In the place of what was there. @throws what the disk refuses with; then nothing is there */
  save (left: readonly Unsent[], now: Millis): void {
    const temporary = `${this.#file}.new`
    try {
      const fd = openSync(temporary, 'w', 0o600)
      try {
        writeFileSync(fd, concat(u64(now), ...left.flatMap(({ to, packet }) => [fromHex(to), packet])))
        fsyncSync(fd)
      } finally {
        closeSync(fd)
      }
      renameSync(temporary, this.#file)
    } catch (error) {
      rmSync(temporary, { force: true })
      throw error
    }
  }

  /**
   * What was saved no longer than `keep` ms ago; from now on it is not there any more. Of a file that is cut short, the
   * whole packets.
   */
  take (now: Millis, keep: Millis): Unsent[] {
    const bytes = this.#read()
    if (bytes === null || bytes.length < HEAD_SIZE) return []
    const written = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0))
    if (Math.abs(now - written) > keep) return []
    const row = PEER_SIZE + this.#packetSize
    return Array.from({ length: Math.floor((bytes.length - HEAD_SIZE) / row) }, (_, i) => {
      const at = HEAD_SIZE + i * row
      return { to: toHex(bytes.subarray(at, at + PEER_SIZE)), packet: bytes.slice(at + PEER_SIZE, at + row) }
    })
  }

  #read (): Uint8Array | null {
    try {
      return new Uint8Array(readFileSync(this.#file))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw error
    } finally {
      rmSync(this.#file, { force: true })
    }
  }
}
