/**
 * One process to a data folder. The holder is written into the store itself, by compare and swap, so that of two
 * starters one wins; and it is told apart from a later process of the same number by the time it started and by the
 * boot of the machine, so that a crash leaves nothing to clean up. (Processes that do not see each other, in containers
 * of their own, are beyond it.)
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { utf8 } from '@mixmint/core/kit/bytes'
import { bytes, decode, encode, record, text, uint, type Of } from '@mixmint/core/kit/codec'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import type { Store } from '@mixmint/core/kit/ports'

const KEY = utf8('lock/holder')

/** `started` and `boot` are as /proc tells them; empty on systems without it. `nonce` tells two locks of one process apart. */
const Holder = record({ pid: uint(), started: text(64), boot: text(64), nonce: bytes(16) })
type Holder = Of<typeof Holder>

export interface FolderLock {
  /** Let others in. After the store is closed it is too late, and not needed once this process has ended. */
  readonly release: () => Promise<void>
}

/** @throws folder-in-use (operator) while another holder lives, this process itself included */
export async function lockFolder (store: Store): Promise<FolderLock> {
  const boot = bootId()
  const mine = encode(Holder, { pid: process.pid, started: startTime(process.pid) ?? '', boot, nonce: new Uint8Array(randomBytes(16)) })
  let was = await store.get(KEY)
  for (;;) {
    if (was !== null && isHeld(was, boot)) throw inUse(was)
    const taken = await store.batch([{ op: 'swap', key: KEY, was, value: mine }])
    if (taken.done) break
    was = taken.found
  }
  return {
    release: async () => {
      await store.batch([{ op: 'swap', key: KEY, was: mine, value: null }])
    }
  }
}

/** The holder that these bytes name; null for bytes of another version, which is taken to live. */
function parse (bytes: Uint8Array): Holder | null {
  try {
    return decode(Holder, bytes)
  } catch (error) {
    if (isMixmintError(error, 'bad-encoding')) return null
    throw error
  }
}

function isHeld (bytes: Uint8Array, boot: string): boolean {
  const holder = parse(bytes)
  if (holder === null) return true
  if (holder.boot !== boot) return false
  if (boot === '') return isRunning(holder.pid)
  return startTime(holder.pid) === holder.started
}

function inUse (bytes: Uint8Array): MixmintError {
  const holder = parse(bytes)
  const who = holder === null ? 'a process of another version of mixmint' : holder.pid === process.pid ? 'this very process' : `process ${holder.pid}`
  return new MixmintError('folder-in-use', 'operator', `the data folder is in use by ${who}; stop that first, or use a folder of its own`)
}

/** Names this boot of the machine; empty where the system does not say. */
function bootId (): string {
  return read('/proc/sys/kernel/random/boot_id')?.trim() ?? ''
}

/** When a process started, in clock ticks since boot; null when there is none, or only its remains (proc(5), stat). */
function startTime (pid: number): string | null {
  // The second field is the program's name in brackets, which may itself contain brackets and spaces.
  const fields = read(`/proc/${pid}/stat`)?.replace(/^.*\) /s, '').split(' ')
  if (fields === undefined || fields[0] === 'Z' || fields[0] === 'X') return null
  return fields[19]
}

function isRunning (pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** A file of /proc; null when it, or the process, is not there. */
function read (path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ESRCH') return null
    throw error
  }
}
