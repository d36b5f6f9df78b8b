/** Simulations: visits of packets at mixes for each second of one processor, whatever else the machine does meanwhile. */
import { Shares } from '../lab/measure/shares.ts'
import { Network } from '../lab/network/network.ts'
import { readScenario, type Raw } from '../lab/scenario/read.ts'
import { atLeast, figure, type Row } from './harness.ts'

const SMALL: Raw = { topology: { layers: 3, width: 10 }, delay: { end_to_end_s: 1 }, clients: { count: 50, total_rate: 5000 }, run: { duration_s: 1e6 } }
const LARGE: Raw = { topology: { layers: 3, width: 333 }, delay: { per_mix_s: 0.25 }, clients: { count: 1_000_000, rate: 0.1 }, run: { duration_s: 1e6 } }
const TURN = 20_000
const TARGETS_APART = 2000

/** @param targets is the anonymity of targets tracked, one every two seconds as MiXiM has them? */
function rate (raw: Raw, hops: number, targets: boolean): number {
  let shares: Shares | null = null
  let next = 0
  const network = new Network(readScenario(raw, 'bench'), {
    sent: (slot, now) => {
      if (shares === null || now < next) return
      next = now + TARGETS_APART
      shares.follow(slot, now)
    }
  }, targets ? cells => (shares = new Shares(cells, 31, () => {})) : null)
  const until = (count: number): void => { while (network.hops < count) network.advance(TURN, Infinity) }
  until(hops / 5)
  const [began, before] = [process.cpuUsage(), network.hops]
  until(hops)
  const { user, system } = process.cpuUsage(began)
  return (network.hops - before) / ((user + system) / 1e6)
}

export function labRows (): Row[] {
  return [
    atLeast('lab, packet-hops, no targets', rate(SMALL, 3e6, false), '/s', 600_000),
    atLeast('lab, packet-hops, targets 2 s apart', rate(SMALL, 3e6, true), '/s', 150_000),
    atLeast('lab, packet-hops, a million clients', rate(LARGE, 5e6, false), '/s', 278_000),
    figure('lab, memory with a million clients', process.memoryUsage().rss / 2 ** 20, 'MiB')
  ]
}
