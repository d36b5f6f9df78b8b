/**
 * Loaded into a node's process before its program (`--import`): its time of day is off by as many ms as stand in the file
 * that MIXMINT_CLOCK_OFF names, looked at all the time; 0 where there is none. Timers and the monotonic clock stay right.
 */
import { readFileSync } from 'node:fs'

const LOOK = 50

function read (): number {
  try {
    return Number(readFileSync(process.env.MIXMINT_CLOCK_OFF ?? '', 'utf8'))
  } catch {
    return 0
  }
}

const right = Date.now
let off = read()
Date.now = () => right() + off
setInterval(() => { off = read() }, LOOK).unref()
