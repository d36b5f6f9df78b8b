/** Jobs: the points of a sweep as files, and the folders that runs of them write. */
import { basename } from 'node:path'
import { bad } from '../scenario/fields.ts'

/** Numbers from 1, with as many digits as the last one has, so that shells and file systems list them in order. */
export function jobName (i: number, count: number): string {
  return String(i + 1).padStart(Math.max(4, String(count).length), '0')
}

/**
 * @param jobs their names, in order
 * @returns of these folders one for each job, in that order
 * @throws bad-scenario (caller): a job has no folder, or two; a folder is of no job
 */
export function foldersOf (jobs: readonly string[], dirs: readonly string[]): string[] {
  const strange = dirs.filter(dir => !jobs.includes(basename(dir)))
  if (strange.length > 0) throw bad('--jobs', `no job for ${listed(strange)}`)
  const byName = new Map(dirs.map(dir => [basename(dir), dir]))
  if (byName.size < dirs.length) throw bad('--jobs', 'two folders of the same name')
  const missing = jobs.filter(job => !byName.has(job))
  if (missing.length > 0) throw bad('--jobs', `${missing.length} of ${jobs.length} jobs have no folder: ${listed(missing)}`)
  return jobs.map(job => byName.get(job) as string)
}

function listed (names: readonly string[]): string {
  return `${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''}`
}
