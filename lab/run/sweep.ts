/** Scenarios side by side, over worker threads. What comes out does not depend on how many there are. */
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Scenario } from '../scenario/schema.ts'
import { traceName, type Point } from './folder.ts'
import { runOne } from './one.ts'

type Message = { readonly number: number } & ({ readonly part: number } | { readonly point: Point } | { readonly error: Pick<MixmintError, 'code' | 'fault' | 'message' | 'retry'> })

/**
 * @param threads at most; 1: here
 * @param out the folder for traces of those that are to have one
 * @param progress is told how much of all is done, from 0 to 1
 * @returns in the order of the scenarios
 * @throws bad-scenario (caller): a file that one of them names
 */
export async function runAll (scenarios: readonly Scenario[], threads: number, out: string, progress: (part: number) => void): Promise<Point[]> {
  const traces = scenarios.map(({ run }, number) => run.trace ? join(out, traceName(number, scenarios.length)) : null)
  const parts = scenarios.map(() => 0)
  const told = (number: number, part: number): void => {
    parts[number] = part
    progress(parts.reduce((sum, one) => sum + one, 0) / scenarios.length)
  }
  if (threads <= 1 || scenarios.length === 1) {
    return scenarios.map((scenario, number) => runOne(scenario, traces[number], part => { told(number, part) }))
  }
  const points: Point[] = []
  let next = 0
  const work = async (): Promise<void> => {
    const worker = new Worker(new URL('./worker.ts', import.meta.url))
    try {
      for (let number = next++; number < scenarios.length; number = next++) {
        points[number] = await ask(worker, { scenario: scenarios[number], number, trace: traces[number] }, part => { told(number, part) })
      }
    } finally {
      await worker.terminate()
    }
  }
  await Promise.all(Array.from({ length: Math.min(threads, scenarios.length) }, work))
  return points
}

async function ask (worker: Worker, job: { readonly scenario: Scenario, readonly number: number, readonly trace: string | null }, progress: (part: number) => void): Promise<Point> {
  return await new Promise((resolve, reject) => {
    const hear = (message: Message): void => {
      if ('part' in message) return progress(message.part)
      end()
      if ('error' in message) {
        const { code, fault, message: why, retry } = message.error
        return reject(new MixmintError(code, fault, why, { retry }))
      }
      progress(1)
      resolve(message.point)
    }
    const fail = (error: unknown): void => {
      end()
      reject(error instanceof Error ? error : new Error(String(error)))
    }
    const end = (): void => {
      worker.off('message', hear)
      worker.off('error', fail)
    }
    worker.on('message', hear)
    worker.on('error', fail)
    worker.postMessage(job)
  })
}
