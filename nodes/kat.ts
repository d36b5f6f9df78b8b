/**
 * Known-answer tests of files, against both suites: the format of each file (packets, mixnet/sphinx/kat.ts; blind
 * signatures, src/crypto/kat.ts) is told by what its first vector has.
 */
import { readFileSync } from 'node:fs'
import { runRsabssaVectors } from '@mixmint/core/crypto/kat'
import { loadNativeSuite } from '@mixmint/core/crypto/native'
import { pureSuite } from '@mixmint/core/crypto/pure'
import type { Suite } from '@mixmint/core/crypto/suite'
import { runSphinxVectors } from '@mixmint/mixnet/sphinx/kat'

export interface KatResult {
  readonly file: string
  readonly suite: Suite['name']
  /** By name what did not hold; empty when everything did. */
  readonly failures: string[]
}

type Run = (suite: Suite, file: unknown) => string[]

/** Two results a file, native and pure. A file that cannot be read fails like one that does not hold. */
export async function runKat (files: readonly string[]): Promise<KatResult[]> {
  const native = await loadNativeSuite()
  return files.flatMap(file => {
    const { parsed, run } = load(file)
    return [
      { file, suite: 'native', failures: native === null ? ['the native suite is not available here: sodium-native is not installed or has no binary for this platform'] : run(native, parsed) },
      { file, suite: 'pure', failures: run(pureSuite, parsed) }
    ]
  })
}

function load (file: string): { parsed: unknown, run: Run } {
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'))
    return { parsed, run: runnerFor(parsed) }
  } catch (error) {
    const why = error instanceof SyntaxError ? 'it is not JSON' : error instanceof Error ? error.message : String(error)
    return { parsed: null, run: () => [`file: it cannot be read: ${why}`] }
  }
}

function runnerFor (parsed: unknown): Run {
  const vectors = isObject(parsed) ? parsed.vectors : undefined
  const first: unknown = Array.isArray(vectors) ? vectors[0] : undefined
  if (isObject(first) && ('suite' in first || 'blindSig' in first)) return runRsabssaVectors
  if (isObject(first) && ('packet' in first || 'hops' in first)) return runSphinxVectors
  return () => ['file: a list of vectors wanted, of packets (with hops and packet) or of blind signatures (with suite and blindSig)']
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
