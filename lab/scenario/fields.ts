/** Fields of a scenario: what a value may be, what it is when left out, and what it means; the texts are the reference. */
import { MixmintError } from '@mixmint/core/kit/errors'

export interface Field<T> {
  readonly fallback: T
  readonly says: string
  /** Null: not a value of this field. */
  readonly read: (value: unknown) => T | null
  /** What may stand there, for the error. */
  readonly wanted: string
}

type Section = { readonly [key: string]: Field<unknown> }
export type Schema = { readonly [section: string]: Section }
type Read<S extends Section> = { readonly [K in keyof S]: S[K] extends Field<infer T> ? T : never }
export type Values<S extends Schema> = { readonly [K in keyof S]: Read<S[K]> }

export function count (fallback: number, says: string, { least = 0, most = 2 ** 31 - 1 } = {}): Field<number> {
  return {
    fallback, says, wanted: `a whole number from ${least} to ${most}`,
    read: value => typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most ? value : null
  }
}

export function real (fallback: number, says: string, { least = 0, most = Infinity } = {}): Field<number> {
  return {
    fallback, says, wanted: most === Infinity ? `a number of at least ${least}` : `a number from ${least} to ${most}`,
    read: value => typeof value === 'number' && value >= least && value <= most ? value : null
  }
}

export function oneOf<const T extends string> (fallback: T, says: string, ...others: readonly T[]): Field<T> {
  const all = [fallback, ...others]
  return { fallback, says, wanted: `one of ${all.join(', ')}`, read: value => all.find(one => one === value) ?? null }
}

export function flag (fallback: boolean, says: string): Field<boolean> {
  return { fallback, says, wanted: 'true or false', read: value => typeof value === 'boolean' ? value : null }
}

export function text (fallback: string, says: string): Field<string> {
  return { fallback, says, wanted: 'a text', read: value => typeof value === 'string' ? value : null }
}

/** A number for all, or a list of them. */
export function counts (fallback: number, says: string, most: number): Field<number | readonly number[]> {
  const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most
  return {
    fallback, says, wanted: `a whole number from 1 to ${most}, or a list of them`,
    read: value => isCount(value) ? value : Array.isArray(value) && value.length > 0 && value.every(isCount) ? value : null
  }
}

/**
 * Strict: an unknown or misspelt key is an error that names the nearest right one.
 * @param raw tables of tables
 * @param where the file, for errors
 * @throws bad-scenario (caller)
 */
export function readFields<S extends Schema> (schema: S, raw: Readonly<Record<string, unknown>>, where: string): Values<S> {
  for (const [section, table] of Object.entries(raw)) {
    if (!Object.hasOwn(schema, section)) throw unknown(where, section, Object.keys(schema))
    if (typeof table !== 'object' || table === null || Array.isArray(table)) throw bad(where, `${section}: a table wanted, [${section}]`)
    for (const key of Object.keys(table)) {
      if (!Object.hasOwn(schema[section], key)) throw unknown(where, `${section}.${key}`, Object.keys(schema[section]).map(k => `${section}.${k}`))
    }
  }
  const values = Object.entries(schema).map(([section, fields]) => [section, Object.fromEntries(Object.entries(fields).map(([key, field]) => {
    const given = (raw[section] as Record<string, unknown> | undefined)?.[key]
    const value = given === undefined ? field.fallback : field.read(given)
    if (value === null) throw bad(where, `${section}.${key}: ${field.wanted} wanted`)
    return [key, value]
  }))])
  return Object.fromEntries(values) as Values<S>
}

export function bad (where: string, why: string): MixmintError {
  return new MixmintError('bad-scenario', 'caller', `${where}: ${why}`)
}

function unknown (where: string, key: string, known: readonly string[]): MixmintError {
  const nearest = known.map(name => ({ name, far: distance(name, key) })).sort((a, b) => a.far - b.far)[0]
  const hint = nearest.far <= 4 ? `did you mean ${nearest.name}?` : `known: ${known.join(', ')}`
  return bad(where, `there is no ${key}; ${hint}`)
}

/** Levenshtein's. */
function distance (a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)))
    row = next
  }
  return row[b.length]
}
