/**
 * A storm of connections, as a process of its own: `storm-child.ts TARGET CONNECTIONS-A-SECOND ADDRESSES NET`, from the
 * loopback addresses NET.0.1 and on. Most say nothing, or leave their handshake half-way; some finish it, with a fresh
 * identity, and then say nothing or open streams for nothing. Writes what it has done when its input ends.
 */
import { connect, type Socket } from 'node:net'
import { parseTarget } from '@mixmint/mixnet/wire/peers'
import { SYN, WINDOW, rawPeer, yamuxFrame } from '../doubles/raw-peer.ts'

const [to, perSecond, addresses, net] = process.argv.slice(2)
const target = parseTarget(to)
const port = Number(target.addresses[0].split('/')[4])
const STEP = 20
const MOST_OPEN = 3000
const negotiated = new TextEncoder().encode('\x13/multistream/1.0.0\n\x07/noise\n')
const OPENINGS = [new Uint8Array(0), negotiated.subarray(0, 7), negotiated, Uint8Array.from([...negotiated, 0, 32, ...new Uint8Array(32).fill(9)]), new Uint8Array(3000).fill(65)]

const open = new Set<Socket>()
let connected = 0
let whole = 0
let n = 0
const from = (): string => `${net}.${(n % Number(addresses)) >> 8}.${1 + (n % Number(addresses)) % 250}`

function one (): void {
  n += 1
  const bytes = OPENINGS[n % OPENINGS.length]
  const socket = connect({ port, host: '127.0.0.1', localAddress: from() }, () => {
    connected += 1
    socket.write(bytes)
  })
  open.add(socket)
  socket.on('error', () => {}).on('close', () => { open.delete(socket) }).resume()
}

/** Finishes its handshakes, one after the other. */
async function finisher (address: string): Promise<void> {
  for (;;) {
    const peer = await rawPeer(address)
    try {
      const line = await peer.dial(target)
      whole += 1
      for (let stream = 1; stream < 20; stream += 2) line.send(yamuxFrame(WINDOW, SYN, stream, 0))
      await new Promise(resolve => setTimeout(resolve, 200))
      line.drop()
    } catch {
      // Refused: again.
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    await peer.stop()
  }
}

setInterval(() => {
  for (let i = 0; i < Number(perSecond) * STEP / 1000 && open.size < MOST_OPEN; i++) one()
}, STEP)
for (let i = 0; i < 6; i++) void finisher(`${net}.9.${1 + i}`)
process.stdin.on('end', () => {
  process.stdout.write(JSON.stringify({ connected, whole }))
  process.exit(0)
}).resume()
