/** A thread that runs one scenario after another, as they are sent to it. */
import { parentPort } from 'node:worker_threads'
import { asMixmintError } from '@mixmint/core/kit/saga'
import type { Scenario } from '../scenario/schema.ts'
import { runOne } from './one.ts'

parentPort?.on('message', ({ scenario, number, trace }: { readonly scenario: Scenario, readonly number: number, readonly trace: string | null }) => {
  try {
    parentPort?.postMessage({ number, point: runOne(scenario, trace, part => { parentPort?.postMessage({ number, part }) }) })
  } catch (cause) {
    // Of an error that is posted as it is, code and fault would be lost.
    const { code, fault, message, retry } = asMixmintError(cause)
    parentPort?.postMessage({ number, error: { code, fault, message, retry } })
  }
})
