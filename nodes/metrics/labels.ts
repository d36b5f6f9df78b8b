/** What labels of metrics may hold: words from small fixed sets, and never anything of one wallet, packet or coin. */

/**
 * A list: these values. `word`: error codes and operations, which are constants of some program's source; what a peer says
 * in place of one is no longer than a word, and only the first MOST_SERIES of a metric count under their own names.
 * `center`, `key`: the first 16 hexadecimal digits of what the directory names. `protocol`: of libp2p. `place`: where a node stands in the
 * mixnet. `version`: of this program.
 */
export type LabelRule = readonly string[] | 'word' | 'center' | 'key' | 'protocol' | 'place' | 'version'

export type Labels = Readonly<Record<string, string>>

/** Series of one metric; what comes after goes under OTHER. */
export const MOST_SERIES = 128
export const OTHER = 'other'

const SHAPES: Record<Exclude<LabelRule, readonly string[]>, RegExp> = {
  word: /^[a-z][a-z-]{0,39}$/,
  center: /^[0-9a-f]{16}$/,
  key: /^[0-9a-f]{16}$/,
  place: /^(gateway|layer-\d{1,2}|service|other)$/,
  version: /^[0-9.]+$/,
  protocol: /^\/[a-z]+(\/[a-z0-9.-]+){1,3}$/
}

export function isAllowed (rule: LabelRule, value: string): boolean {
  return typeof rule === 'string' ? SHAPES[rule].test(value) : rule.includes(value)
}

/** Every combination of the values of labels that have lists; none at all where one has not. */
export function combinations (rules: Readonly<Record<string, LabelRule>>): Labels[] {
  return Object.entries(rules).reduce<Labels[]>((found, [name, rule]) =>
    typeof rule === 'string' ? [] : found.flatMap(labels => rule.map(value => ({ ...labels, [name]: value }))), [{}])
}
