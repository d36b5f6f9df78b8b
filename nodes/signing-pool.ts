/**
 * Threads that make blind signatures: one takes a third of a millisecond of a core, and a bank has other requests to answer.
 * Each thread holds every key that it was told of; what does not fit into the queue is refused as busy, and nothing is lost by it.
 */
import { Worker } from 'node:worker_threads'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Log, Meter, Millis } from '@mixmint/core/kit/ports'

/** A private key that the threads hold. */
export interface SigningKey { readonly number: number }

export interface Signer {
  /** Takes up a private key, PKCS #8, that was checked. */
  readonly hold: (pkcs8: Uint8Array) => SigningKey
  /** Forgets it: what is asked for under it from now on fails. */
  readonly drop: (key: SigningKey) => void
  /** RFC 9474 BlindSign, verified; null when the number is not below the modulus. @throws busy (operator, retry), signing-fault, signing-failed (us) */
  readonly sign: (key: SigningKey, blinded: Uint8Array) => Promise<Uint8Array | null>
}

export type ToThread =
  | { readonly key: number, readonly pkcs8: Uint8Array }
  | { readonly drop: number }
  | { readonly jobs: ReadonlyArray<{ readonly job: number, readonly key: number, readonly blinded: Uint8Array }> }
/** `fault`: a signature failed its own verification. */
export interface FromThread { readonly done: ReadonlyArray<{ readonly job: number, readonly signature: Uint8Array | null, readonly fault: boolean }> }

interface Job {
  readonly key: number
  readonly blinded: Uint8Array
  readonly resolve: (signature: Uint8Array | null) => void
  readonly reject: (error: unknown) => void
}

interface Thread {
  readonly worker: Worker
  /** What it has, by number. */
  readonly jobs: Map<number, Job>
  hasEnded: boolean
}

/** Signatures in one message to a thread, and how many it has at most: it is never idle, and none waits behind many. */
const CHUNK = 8
const AHEAD = 2 * CHUNK
/** Signatures that may wait, in all: some seconds of a core. Then askers are told to come again. */
const MOST_WAITING = 16_384

/** A thread that ended is replaced after this, and later each time that none of them has signed anything meanwhile, ms. */
const PAUSE: Millis = 100
const LONGEST_PAUSE: Millis = 30_000

// Beside the build there is the thread's build, beside the sources its source.
const PROGRAM = new URL(import.meta.url.endsWith('.ts') ? './signing-thread.ts' : './signing-thread.js', import.meta.url)

export class SigningPool implements Signer {
  readonly #keys = new Map<number, Uint8Array>()
  readonly #threads: Thread[]
  readonly #log: Log
  readonly #meter: Meter
  readonly #pauses = new Set<NodeJS.Timeout>()
  #keysSeen = 0
  /** Threads that ended since the last signature. */
  #ended = 0
  #waiting: Job[] = []
  #next = 0
  #isStopped = false
  #isGiving = false

  constructor (threads: number, { log, meter }: { readonly log: Log, readonly meter: Meter }) {
    this.#log = log
    this.#meter = meter
    this.#threads = Array.from({ length: threads }, () => this.#start())
  }

  hold (pkcs8: Uint8Array): SigningKey {
    const number = this.#keysSeen++
    this.#keys.set(number, pkcs8)
    this.#tell({ key: number, pkcs8 })
    return { number }
  }

  drop ({ number: key }: SigningKey): void {
    this.#keys.get(key)?.fill(0)
    this.#keys.delete(key)
    this.#tell({ drop: key })
    const late = this.#waiting.filter(job => job.key === key)
    this.#waiting = this.#waiting.filter(job => job.key !== key)
    for (const { reject } of late) reject(dropped())
  }

  async sign ({ number: key }: SigningKey, blinded: Uint8Array): Promise<Uint8Array | null> {
    if (this.#isStopped) throw new MixmintError('signing-failed', 'us', 'the threads that sign were stopped')
    if (!this.#keys.has(key)) throw dropped()
    if (this.#waiting.length >= MOST_WAITING) throw new MixmintError('busy', 'operator', 'more signatures are asked for than can be made; try again later', { retry: true })
    return await new Promise((resolve, reject) => {
      this.#waiting.push({ key, blinded, resolve, reject })
      if (this.#isGiving) return
      // What is asked for in one turn goes in one message.
      this.#isGiving = true
      queueMicrotask(() => {
        this.#isGiving = false
        this.#give()
      })
    })
  }

  async stop (): Promise<void> {
    this.#isStopped = true
    for (const pause of this.#pauses) clearTimeout(pause)
    for (const thread of this.#threads) this.#fail(thread)
    for (const { reject } of this.#waiting.splice(0)) reject(new MixmintError('signing-failed', 'us', 'the threads that sign were stopped'))
    await Promise.all(this.#threads.map(async ({ worker }) => await worker.terminate()))
  }

  #start (): Thread {
    const worker = new Worker(PROGRAM)
    const thread: Thread = { worker, jobs: new Map(), hasEnded: false }
    worker.on('message', ({ done }: FromThread) => {
      this.#ended = 0
      for (const { job, signature, fault } of done) {
        const found = thread.jobs.get(job)
        thread.jobs.delete(job)
        if (fault) found?.reject(new MixmintError('signing-fault', 'us', 'an RSA signature failed its own verification and was not given out; check this machine\'s memory and the key file'))
        else found?.resolve(signature)
      }
      this.#give()
    })
    // A thread that ended is replaced; whoever waited for it asks again. What it said of why may name a key.
    worker.on('error', () => {})
    worker.on('exit', code => {
      thread.hasEnded = true
      this.#fail(thread)
      if (this.#isStopped) return
      const pause = Math.min(LONGEST_PAUSE, PAUSE * 2 ** this.#ended++)
      this.#meter.count('signing_thread_ended')
      this.#log.error('a thread that signs has ended; another begins after a pause', { code: 'signing-failed', exit: code, pause })
      const timer = setTimeout(() => {
        this.#pauses.delete(timer)
        this.#threads[this.#threads.indexOf(thread)] = this.#start()
        this.#give()
      }, pause)
      this.#pauses.add(timer)
    })
    for (const [key, pkcs8] of this.#keys) worker.postMessage({ key, pkcs8 } satisfies ToThread)
    return thread
  }

  #tell (message: ToThread): void {
    for (const { worker, hasEnded } of this.#threads) if (!hasEnded) worker.postMessage(message)
  }

  #fail ({ jobs }: Thread): void {
    for (const { reject } of jobs.values()) reject(new MixmintError('signing-failed', 'us', 'a thread that signs has ended', { retry: true }))
    jobs.clear()
  }

  /** To whoever has least, until all have enough. */
  #give (): void {
    while (this.#waiting.length > 0 && !this.#isStopped) {
      const alive = this.#threads.filter(({ hasEnded }) => !hasEnded)
      if (alive.length === 0) return
      const thread = alive.reduce((least, one) => one.jobs.size < least.jobs.size ? one : least)
      if (thread.jobs.size > AHEAD - CHUNK) return
      // An even share where there is little: several threads are done sooner than one.
      const share = Math.min(CHUNK, Math.ceil(this.#waiting.length / alive.length))
      const jobs = this.#waiting.splice(0, share).map(job => {
        thread.jobs.set(this.#next, job)
        return { job: this.#next++, key: job.key, blinded: job.blinded }
      })
      thread.worker.postMessage({ jobs } satisfies ToThread)
    }
  }
}

function dropped (): MixmintError {
  return new MixmintError('signing-failed', 'us', 'this key signs nothing any more')
}
