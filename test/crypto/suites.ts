/** Both suites, for tests that hold for each, and seeded bytes. */
import { loadNativeSuite } from '@mixmint/core/crypto/native'
import { pureSuite } from '@mixmint/core/crypto/pure'

const native = await loadNativeSuite()
if (native === null) throw new Error('sodium-native is not installed here; these tests compare it with the pure suite')

export const nativeSuite = native
export { pureSuite }
export const suites = [nativeSuite, pureSuite]

export function hex (text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replace(/\s/g, ''), 'hex'))
}

/** A stream of bytes that a label stands for. */
export function seeded (label: string, length: number): Uint8Array {
  return pureSuite.shake128(new TextEncoder().encode(label), length)
}
