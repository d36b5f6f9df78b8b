/** Asking several nodes for what any of them may have, some of which are dead, slow or lie. */
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import { asMixmintError } from '@mixmint/core/kit/saga'

/**
 * The first success. The next attempt begins when one has failed, or has taken so long that the next may as well try; when
 * one succeeds, the others are aborted.
 * @throws what most of them failed with; no-source (operator) when there are none
 */
export async function firstSuccess<T> (attempts: ReadonlyArray<(signal: AbortSignal) => Promise<T>>, patience: Millis, signal: AbortSignal): Promise<T> {
  const failures: MixmintError[] = []
  const done = new AbortController()
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  let begun = 0
  const next = (): void => {
    if (failures.length === attempts.length) reject(mostly(failures))
    if (begun === attempts.length || done.signal.aborted || signal.aborted) return
    const attempt = attempts[begun++]
    let timer: ReturnType<typeof setTimeout> | undefined = setTimeout(() => { timer = undefined; next() }, patience)
    attempt(AbortSignal.any([signal, done.signal])).then(resolve, (error: unknown) => {
      failures.push(asMixmintError(error))
      // Else the next one runs already.
      if (timer !== undefined || failures.length === attempts.length) next()
    }).finally(() => { clearTimeout(timer) })
  }
  const aborted = (): void => { reject(new MixmintError('aborted', 'caller', 'given up by its caller')) }
  signal.addEventListener('abort', aborted, { once: true })
  if (signal.aborted) aborted()
  next()
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', aborted)
    done.abort()
  }
}

/** What so many nodes, asked all at once, say alike. @throws what most failed with; sources-disagree (operator), retry */
export async function agreed<T> (asked: ReadonlyArray<Promise<T>>, count: number, name: (answer: T) => string): Promise<T> {
  const failures: MixmintError[] = []
  const answers = new Map<string, number>()
  return await new Promise<T>((resolve, reject) => {
    const settled = asked.map(async each => {
      try {
        const answer = await each
        const alike = (answers.get(name(answer)) ?? 0) + 1
        answers.set(name(answer), alike)
        if (alike >= count) resolve(answer)
      } catch (error) {
        failures.push(asMixmintError(error))
      }
    })
    void Promise.all(settled).then(() => {
      reject(failures.length > 0 || asked.length === 0
        ? mostly(failures)
        : new MixmintError('sources-disagree', 'operator', 'the directory\'s sources tell different things; are all of this network?', { retry: true }))
    })
  })
}

/** Of errors with one code the last, of codes the most frequent: one source that lies does not hide what the others say. */
function mostly (failures: readonly MixmintError[]): MixmintError {
  if (failures.length === 0) return new MixmintError('no-source', 'operator', 'no source of the directory is configured')
  const count = ({ code }: MixmintError): number => failures.filter(other => other.code === code).length
  return failures.reduce((best, each) => count(each) >= count(best) ? each : best)
}
