/**
 * Small disks under folders of nodes, in a mount namespace of their own that a sleeping process holds, so that they outlive
 * the nodes. Processes outside see their own folders there; the test looks through /proc.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** As root, or as a user where the kernel allows that. */
const flags = [['-m'], ['-rm']].find(each => spawnSync('unshare', [...each, 'mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', tmpdir()]).status === 0)
export const hasSmallDisks = flags !== undefined && spawnSync('nsenter', ['--version']).status === 0

export class SmallDisks {
  readonly #holder: ChildProcess

  private constructor (holder: ChildProcess) {
    this.#holder = holder
  }

  /** @param sizes KiB, by folder, each made if it is not there */
  static async mount (sizes: Readonly<Record<string, number>>): Promise<SmallDisks> {
    for (const dir of Object.keys(sizes)) mkdirSync(dir, { recursive: true, mode: 0o700 })
    const mounts = Object.entries(sizes).map(([dir, size]) => `mount -t tmpfs -o size=${size}k,mode=700 tmpfs ${dir}`)
    // It ends with its standard input.
    const holder = spawn('unshare', [...flags ?? [], 'sh', '-c', `${mounts.join(' && ')} && echo mounted && read end`], { stdio: ['pipe', 'pipe', 'inherit'] })
    await once(holder.stdout, 'data')
    return new SmallDisks(holder)
  }

  unmount (): void {
    this.#holder.stdin?.end()
  }

  /** Words before a command that is to see these disks. */
  get within (): string[] {
    const user = flags?.includes('-rm') === true ? ['-U', '--preserve-credentials'] : []
    return ['nsenter', '-t', String(this.#holder.pid), ...user, '-m', '--wd=/']
  }

  /** How the test names a folder on them. */
  path (dir: string): string {
    return `/proc/${this.#holder.pid}/root${dir}`
  }

  /** Take all the room that is left. */
  fill (dir: string): void {
    const { bavail, bsize } = statfsSync(this.path(dir))
    for (let left = bavail * bsize, i = 0; left > 0 && i < 100; i++) {
      try {
        writeFileSync(join(this.path(dir), 'ballast'), new Uint8Array(left), { flag: 'a' })
      } catch {
        return
      }
      const now = statfsSync(this.path(dir))
      left = now.bavail * now.bsize
    }
  }

  makeRoom (dir: string): void {
    rmSync(join(this.path(dir), 'ballast'))
  }
}
