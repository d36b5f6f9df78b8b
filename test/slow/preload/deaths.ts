/**
 * Loaded into a node's process before its program (`--import`): the process kills itself right after a step that it takes
 * on the disk with its mix keys or their seen tags. Which step, stands in the file that MIXMINT_DIES_AT names; it is
 * removed first, so that one death is died once.
 *
 *   <call> <kind of file>      rename .new: the file 7.new has got its name 7.key. A write is cut in the middle
 */
import fs from 'node:fs'
import promises, { type FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

const order = process.env.MIXMINT_DIES_AT ?? ''

/** `.new`, `.dead`, `.tags.new` …; null for files that are none of these. */
function kindOf (path: unknown): string | null {
  return /\/(?:mix-keys|seen)\/\d+((?:\.[a-z]+)+)$/.exec(String(path))?.[1] ?? null
}

function isTold (call: string, path: unknown): boolean {
  const kind = kindOf(path)
  if (kind === null) return false
  try {
    return fs.readFileSync(order, 'utf8') === `${call} ${kind}`
  } catch {
    return false // nobody wants it
  }
}

function die (): never {
  fs.rmSync(order)
  process.kill(process.pid, 'SIGKILL')
  throw new Error('dead')
}

function watched (handle: FileHandle, path: unknown): FileHandle {
  const { sync, datasync, write, writeFile } = handle
  return Object.assign(handle, {
    sync: async () => { await sync.call(handle); if (isTold('sync', path)) die() },
    datasync: async () => { await datasync.call(handle); if (isTold('datasync', path)) die() },
    writeFile: async (content: Uint8Array) => {
      if (isTold('write', path)) { await writeFile.call(handle, content.subarray(0, content.length / 2)); die() }
      await writeFile.call(handle, content)
    },
    write: async (content: Uint8Array, at: number, length: number, position: number) => {
      const put = write.bind(handle) as (...args: unknown[]) => Promise<unknown>
      if (isTold('write', path)) { await put(content, at, length / 2, position); die() }
      return await put(content, at, length, position)
    }
  })
}

const { open, rename, rm } = promises
const { openSync, renameSync, rmSync } = fs
Object.assign(promises, {
  open: async (...args: Parameters<typeof open>) => {
    const handle = watched(await open(...args), args[0])
    if (isTold('create', args[0])) die()
    return handle
  },
  rename: async (...args: Parameters<typeof rename>) => { await rename(...args); if (isTold('rename', args[0])) die() },
  rm: async (...args: Parameters<typeof rm>) => { await rm(...args); if (isTold('remove', args[0])) die() }
})
Object.assign(fs, {
  openSync: (...args: Parameters<typeof openSync>) => {
    const fd = openSync(...args)
    if (isTold('create', args[0])) die()
    return fd
  },
  renameSync: (...args: Parameters<typeof renameSync>) => { renameSync(...args); if (isTold('rename', args[0])) die() },
  rmSync: (...args: Parameters<typeof rmSync>) => { rmSync(...args); if (isTold('remove', args[0])) die() }
})
syncBuiltinESMExports()
