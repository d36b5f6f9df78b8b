/** For whoever misspelt a name: `; did you mean …?`, or the names there are. */
export function nearest (given: string, names: readonly string[]): string {
  const [best] = names.map(name => ({ name, far: distance(name, given) })).sort((a, b) => a.far - b.far)
  return best !== undefined && best.far <= 3 ? `; did you mean ${best.name}?` : names.length > 0 ? `; known: ${names.join(', ')}` : ''
}

/** Edit distance (Levenshtein). */
function distance (a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1))
    row = next
  }
  return row[b.length]
}
