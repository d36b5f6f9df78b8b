/** A libp2p stream whose other side says one thing and then ends: what both ends of an exchange over the mix look like. */
import { AbstractStream } from '@libp2p/utils'

export abstract class OneMessageStream extends AbstractStream {
  #said = false

  /** What the other side says; null: nothing. The end comes after the last byte was read, also by who begins to read late. */
  protected say (message: Uint8Array | null): void {
    if (this.status !== 'open' || this.#said) return
    this.#said = true
    if (message !== null) this.onData(message)
    if (this.readBuffer.byteLength === 0) this.onRemoteCloseWrite()
  }

  protected override dispatchReadBuffer (): void {
    super.dispatchReadBuffer()
    if (this.#said && this.readBuffer.byteLength === 0) this.onRemoteCloseWrite()
  }

  /** What comes later is thrown away here; the other side need not know. */
  override async sendCloseRead (): Promise<void> {}

  override sendPause (): void {}

  override sendResume (): void {}
}
