/**
 * When clients write messages, and when packets leave them. The Poisson processes of all clients together are one, of n times
 * the rate, each of whose ticks is for any of them (as in mixnet/cover/pacer.ts): a million clients cost no more than one.
 * With cover, a packet leaves at the ticks of a second such process (mixnet/cover/sender.ts): a message if one waits at that
 * client, else a drop packet.
 */
import { openSync, readSync } from 'node:fs'
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import { below, exponential, unit } from '@mixmint/core/kit/samplers'
import { PoissonProcess } from '@mixmint/mixnet/cover/process'
import { AnyAgenda } from '../kernel/agenda.ts'
import { bad } from '../scenario/fields.ts'
import { rateOf } from '../scenario/read.ts'
import type { Scenario } from '../scenario/schema.ts'

/** Something that happens at times of its own. `tick` is called when it is due. */
export interface Source {
  readonly due: Millis
  tick: (now: Millis) => void
}

/** @param receiver null: anybody */
export type Write = (client: number, receiver: number | null, now: Millis) => void

export function writers (scenario: Scenario, rng: Rng, write: Write): Source {
  const { clients: { count, behaviour, burst, burst_gap_s, swing, period_s, file } } = scenario
  const mean = 1000 / (rateOf(scenario) * count)
  switch (behaviour) {
    case 'poisson': return poisson(() => mean, rng, now => { write(below(rng, count), null, now) })
    case 'bursty': return bursty(mean, burst, burst_gap_s * 1000, count, rng, write)
    // Thinning (Lewis and Shedler 1979): of the ticks of the highest rate, as many as the rate is lower now.
    case 'diurnal': return poisson(() => mean / (1 + swing), rng, now => {
      const rate = 1 + swing * Math.sin(2 * Math.PI * now / (period_s * 1000))
      if (unit(rng) * (1 + swing) <= rate) write(below(rng, count), null, now)
    })
    case 'trace': return traced(file, count, write)
  }
}

/** A process of the production code, on virtual time. @param mean between two ticks, ms; 0: none */
export function poisson (mean: () => Millis, rng: Rng, tick: (now: Millis) => void): Source {
  const process = new PoissonProcess(mean)
  process.ticks(0, rng)
  return {
    get due () { return process.due ?? Infinity },
    tick: now => { for (let left = process.ticks(now, rng); left > 0; left--) tick(now) }
  }
}

function bursty (mean: Millis, size: number, gap: Millis, count: number, rng: Rng, write: Write): Source {
  const goingOn = new AnyAgenda()
  /** Geometric from 1, of mean `size`: after each message the burst goes on with chance 1 − 1/size. */
  const message = (client: number, now: Millis): void => {
    write(client, null, now)
    if (unit(rng) > 1 / size) goingOn.put(now + exponential(rng, gap), client)
  }
  const begin = poisson(() => mean * size, rng, now => { message(below(rng, count), now) })
  return {
    get due () { return Math.min(begin.due, goingOn.firstAt) },
    tick: now => {
      if (begin.due <= now) begin.tick(now)
      while (goingOn.firstAt <= now) message(goingOn.take(), now)
    }
  }
}

function traced (file: string, count: number, write: Write): Source {
  const lines = linesOf(file)
  let number = 0
  let last = 0
  const read = (): { at: Millis, sender: number, receiver: number | null } | null => {
    for (;;) {
      const { value: line, done } = lines.next()
      if (done === true) return null
      number += 1
      if (line.trim() === '' || line.startsWith('#')) continue
      const [seconds, sender, receiver] = line.split(',').map(cell => cell.trim() === '' ? NaN : Number(cell))
      const isClient = (n: number): boolean => Number.isInteger(n) && n >= 0 && n < count
      if (!(seconds * 1000 >= last) || !isClient(sender) || (receiver !== undefined && !isClient(receiver))) {
        throw bad(file, `line ${number}: seconds (no less than in the line before), sender and receiver (from 0 to ${count - 1}) wanted`)
      }
      last = seconds * 1000
      return { at: last, sender, receiver: receiver ?? null }
    }
  }
  let next = read()
  return {
    get due () { return next?.at ?? Infinity },
    tick: now => {
      for (; next !== null && next.at <= now; next = read()) write(next.sender, next.receiver, now)
    }
  }
}

/** A line after another, a part of the file at a time. */
function * linesOf (file: string): Generator<string, void> {
  let descriptor
  try {
    descriptor = openSync(file, 'r')
  } catch (error) {
    throw bad(file, (error as Error).message)
  }
  const part = Buffer.alloc(1 << 16)
  let rest = ''
  for (let length = readSync(descriptor, part); length > 0; length = readSync(descriptor, part)) {
    const lines = (rest + part.toString('latin1', 0, length)).split('\n')
    rest = lines.pop() as string
    yield * lines
  }
  if (rest !== '') yield rest
}
