/** An authority running: its engine driven by real ports, woken in time and after each publication. */
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Log } from '@mixmint/core/kit/ports'
import { drive, type BasePorts, type Saga } from '@mixmint/core/kit/saga'
import type { Authority, AuthorityEffect } from '../directory/authority.ts'
import type { DirectoryReply, DirectoryRequest } from '../directory/messages.ts'
import { answerDirectory, fetchVote, type Ask } from './directory.ts'
import { Loop } from './loop.ts'

export interface AuthorityServerOptions {
  readonly authority: Authority
  readonly ports: BasePorts
  readonly log: Log
  /** How to reach the other authorities, by Ed25519 key; null for one that is not known. */
  readonly askOther: (authority: Uint8Array) => Ask | null
}

/** How long another authority may take, and how soon to try again after a failure of our own, in ms. */
const VOTE_TIMEOUT = 5_000
const RETRY = 1_000

export class AuthorityServer {
  readonly #options: AuthorityServerOptions
  readonly #ticks: Loop

  constructor (options: AuthorityServerOptions) {
    this.#options = options
    const { ports: { clock }, log } = options
    this.#ticks = new Loop({
      clock,
      step: async () => await this.#drive(options.authority.tick()),
      failed: error => {
        log.error('no directory document could be made', { code: error instanceof MixmintError ? error.code : 'internal' })
        return clock.now() + RETRY
      }
    })
  }

  /** Load the store and begin. Before that, answer nothing. */
  async start (): Promise<void> {
    await this.#drive(this.#options.authority.open())
    this.#ticks.start()
  }

  async stop (): Promise<void> {
    await this.#ticks.stop()
  }

  /** Answers one request of `/mixmint/directory/1.0.0`. */
  answer = async (bytes: Uint8Array): Promise<Uint8Array> => await answerDirectory(bytes, async request => await this.#handle(request))

  async #handle (request: DirectoryRequest): Promise<DirectoryReply> {
    const reply = await this.#drive(this.#options.authority.handle(request))
    if (reply.is === 'published') this.#ticks.poke()
    return reply
  }

  async #drive<T> (saga: Saga<T, AuthorityEffect>): Promise<T> {
    return await drive(saga, this.#options.ports, async ({ authority, epoch }) => {
      const ask = this.#options.askOther(authority)
      try {
        return ask === null ? null : await fetchVote(ask, epoch, AbortSignal.timeout(VOTE_TIMEOUT))
      } catch {
        return null // not made yet, or not reached: the engine asks again
      }
    })
  }
}
