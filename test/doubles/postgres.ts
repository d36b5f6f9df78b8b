/**
 * A PostgreSQL server of our own: a cluster in a temporary folder, on a Unix socket, which takes nothing from the network.
 * It is a real one, with fsync; tests stop it, kill it and start it again.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { sleep } from '../../nodes/clock.ts'

/** Where Debian puts the programs, newest first; else they are looked for on the PATH. */
const DEBIAN = '/usr/lib/postgresql'
const folders = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)).map(version => join(DEBIAN, version, 'bin')) : []
const program = (name: string): string => folders.map(folder => join(folder, name)).find(existsSync) ?? name

/** PostgreSQL refuses to run as root: then as the user that its package makes. */
function user (): { uid: number, gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const [, uid, gid] = /^postgres:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8')) ?? []
  return { uid: Number(uid), gid: Number(gid) }
}

/** Why there is no server to test with, or null when there is one. */
export function noPostgres (): string | null {
  if (spawnSync(program('postgres'), ['--version']).status !== 0) return 'PostgreSQL is not installed (Debian: apt-get install postgresql)'
  if (process.getuid?.() === 0 && !/^postgres:/m.test(readFileSync('/etc/passwd', 'utf8'))) return 'there is no user postgres to run the server as'
  return null
}

export class PostgresServer {
  readonly root: string
  #process: ChildProcess | null = null
  #schemas = 0

  private constructor (root: string) {
    this.root = root
  }

  static async start (): Promise<PostgresServer> {
    const root = mkdtempSync(join(tmpdir(), 'mixmint-pg-'))
    const owner = user()
    if (owner !== undefined) {
      chownSync(root, owner.uid, owner.gid)
      chmodSync(root, 0o755)
    }
    const made = spawnSync(program('initdb'), ['-D', join(root, 'data'), '-U', 'mixmint', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'], { ...owner, cwd: root, encoding: 'utf8' })
    if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`)
    const server = new PostgresServer(root)
    await server.run()
    return server
  }

  /** @param settings of postgresql.conf, for this run of it */
  async run (settings: Record<string, string> = {}): Promise<void> {
    const options = Object.entries({ listen_addresses: '', unix_socket_directories: this.root, max_connections: '100', ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    this.#process = spawn(program('postgres'), ['-D', join(this.root, 'data'), ...options], { ...user(), cwd: this.root, stdio: 'ignore' })
    for (;;) {
      if (this.#process.exitCode !== null) throw new Error('the server did not start')
      try {
        await this.sql('SELECT 1')
        return
      } catch {
        await sleep(50)
      }
    }
  }

  /** `fast`: sessions are ended; `crash`: at once, as if it had died. */
  async stop (how: 'fast' | 'crash' = 'fast'): Promise<void> {
    const server = this.#process
    if (server === null || server.exitCode !== null) return
    const ended = once(server, 'exit')
    server.kill(how === 'fast' ? 'SIGINT' : 'SIGQUIT')
    await ended
  }

  async remove (): Promise<void> {
    await this.stop()
    rmSync(this.root, { recursive: true, force: true })
  }

  /** The connection string of a schema. @param folder of the socket, where it is not the server's own */
  url (schema = 'public', folder = this.root): string {
    return `postgres://mixmint@/postgres?host=${encodeURIComponent(folder)}&options=${encodeURIComponent(`-c search_path=${schema}`)}`
  }

  async sql (text: string, schema = 'public'): Promise<Array<Record<string, unknown>>> {
    const client = new pg.Client({ connectionString: this.url(schema) })
    client.on('error', () => {})
    await client.connect()
    try {
      return (await client.query<Record<string, unknown>>(text)).rows
    } finally {
      await client.end()
    }
  }

  /** A schema of its own, empty. */
  async schema (): Promise<string> {
    const name = `s${this.#schemas++}`
    await this.sql(`CREATE SCHEMA ${name}`)
    return name
  }
}
