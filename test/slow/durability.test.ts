/**
 * Durability of the store, as the kernel sees it (strace): between asking a batch and its answer its pages are written,
 * then fdatasync'ed, then the meta page that makes them visible is written through a descriptor opened with O_DSYNC. To
 * kill a process proves nothing of this, since the kernel keeps its pages.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'

const root = mkdtempSync(join(tmpdir(), 'mixmint-durability-'))
const child = fileURLToPath(new URL('store-child.ts', import.meta.url))
const hasStrace = spawnSync('strace', ['-V']).status === 0
afterAll(() => { rmSync(root, { recursive: true, force: true }) })

type Event = 'ask' | 'told' | 'data' | 'sync' | 'meta'

/** The last trace of the process. */
function lines (task: string): string[] {
  return readFileSync(`${join(root, task.replaceAll(' ', '-'))}.trace`, 'utf8').split('\n')
}

/** What happened to the data file, in the order in which it was finished, amid what the process said. */
function trace (task: string): Event[] {
  const dir = join(root, task.replaceAll(' ', '-'))
  rmSync(dir, { recursive: true, force: true })
  const log = `${dir}.trace`
  const run = spawnSync('strace', ['-f', '-qq', '-y', '-e', 'trace=openat,write,writev,pwrite64,pwritev,pwritev2,fdatasync,fsync,sync_file_range,msync', '-o', log,
    process.execPath, child, dir, task], { encoding: 'utf8' })
  expect(run.stderr, run.stderr).not.toMatch(/Error/)
  expect(run.status).toBe(0)
  const dsync = lines(task).flatMap(line => /data\.mdb".*O_DSYNC.*= (\d+)/.exec(line)?.[1] ?? [])
  expect(dsync.length).toBe(1)
  const started = new Map<string, Event>()
  return lines(task).flatMap((line): Event[] => {
    const [, thread, call] = /^(\d+) +(.*)$/.exec(line) ?? []
    if (call === undefined) return []
    if (/^<\.\.\. \w+ resumed>/.test(call)) {
      const event = started.get(thread)
      started.delete(thread)
      return event === undefined ? [] : [event]
    }
    const event: Event | null = /^write\(1<.*"ASK/.test(call) ? 'ask'
      : /^write\(1<.*"TOLD/.test(call) ? 'told'
        : !call.includes('data.mdb>') ? null
            : /^f(data)?sync\(/.test(call) ? 'sync'
              : new RegExp(`^p?write(v|v2|64)?\\(${dsync[0]}<`).test(call) ? 'meta'
                : /^p?write/.test(call) ? 'data' : null
    if (event === null) return []
    // An answer counts from when it begins, a write to disk from when it has ended.
    if (call.endsWith('<unfinished ...>') && event !== 'told') {
      started.set(thread, event)
      return []
    }
    return [event]
  })
}

describe.skipIf(!hasStrace)('the store, seen by strace', () => {
  it('answers each batch only after data, fdatasync and the synchronous meta page', () => {
    const events = trace('one by one')
    for (let i = 0, from = 0; i < 5; i++) {
      const told = events.indexOf('told', from)
      const steps = events.slice(events.indexOf('ask', from), told)
      expect(steps.filter(step => step !== 'data'), `batch ${i}`).toEqual(['ask', 'sync', 'meta'])
      expect(steps.indexOf('data')).toBeGreaterThan(0)
      expect(steps.lastIndexOf('data')).toBeLessThan(steps.indexOf('sync'))
      from = told + 1
    }
  })

  it('makes the folders durable in which it makes its file, before anything is asked', () => {
    trace('one by one')
    const synced = lines('one by one').slice(0, lines('one by one').findIndex(line => line.includes('"ASK')))
      .flatMap(line => /^\d+ +fsync\(\d+<([^>]*)>/.exec(line)?.[1] ?? [])
    expect(synced).toEqual([join(root, 'one-by-one'), root])
  })

  it('lets batches that wait together share a sync', () => {
    const events = trace('together')
    const first = events.indexOf('ask')
    expect(events.filter(event => event === 'told').length).toBe(64)
    const before = events.slice(first, events.indexOf('told'))
    expect(before.includes('sync') && before.indexOf('sync') < before.lastIndexOf('meta')).toBe(true)
    expect(events.slice(first).filter(event => event === 'sync').length).toBeLessThanOrEqual(4)
  })

  it('shows nobody what is not yet on disk', () => {
    const events = trace('read')
    const steps = events.slice(events.indexOf('ask'), events.indexOf('told'))
    expect(steps.includes('sync')).toBe(true)
    expect(steps.lastIndexOf('meta')).toBeGreaterThan(steps.indexOf('sync'))
  })
})
