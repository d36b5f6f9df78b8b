/**
 * Every node in a network namespace of its own, with an address of its own, on one switch in which a test drops packets,
 * cuts nodes off, and delays frames so that they overtake each other. Needs root, iproute2, nftables, and for delays python3.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

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

export class NamespaceLab {
  readonly #prefix = `mm${process.pid}`
  readonly #switch = `${this.#prefix}-switch`
  readonly #members = new Map<string, { namespace: string, address: string, port: string }>()
  readonly #forwarders: ChildProcess[] = []

  constructor () {
    ip('netns', 'add', this.#switch)
    ip('-n', this.#switch, 'link', 'add', 'br0', 'type', 'bridge')
    ip('-n', this.#switch, 'link', 'set', 'br0', 'up')
    this.#nft(`
      table bridge mm {
        set cut { type ipv4_addr; }
        set left { type ipv4_addr; }
        set right { type ipv4_addr; }
        chain loss { }
        chain forward {
          type filter hook forward priority 0; policy accept;
          ip saddr @cut drop
          ip daddr @cut drop
          ip saddr @left ip daddr @right drop
          ip saddr @right ip daddr @left drop
          jump loss
        }
      }`)
  }

  /** A namespace for this node, with an address on the switch. @returns the address */
  add (name: string): string {
    const number = this.#members.size + 1
    const member = { namespace: `${this.#prefix}-${name}`, address: `10.77.0.${number}`, port: `p${number}` }
    ip('netns', 'add', member.namespace)
    ip('link', 'add', 'eth0', 'netns', member.namespace, 'type', 'veth', 'peer', 'name', member.port, 'netns', this.#switch)
    ip('-n', this.#switch, 'link', 'set', member.port, 'master', 'br0', 'up')
    this.#configure(member.namespace, 'eth0', member.address)
    this.#members.set(name, member)
    return member.address
  }

  /** As `add`, but every frame to and from this node is delayed by a random time between these, in ms. */
  async addDelayed (name: string, least: number, most: number): Promise<string> {
    const number = this.#members.size + 1
    const member = { namespace: `${this.#prefix}-${name}`, address: `10.77.0.${number}`, port: `o${number}` }
    const inner = `i${number}`
    ip('netns', 'add', member.namespace)
    const forwarder = spawn('ip', ['netns', 'exec', this.#switch, 'python3', fileURLToPath(new URL('./forwarder.py', import.meta.url)), inner, member.port, String(least), String(most)],
      { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#forwarders.push(forwarder)
    await once(forwarder.stdout, 'data')
    ip('-n', this.#switch, 'link', 'set', inner, 'netns', member.namespace)
    ip('-n', this.#switch, 'link', 'set', member.port, 'master', 'br0', 'up')
    this.#configure(member.namespace, inner, member.address)
    this.#members.set(name, member)
    return member.address
  }

  address (name: string): string {
    return this.#member(name).address
  }

  /** The words before a command that is to run where this node lives. */
  within (name: string): string[] {
    return ['ip', 'netns', 'exec', this.#member(name).namespace]
  }

  /** From now on this share of all packets is lost, in percent. */
  drop (percent: number): void {
    this.#nft(`flush chain bridge mm loss${percent > 0 ? `; add rule bridge mm loss numgen random mod 100 < ${percent} drop` : ''}`)
  }

  /** Nothing reaches these nodes or leaves them. */
  cut (...names: string[]): void {
    this.#nft(`add element bridge mm cut { ${names.map(name => this.address(name)).join(', ')} }`)
  }

  /** Nothing passes between these and those. */
  part (these: readonly string[], those: readonly string[]): void {
    const list = (names: readonly string[]): string => names.map(name => this.address(name)).join(', ')
    this.#nft(`add element bridge mm left { ${list(these)} }; add element bridge mm right { ${list(those)} }`)
  }

  /** Everything passes again. */
  heal (): void {
    this.#nft('flush set bridge mm cut; flush set bridge mm left; flush set bridge mm right; flush chain bridge mm loss')
  }

  async close (): Promise<void> {
    for (const forwarder of this.#forwarders) {
      forwarder.stdin?.end()
      if (forwarder.exitCode === null) await once(forwarder, 'exit')
    }
    for (const { namespace } of this.#members.values()) ip('netns', 'del', namespace)
    ip('netns', 'del', this.#switch)
  }

  #configure (namespace: string, device: string, address: string): void {
    ip('-n', namespace, 'addr', 'add', `${address}/24`, 'dev', device)
    ip('-n', namespace, 'link', 'set', device, 'up')
    ip('-n', namespace, 'link', 'set', 'lo', 'up')
  }

  #member (name: string): { namespace: string, address: string, port: string } {
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
