/**
 * Mix keys on disk, each in a file of its own, so that it can be overwritten where it lies and is gone; a database keeps
 * old pages. The folder is 0700, the files 0600. docs/decisions/0021-mix-key-files.md
 *
 *   <epoch>.key    secret 32 ‖ check 8: the first bytes of H(tag ‖ epoch ‖ secret)
 *   <epoch>.new    being made, never used      both are overwritten and removed at the next start
 *   <epoch>.dead   being destroyed
 *
 *   keep      write .new ─ sync ─ rename to .key ─ sync the folder                    a crash leaves no key, or the whole
 *   destroy   rename to .dead ─ sync the folder ─ overwrite ─ sync ─ remove ─ sync    a crash leaves the whole, or none
 *
 * What overwriting cannot reach (flash that moves blocks, snapshots, backups, swap) is in THREATS.md.
 */
import { randomFillSync } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, rename, rm, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { concat, equal, u64, wipe } from '@mixmint/core/kit/bytes'
import { tagged } from '@mixmint/core/kit/codec'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import type { Suite } from '@mixmint/core/crypto/suite'
import type { KeptKey, MixKeyStore } from '../directory/keys.ts'

const SECRET_SIZE = 32
const CHECK_SIZE = 8
const SIZE = SECRET_SIZE + CHECK_SIZE
const OTHERS = 0o077

export class MixKeyFiles implements MixKeyStore {
  readonly #suite: Suite
  readonly #dir: string

  /** @param dir a folder of its own; made when it is first needed. One process at a time uses it */
  constructor (suite: Suite, dir: string) {
    this.#suite = suite
    this.#dir = dir
  }

  /**
   * The keys that are there, by rising epoch. What a crash left half made or half destroyed is removed.
   * @throws mix-key-open, mix-key-broken, mix-key-failed (operator), naming the file
   */
  async load (): Promise<KeptKey[]> {
    return await attempt('the mix keys cannot be read', async () => {
      const names = await this.#names()
      const keys: KeptKey[] = []
      for (const name of names) {
        if (/^\d+\.(new|dead)$/.test(name)) await this.#shred(join(this.#dir, name))
        else if (/^\d+\.key$/.test(name)) keys.push(await this.#read(Number.parseInt(name), join(this.#dir, name)))
      }
      return keys.sort((a, b) => a.epoch - b.epoch)
    })
  }

  /** @throws mix-key-failed (operator, retry): the disk is full, or broken. Other keys are as they were */
  async keep ({ epoch, secret }: KeptKey): Promise<void> {
    await attempt('a new mix key cannot be kept; the node goes on with those it has', async () => {
      await makeFolder(this.#dir)
      const [file, temporary] = [this.#path(epoch, 'key'), this.#path(epoch, 'new')]
      const content = concat(secret, this.#check(epoch, secret))
      try {
        await this.#shred(temporary) // of a try that failed
        await using(await open(temporary, 'wx', 0o600), async handle => {
          await handle.writeFile(content)
          await handle.sync()
        })
        await rename(temporary, file)
      } catch (error) {
        await this.#shred(temporary).catch(() => {}) // the error that came first says more
        throw error
      } finally {
        wipe(content)
      }
      await syncFolder(this.#dir)
    })
  }

  /** @throws mix-key-failed (operator, retry): then it is not certain that it is gone */
  async destroy (epoch: number): Promise<void> {
    await attempt('an old mix key cannot be destroyed; whoever takes this disk can read what came under it', async () => {
      const [file, dead] = [this.#path(epoch, 'key'), this.#path(epoch, 'dead')]
      if (await exists(file)) {
        await rename(file, dead)
        // Or, after a loss of power, a file that is half overwritten might still go by the name of a key.
        await syncFolder(this.#dir)
      }
      await this.#shred(dead)
    })
  }

  async #names (): Promise<string[]> {
    const stat = await found(lstat(this.#dir))
    if (stat === null) return []
    if ((stat.mode & OTHERS) !== 0) throw isOpen(this.#dir, `chmod 700 ${this.#dir}`)
    return await readdir(this.#dir)
  }

  async #read (epoch: number, file: string): Promise<KeptKey> {
    return await using(await open(file, constants.O_RDONLY | constants.O_NOFOLLOW), async handle => {
      const { mode, size } = await handle.stat()
      if ((mode & OTHERS) !== 0) throw isOpen(file, `chmod 600 ${file}`)
      const content = new Uint8Array(SIZE)
      const { bytesRead } = size === SIZE ? await handle.read(content, 0, SIZE, 0) : { bytesRead: 0 }
      const secret = content.slice(0, SECRET_SIZE)
      const whole = bytesRead === SIZE && equal(content.subarray(SECRET_SIZE), this.#check(epoch, secret))
      wipe(content)
      if (whole) return { epoch, secret }
      wipe(secret)
      throw new MixmintError('mix-key-broken', 'operator', `${file} is not the mix key of epoch ${epoch}: the disk is damaged, or the file comes from elsewhere. Remove it, and a new key is made; only packets under the lost one are lost`)
    })
  }

  #check (epoch: number, secret: Uint8Array): Uint8Array {
    const covered = tagged('mix-key-file', u64(epoch), secret)
    const check = this.#suite.sha256(covered).subarray(0, CHECK_SIZE)
    wipe(covered)
    return check
  }

  /** Overwrite a file where it lies, then remove it. Nothing, when it is not there. */
  async #shred (file: string): Promise<void> {
    const handle = await found(open(file, constants.O_WRONLY | constants.O_NOFOLLOW))
    if (handle === null) return
    await using(handle, async () => {
      const { size } = await handle.stat()
      const noise = randomFillSync(new Uint8Array(size))
      for (let at = 0; at < size;) at += (await handle.write(noise, at, size - at, at)).bytesWritten
      await handle.datasync()
    })
    await rm(file)
    await syncFolder(this.#dir)
  }

  #path (epoch: number, kind: 'key' | 'new' | 'dead'): string {
    return join(this.#dir, `${epoch}.${kind}`)
  }
}

async function attempt<T> (what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (isMixmintError(cause)) throw cause
    throw new MixmintError('mix-key-failed', 'operator', `${what}: ${(cause as Error).message}; check the disk, its room and the folder's owner`, { retry: true, cause })
  }
}

function isOpen (path: string, remedy: string): MixmintError {
  return new MixmintError('mix-key-open', 'operator', `${path} can be read by others: run \`${remedy}\`; if they may have read it, remove the keys in it, and new ones are made`)
}

async function using<T> (handle: FileHandle, work: (handle: FileHandle) => Promise<T>): Promise<T> {
  try {
    return await work(handle)
  } finally {
    await handle.close()
  }
}

async function makeFolder (dir: string): Promise<void> {
  if (await exists(dir)) return
  await mkdir(dir, 0o700)
  await syncFolder(dirname(dir))
}

async function syncFolder (dir: string): Promise<void> {
  await using(await open(dir, 'r'), async handle => { await handle.sync() })
}

async function exists (file: string): Promise<boolean> {
  return await found(lstat(file)) !== null
}

/** Null where there is no such file. */
async function found<T> (looked: Promise<T>): Promise<T | null> {
  try {
    return await looked
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
