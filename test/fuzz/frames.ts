/** The cutting of streams into frames: the same frames however the bytes come, and an end that has a name. */
import type { Stream } from '@libp2p/interface'
import { concat, equal } from '@mixmint/core/kit/bytes'
import { isMixmintError } from '@mixmint/core/kit/errors'
import { readFrames } from '@mixmint/mixnet/wire/frames'
import type { Chance } from './chance.ts'
import { must, type Target } from './fuzz.ts'
import { mutated } from './mutate.ts'

const LIMITS = { min: 1, max: 5000, silence: 60_000, stall: 60_000 }

/** As much of a stream as its reader uses. */
class Source extends EventTarget {
  status = 'open'
  readStatus = 'readable'
  readBufferLength = 0
  get readableEnded (): boolean { return this.status !== 'open' }
  pause (): void { this.readStatus = 'paused' }
  resume (): void { this.readStatus = 'readable' }
  abort (): void { this.status = 'aborted' }

  give (data: Uint8Array): void { this.dispatchEvent(Object.assign(new Event('message'), { data })) }

  end (): void {
    this.status = 'closed'
    this.dispatchEvent(new Event('end'))
  }
}

async function read (pieces: readonly Uint8Array[]): Promise<{ frames: Uint8Array[], end: string }> {
  const source = new Source()
  const frames: Uint8Array[] = []
  const done = readFrames(source as unknown as Stream, LIMITS, frame => { frames.push(frame) })
    .then(() => 'end', (error: unknown) => { if (isMixmintError(error)) return error.code; throw error })
  for (const piece of pieces) {
    if (source.status !== 'open') break
    source.give(piece)
    if (piece.length % 3 === 0) await new Promise(resolve => { setImmediate(resolve) })
  }
  if (source.status === 'open') source.end()
  return { frames, end: await done }
}

function framed (length: number, chance: Chance): Uint8Array {
  const head: number[] = []
  let rest = length
  for (; rest >= 0x80; rest >>>= 7) head.push(rest & 0x7f | 0x80)
  return concat(Uint8Array.from([...head, rest]), chance.bytes(length))
}

export const frames: Target = {
  name: 'frames',
  round: async chance => {
    const good = Array.from({ length: chance.between(1, 4) }, () => framed(chance.pick([1, 2, 127, 128, 129, 300, 4608, 5000]), chance))
    const bytes = chance.often(0.2) ? concat(...good) : mutated([concat(...good), good[0]], chance)
    const pieces: Uint8Array[] = []
    for (let at = 0; at < bytes.length;) {
      const to = Math.min(bytes.length, at + chance.pick([1, 2, 3, 100, 1000, 5000]))
      pieces.push(bytes.subarray(at, to))
      at = to
    }
    const [whole, cut] = [await read([bytes]), await read(pieces)]
    must(['end', 'frame-size', 'frame-malformed', 'frame-cut'].includes(whole.end), `ends with ${whole.end}`)
    must(whole.end === cut.end, `in pieces it ends with ${cut.end}, whole with ${whole.end}`)
    must(whole.frames.length === cut.frames.length && whole.frames.every((frame, i) => equal(frame, cut.frames[i])), 'in pieces there are other frames')
    must(whole.frames.every(({ length }) => length >= LIMITS.min && length <= LIMITS.max), 'a frame beyond the limits')
  }
}
