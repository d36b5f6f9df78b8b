/**
 * What a service manager is told (sd_notify(3)): ready, what is waited for, signs of life, stopping. Its socket takes
 * datagrams, which Node does not speak over Unix sockets, so the program `systemd-notify` says it; hence `NotifyAccess=all`.
 * Without NOTIFY_SOCKET nobody listens, and nothing is said.
 */
import { execFile } from 'node:child_process'
import type { Log } from '@mixmint/core/kit/ports'

type Environment = Readonly<Record<string, string | undefined>>

export class ServiceManager {
  readonly #listens: boolean
  readonly #environment: Environment
  readonly #log: Log
  #beats: NodeJS.Timeout | undefined
  /** One after the other, so that they come in order. */
  #said: Promise<void> = Promise.resolve()
  #isBroken = false

  constructor (environment: Environment, log: Log) {
    this.#listens = (environment.NOTIFY_SOCKET ?? '') !== ''
    this.#environment = environment
    this.#log = log
  }

  /** One line for `systemctl status`. */
  status (text: string): void {
    this.#say(`STATUS=${text}`)
  }

  /** It serves. From now on there are signs of life, where a watchdog waits for them. */
  ready (): void {
    this.#say('READY=1', 'STATUS=serving')
    const within = Number(this.#environment.WATCHDOG_USEC) / 1000
    const isOurs = this.#environment.WATCHDOG_PID === undefined || Number(this.#environment.WATCHDOG_PID) === process.pid
    if (!this.#listens || !isOurs || !(within > 0)) return
    this.#beats = setInterval(() => { this.#say('WATCHDOG=1') }, within / 2)
    this.#beats.unref()
  }

  /** Another configuration is taken up. */
  reloaded (): void {
    this.#say('STATUS=serving; configuration read again')
  }

  /** Signs of life go on: a node may drain for long. */
  stopping (): void {
    this.#say('STOPPING=1', 'STATUS=stopping')
  }

  /** Resolves when all is said. */
  async close (): Promise<void> {
    clearInterval(this.#beats)
    await this.#said
  }

  #say (...what: string[]): void {
    if (!this.#listens) return
    this.#said = this.#said.then(async () => {
      await new Promise<void>(resolve => {
        execFile('systemd-notify', what, { env: { ...this.#environment }, timeout: 5_000 }, error => {
          if (error !== null && !this.#isBroken) {
            this.#isBroken = true
            this.#log.warn('the service manager cannot be told: is the program systemd-notify there?', { code: 'notify-failed' })
          }
          resolve()
        })
      })
    })
  }
}
