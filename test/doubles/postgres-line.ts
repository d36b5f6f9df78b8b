/** A line to a PostgreSQL server that a test can cut at the worst moment. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The name that clients look for in the folder of a socket. */
const SOCKET = '.s.PGSQL.5432'
const COMMIT = Buffer.from('COMMIT\0')

export class PostgresLine {
  readonly folder = mkdtempSync(join(tmpdir(), 'mixmint-line-'))
  /** What happens to the next commit: it passes and its answer does not, or it does not pass. */
  cutNext: 'answer' | 'commit' | null = null
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor (server: string) {
    this.#server = createServer(near => { this.#join(near, connect(join(server, SOCKET))) })
  }

  /** @param server the folder of its socket */
  static async to (server: string): Promise<PostgresLine> {
    const line = new PostgresLine(server)
    line.#server.listen(join(line.folder, SOCKET))
    await once(line.#server, 'listening')
    return line
  }

  #join (near: Socket, far: Socket): void {
    let deaf = false
    const end = (): void => { near.destroy(); far.destroy() }
    for (const socket of [near, far]) {
      this.#sockets.add(socket)
      socket.on('error', end).on('close', end)
    }
    near.on('data', chunk => {
      if (this.cutNext !== null && chunk.includes(COMMIT)) {
        const cut = this.cutNext
        this.cutNext = null
        if (cut === 'commit') {
          end()
          return
        }
        deaf = true
      }
      far.write(chunk)
    })
    far.on('data', chunk => {
      if (deaf) end()
      else near.write(chunk)
    })
  }

  async close (): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
    rmSync(this.folder, { recursive: true, force: true })
  }
}
