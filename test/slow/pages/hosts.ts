/**
 * Hosts on which a page of docs/ is followed literally: a folder for each, and a shell that runs the page's blocks. Of what a test
 * has not there are stand-ins: `scp` copies between the folders, `sudo` does nothing, `systemctl` asks the test to start a node,
 * `npm` puts this version of the program in the place of the host's.
 */
import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { PROGRAM } from '../../../nodes/program.ts'
import type { Block } from './page.ts'

/** What stands in for the service manager of all hosts. */
export interface Services {
  /** Resolves when the node is ready. */
  readonly start: (host: string, role: string) => Promise<void>
  readonly stop: (host: string, role: string) => Promise<void>
  readonly reload: (host: string, role: string) => void
}

interface Options {
  readonly root: string
  /** By host. */
  readonly addresses: ReadonlyMap<string, string>
  readonly services: Services
  readonly environment: Readonly<Record<string, string>>
  /** What is installed on every host at first; by default this version. */
  readonly program?: string
  /** Words before the shell of a host. */
  readonly within?: (host: string) => readonly string[]
}

export class Hosts {
  readonly #options: Options
  readonly #started = new Map<string, Promise<void>>()
  /** What runs on each host. */
  readonly #roles = new Map<string, string>()
  readonly #manager: Server

  constructor (options: Options) {
    this.#options = options
    const { root, addresses, program: installed = PROGRAM } = options
    const bin = join(root, 'bin')
    mkdirSync(bin)
    const program = (name: string, script: string): void => {
      writeFileSync(join(bin, name), `#!/bin/bash\nset -e\n${script}\n`)
      chmodSync(join(bin, name), 0o755)
    }
    program('mixmint', `exec '${process.execPath}' "$(cat '${root}'/$HOST/.installed)" "$@"`)
    program('npm', `[ "$*" = 'install -g mixmint-NEW.tgz' ] && echo '${PROGRAM}' > '${root}'/$HOST/.installed`)
    program('sudo', 'exec "$@"')
    program('scp', `to="\${@: -1}"; to="\${to%:}"; [ -d "${root}/$to" ]; [ "$to" = "$HOST" ] || cp "\${@:1:$#-1}" "${root}/$to/"`)
    program('systemctl', `exec '${process.execPath}' '${fileURLToPath(new URL('systemctl.mjs', import.meta.url))}' '${join(root, 'systemd.sock')}' "$@"`)
    for (const host of addresses.keys()) {
      mkdirSync(join(root, host), { mode: 0o700 })
      writeFileSync(join(root, host, '.installed'), `${installed}\n`)
    }
    this.#manager = createServer(socket => {
      createInterface(socket).once('line', line => {
        this.#obey(line.split('\t')).then(() => { socket.end('done\n') }, (error: unknown) => { socket.end(`${String(error)}\n`) })
      })
      socket.on('error', () => {}) // whoever asked was killed
    }).listen(join(root, 'systemd.sock'))
  }

  /** Words before a node's command, by which its host runs the program that is installed there. */
  runner (host: string): string[] {
    return ['sh', '-c', 'node=$1; program=$(cat "$0"); shift 2; exec "$node" "$program" "$@"', join(this.#options.root, host, '.installed')]
  }

  /** One block, on each of its hosts at the same time. @returns what they printed */
  async run ({ hosts, commands }: Block): Promise<string> {
    const { root, addresses, environment, within = () => [] } = this.#options
    const printed = await Promise.all(hosts.map(async host => {
      const [program, ...words] = [...within(host), 'bash', '-ec', commands]
      const { stdout } = await promisify(execFile)(program, words, {
        cwd: join(root, host), timeout: 200_000,
        env: { ...process.env, PATH: `${join(root, 'bin')}:${process.env.PATH ?? ''}`, ...environment, HOST: host, ADDRESS: addresses.get(host) ?? '', ROLE: this.#roles.get(host) ?? '' }
      }).catch((error: Error & { readonly stdout?: string }) => { throw new Error(`on ${host}: ${error.message}${error.stdout ?? ''}`, { cause: error }) })
      return stdout
    }))
    return printed.join('')
  }

  /** @returns what all of them printed */
  async follow (blocks: readonly Block[]): Promise<string> {
    let printed = ''
    for (const block of blocks) printed += `${await this.run(block)}\n`
    return printed
  }

  close (): void {
    this.#manager.close()
  }

  /** As for a unit of Type=notify: a start is done when the node is ready. */
  async #obey ([host, verb, ...words]: readonly string[]): Promise<void> {
    const role = words.find(word => word.startsWith('mixmint@'))?.slice('mixmint@'.length) ?? ''
    const { services } = this.#options
    const node = `${host}/${role}`
    if (verb === 'reload') {
      services.reload(host, role)
      return
    }
    if (verb === 'restart') {
      await services.stop(host, role)
      this.#started.delete(node)
    } else if (verb !== 'enable' && verb !== 'start') throw new Error(`systemctl ${verb} is not stood in for`)
    this.#roles.set(host, role)
    const started = this.#started.get(node) ?? services.start(host, role)
    this.#started.set(node, started)
    started.catch(() => {}) // whoever waits for it is told
    if (!words.includes('--no-block')) await started
  }
}
