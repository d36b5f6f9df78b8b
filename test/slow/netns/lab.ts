/**
 * Hosts as network namespaces, each with its address, on one switch in which a test drops packets and parts the network; the way to
 * it delays each frame by a time of its own, so that some overtake others. Needs root, iproute2, nftables and python3.
 */
import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** Where a host takes a file that another brings it. */
const CARRIED_TO = 7_000

/** What this machine lacks for it, or null. */
export function lacking (): string | null {
  if (process.getuid?.() !== 0) return 'root'
  for (const [program, flag] of [['ip', '-V'], ['nft', '-v'], ['python3', '-V']]) {
    try {
      execFileSync(program, [flag], { stdio: 'ignore' })
    } catch {
      return program
    }
  }
  const probe = `mmprobe${process.pid}`
  try {
    execFileSync('ip', ['netns', 'add', probe], { stdio: 'ignore' })
    execFileSync('ip', ['netns', 'exec', probe, 'nft', 'add', 'table', 'bridge', 'probe'], { stdio: 'ignore' })
    return null
  } catch {
    return 'network namespaces with nftables for bridges'
  } finally {
    try { execFileSync('ip', ['netns', 'del', probe], { stdio: 'ignore' }) } catch { /* it never came to be */ }
  }
}

/** How long a frame to or from a host is on its way to the switch, ms: by chance between these. */
export interface Delay { readonly least: number, readonly most: number }

interface Member { readonly namespace: string, readonly address: string }

export class NamespaceLab {
  readonly #prefix = `mm${process.pid}`
  readonly #switch = `${this.#prefix}-switch`
  readonly #members = new Map<string, Member>()
  readonly #forwarders: ChildProcess[] = []

  constructor () {
    ip('netns', 'add', this.#switch)
    ip('-n', this.#switch, 'link', 'add', 'br0', 'type', 'bridge')
    ip('-n', this.#switch, 'link', 'set', 'br0', 'up')
    this.#nft(`
      table bridge mm {
        set left { type ipv4_addr; }
        set right { type ipv4_addr; }
        counter lost { }
        counter cut { }
        chain loss { }
        chain forward {
          type filter hook forward priority 0; policy accept;
          ip saddr @left ip daddr @right counter name cut drop
          ip saddr @right ip daddr @left counter name cut drop
          jump loss
        }
      }`)
  }

  /** A namespace for each of these hosts, with its address on the switch: a network of 24 bits, the same for all. */
  async add (addresses: ReadonlyMap<string, string>, delay: (name: string) => Delay): Promise<void> {
    const joining = [...addresses].map(([name, address], i) => {
      const number = this.#members.size + i + 1
      return { name, namespace: `${this.#prefix}-${name}`, address, inner: `i${number}`, outer: `o${number}` }
    })
    const ways = joining.flatMap(({ name, inner, outer }) => [inner, outer, String(delay(name).least), String(delay(name).most)])
    const forwarder = spawn('ip', ['netns', 'exec', this.#switch, 'python3', fileURLToPath(new URL('./forwarder.py', import.meta.url)), ...ways], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#forwarders.push(forwarder)
    await once(forwarder.stdout, 'data')
    for (const { name, namespace, address, inner, outer } of joining) {
      ip('netns', 'add', namespace)
      this.#members.set(name, { namespace, address })
      ip('-n', this.#switch, 'link', 'set', inner, 'netns', namespace)
      ip('-n', this.#switch, 'link', 'set', outer, 'master', 'br0', 'up')
      ip('-n', namespace, 'addr', 'add', `${address}/24`, 'dev', inner)
      ip('-n', namespace, 'link', 'set', inner, 'up')
      ip('-n', namespace, 'link', 'set', 'lo', 'up')
    }
  }

  /** The words before a command that is to run where this host is. */
  within (name: string): string[] {
    return ['ip', 'netns', 'exec', this.#member(name).namespace]
  }

  /** From now on this share of all packets is lost, in percent, or of those from and to these hosts. */
  drop (percent: number, names?: readonly string[]): void {
    const chance = `numgen random mod 100 < ${percent} counter name lost drop`
    const rules = names === undefined ? [chance] : [`ip saddr { ${this.#list(names)} } ${chance}`, `ip daddr { ${this.#list(names)} } ${chance}`]
    this.#nft(['flush chain bridge mm loss', ...rules.map(rule => `add rule bridge mm loss ${rule}`)].join('; '))
  }

  /** Nothing passes between these and those, by default all others. */
  part (these: readonly string[], those: readonly string[] = [...this.#members.keys()].filter(name => !these.includes(name))): void {
    this.#nft(`add element bridge mm left { ${this.#list(these)} }; add element bridge mm right { ${this.#list(those)} }`)
  }

  /** Everything passes again; what `drop` loses goes on being lost. */
  heal (): void {
    this.#nft('flush set bridge mm left; flush set bridge mm right')
  }

  /** How many packets were dropped by chance, and how many at a cut. */
  dropped (): { lost: number, cut: number } {
    const [lost, cut] = ['lost', 'cut'].map(name =>
      Number(/packets (\d+)/.exec(execFileSync('ip', ['netns', 'exec', this.#switch, 'nft', 'list', 'counter', 'bridge', 'mm', name], { encoding: 'utf8' }))?.[1]))
    return { lost, cut }
  }

  /** Does this host reach a port of that one within so many seconds? */
  async reaches (from: string, to: string, port: number, seconds: number): Promise<boolean> {
    const [program, ...words] = [...this.within(from), 'timeout', String(seconds), 'bash', '-c', `</dev/tcp/${this.#member(to).address}/${port}`]
    const [status] = await once(spawn(program, words, { stdio: 'ignore' }), 'exit')
    return status === 0
  }

  /** A file goes from host to host over a connection between them. @returns what came */
  async carry (file: string, from: string, to: string): Promise<string> {
    const receive = `import socket; s = socket.create_server(("", ${CARRIED_TO})); print(flush=True); print(s.accept()[0].makefile().read())`
    const [program, ...words] = [...this.within(to), 'timeout', '20', 'python3', '-c', receive]
    const receiver = spawn(program, words, { stdio: ['ignore', 'pipe', 'inherit'] })
    let came = ''
    receiver.stdout.on('data', (chunk: Buffer) => { came += chunk.toString('utf8') })
    const closed = once(receiver, 'close')
    await once(receiver.stdout, 'data')
    const [sender, ...how] = [...this.within(from), 'timeout', '20', 'bash', '-c', `cat "$0" >/dev/tcp/${this.#member(to).address}/${CARRIED_TO}`, file]
    await promisify(execFile)(sender, how)
    await closed
    return came.trim()
  }

  async close (): Promise<void> {
    for (const forwarder of this.#forwarders) {
      forwarder.stdin?.end()
      if (forwarder.exitCode === null) await once(forwarder, 'exit')
    }
    for (const { namespace } of this.#members.values()) ip('netns', 'del', namespace)
    ip('netns', 'del', this.#switch)
  }

  #list (names: readonly string[]): string {
    return names.map(name => this.#member(name).address).join(', ')
  }

  #member (name: string): Member {
    const member = this.#members.get(name)
    if (member === undefined) throw new Error(`no namespace for ${name}`)
    return member
  }

  #nft (commands: string): void {
    execFileSync('ip', ['netns', 'exec', this.#switch, 'nft', '-f', '-'], { input: commands.replaceAll('; ', '\n') })
  }
}

function ip (...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}
