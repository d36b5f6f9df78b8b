/** The points of a sweep: every combination of the values that its keys are to have, each with each seed. */
import { bad } from '../scenario/fields.ts'
import { setKey, type Raw } from '../scenario/read.ts'

export interface Sweep { readonly key: string, readonly values: readonly string[] }

/** `key=a,b,c`; a value may be a list in brackets. @throws bad-scenario (caller) */
export function parseSweep (text: string): Sweep {
  const { key, value } = parseSetting(text, '--sweep')
  const values = value.match(/\[[^\]]*\]|[^,]+/g)
  if (values === null) throw bad('--sweep', `${text}: key=value,value wanted`)
  return { key, values }
}

/** `key=value`. @throws bad-scenario (caller) */
export function parseSetting (text: string, option = '--set'): { readonly key: string, readonly value: string } {
  const at = text.indexOf('=')
  if (at < 1) throw bad(option, `${text}: key=value wanted, such as topology.layers=3`)
  return { key: text.slice(0, at), value: text.slice(at + 1) }
}

/**
 * @param repeat each point so often, with seeds one after the other
 * @throws bad-scenario (caller)
 */
export function pointsOf (raw: Raw, sweeps: readonly Sweep[], repeat: number): Raw[] {
  let points: Raw[] = [raw]
  for (const { key, values } of sweeps) {
    points = points.flatMap(point => values.map(value => {
      const copy = structuredClone(point)
      setKey(copy, key, value)
      return copy
    }))
  }
  return points.flatMap(point => Array.from({ length: repeat }, (_, i) => {
    const copy = structuredClone(point)
    const { seed } = (copy.run ?? {}) as { seed?: unknown }
    if (i > 0) setKey(copy, 'run.seed', String((typeof seed === 'number' ? seed : 1) + i))
    return copy
  }))
}
