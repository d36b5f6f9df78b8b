/** An authority running: its engine driven by real ports, woken in time, after each publication and after news. */
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Log, Meter } from '@mixmint/core/kit/ports'
import { drive, type BasePorts, type Saga } from '@mixmint/core/kit/saga'
import type { Authority } from '../directory/authority.ts'
import type { AuthorityEffect } from '../directory/exchange.ts'
import type { DirectoryReply, DirectoryRequest } from '../directory/messages.ts'
import { answerDirectory, askDirectory, type Ask } from './directory.ts'
import { Loop } from './loop.ts'

export interface AuthorityServerOptions {
  readonly authority: Authority
  readonly ports: BasePorts
  readonly log: Log
  readonly meter: Meter
  /** How to reach the other authorities, by Ed25519 key; null for one that is not known. */
  readonly askOther: (authority: Uint8Array) => Ask | null
}

/** How long another authority may take, and how soon to try again after a failure of our own, in ms. */
const ASK_TIMEOUT = 5_000
const RETRY = 1_000

export class AuthorityServer {
  readonly #options: AuthorityServerOptions
  readonly #ticks: Loop
  /** One for each other authority: one that does not answer holds up nobody else. */
  readonly #pulls: readonly Loop[]
  readonly #stopping = new AbortController()

  constructor (options: AuthorityServerOptions) {
    this.#options = options
    const { authority } = options
    this.#ticks = this.#loop(async () => await this.#drive(authority.tick()))
    this.#pulls = authority.others.map(other => this.#loop(async () => {
      const { next, news } = await this.#drive(authority.pull(other))
      if (news) this.#ticks.poke()
      return next
    }))
  }

  /** Load the store and begin. Before that, answer nothing. */
  async start (): Promise<void> {
    await this.#drive(this.#options.authority.open())
    for (const loop of [this.#ticks, ...this.#pulls]) loop.start()
  }

  async stop (): Promise<void> {
    this.#stopping.abort()
    await Promise.all([this.#ticks, ...this.#pulls].map(async loop => { await loop.stop() }))
  }

  /** Answers one request of `/mixmint/directory/1.0.0`. */
  answer = async (bytes: Uint8Array): Promise<Uint8Array> => await answerDirectory(bytes, async request => await this.#handle(request))

  async #handle (request: DirectoryRequest): Promise<DirectoryReply> {
    const reply = await this.#drive(this.#options.authority.handle(request))
    if (reply.is === 'published') this.#ticks.poke()
    return reply
  }

  #loop (step: () => Promise<number>): Loop {
    const { ports: { clock }, log, meter } = this.#options
    return new Loop({
      clock,
      step,
      failed: error => {
        const { code, message } = error instanceof MixmintError ? error : { code: 'internal', message: 'a defect of this program' }
        meter.count('directory_authority_failed', { reason: code })
        log.error(`no directory document could be made: ${message}`, { code })
        return clock.now() + RETRY
      }
    })
  }

  async #drive<T> (saga: Saga<T, AuthorityEffect>): Promise<T> {
    return await drive(saga, this.#options.ports, async ({ authority, request }) => {
      const ask = this.#options.askOther(authority)
      try {
        return ask === null ? null : await askDirectory(ask, request, AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(ASK_TIMEOUT)]))
      } catch {
        return null // not reached, or no reply that can be read: the engine asks again
      }
    })
  }
}
