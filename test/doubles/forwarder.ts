/** A line between a wallet and its gateway that a test can cut: TCP connections are passed on to a port, byte by byte. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

export class Forwarder {
  readonly #server: Server
  readonly #target: number
  readonly #from: (n: number) => string
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  /** What comes is accepted, and goes nowhere, in either direction; as behind a router that was switched off. */
  frozen = false
  /** Connections that were made through it. */
  made = 0

  private constructor (target: number, from: (n: number) => string) {
    this.#target = target
    this.#from = from
    this.#server = createServer(socket => { this.#join(socket) })
  }

  /**
   * @param to a multiaddr /ip4/127.0.0.1/tcp/…
   * @param from the address that the nth connection shall come from, as seen at the far end: loopback has 2^24
   */
  static async start (to: string, from: (n: number) => string = () => '127.0.0.1'): Promise<Forwarder> {
    const forwarder = new Forwarder(Number(to.split('/')[4]), from)
    forwarder.#server.listen(0, '127.0.0.1')
    await once(forwarder.#server, 'listening')
    return forwarder
  }

  /** `to`, by way of this line. */
  get address (): string {
    return `/ip4/127.0.0.1/tcp/${(this.#server.address() as AddressInfo).port}`
  }

  /** Connections open now. */
  get open (): number {
    return this.#pairs.size
  }

  /** Break off all connections. */
  cut (): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy()
  }

  /** End all connections, as if both sides had wished it. */
  end (): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.end()
  }

  /** Break off all connections, and take no more. */
  async stop (): Promise<void> {
    this.cut()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }

  #join (near: Socket): void {
    const far = connect({ port: this.#target, host: '127.0.0.1', localAddress: this.#from(this.made++) })
    const pair = [near, far] as const
    this.#pairs.add(pair)
    for (const [from, to] of [[near, far], [far, near]]) {
      from.on('data', bytes => { if (!this.frozen) to.write(bytes) })
      from.on('error', () => {})
      from.on('close', () => {
        this.#pairs.delete(pair)
        to.destroy()
      })
    }
  }
}
