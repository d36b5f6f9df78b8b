/** Mix keys that outlive what uses them, as files do. */
import type { KeptKey, MixKeyStore } from '@mixmint/mixnet/directory/keys'

export class MemoryKeys implements MixKeyStore {
  readonly keys = new Map<number, Uint8Array>()
  /** Thrown by whatever changes something, while it is set. */
  failure: Error | null = null

  load = async (): Promise<KeptKey[]> => [...this.keys].sort(([a], [b]) => a - b).map(([epoch, secret]) => ({ epoch, secret: secret.slice() }))

  keep = async ({ epoch, secret }: KeptKey): Promise<void> => {
    if (this.failure !== null) throw this.failure
    this.keys.set(epoch, secret.slice())
  }

  destroy = async (epoch: number): Promise<void> => {
    if (this.failure !== null) throw this.failure
    this.keys.delete(epoch)
  }
}
