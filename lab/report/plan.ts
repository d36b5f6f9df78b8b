/** A plan for people: on a terminal and as a page. */
import type { Load, Plan } from '../plan/plan.ts'
import { VERSION } from '../run/folder.ts'
import { digits, escape, figure, page, table } from './html.ts'
import { bars } from './plots.ts'

const GIGA = 1e9
const DAY_S = 86_400

export const MACHINE_HEAD = ['', 'machines', 'busy', 'with k down', 'each does, a second', 'in, Mbit/s', 'out, Mbit/s', 'disk']

export function machineRows ({ centers, bank, mixes, gateways }: Plan): Array<Array<string | number>> {
  const row = (name: string, load: Load, does: string, disk: string): Array<string | number> => [
    name, load.count, load.utilisation, load.utilisation_degraded, does, megabits(load.bytes_in_day), megabits(load.bytes_out_day), disk
  ]
  const gigabytes = (bytes: number): string => `${digits(bytes / GIGA)} GB`
  return [
    row('centers', centers, `${digits(centers.spends_s)} spends (the busiest)`, `${gigabytes(centers.disk_bytes_day)} a day`),
    row('bank, processes', bank, `${digits(bank.settlements_s / bank.count)} payments settled`, `${gigabytes(bank.disk_bytes_day)} a day, all`),
    ['bank, signing threads', bank.signing_threads, '', '', `${digits(bank.signatures_s / bank.signing_threads)} signatures`, '', '', ''],
    ...bank.postgres === null
      ? []
      : [[`bank, PostgreSQL, ${digits(bank.postgres.standbys)} of them standbys`, bank.postgres.servers + bank.postgres.standbys, bank.postgres.utilisation, bank.postgres.utilisation, `${digits(bank.postgres.settlements_s)} payments settled`, '', '', '']],
    row(`mixes, ${mixes.per_layer} a layer`, mixes, `${digits(mixes.packets_s)} packets`, `${gigabytes(mixes.disk_bytes)} in all`),
    row('gateways', gateways, `${digits(gateways.wallets)} wallets at a time`, `${gigabytes(gateways.disk_bytes)} in all`)
  ]
}

function megabits (bytesADay: number): number {
  return bytesADay * 8 / DAY_S / 1e6
}

export function planReport (plan: Plan): string {
  const { goal, costs, ring, parameters, centers, payment_s: payment, cores, binding, notes } = plan
  const title = `${digits(goal.payments)} payments a second`
  return page(title, [
    `<h1>${escape(title)}</h1>`,
    `<p class="about">99 of 100 within ${digits(goal.p99_s)} s, also with ${goal.survive} machines of each kind down. mixmint-lab ${VERSION}; costs measured on ${escape(costs.measured)} on ${escape(costs.machine)}, at a load of ${costs.load}.</p>`,
    '<h2>Machines</h2>', table(MACHINE_HEAD, machineRows(plan)),
    `<p>${digits(cores.all)} cores of that machine; ${digits(cores.cpu_s_per_1000_payments)} s of processors for 1000 payments. Most cores go to: <b>${binding.cores}</b>. Most of a payment’s time goes to: <b>${binding.time}</b>.</p>`,
    figure(bars((['centers', 'bank', 'mixes', 'gateways'] as const).map(name => ({ name, value: cores[name] })), { x: 'cores →' }), 'Cores by kind.'),
    '<h2>Times</h2>',
    table(['of a payment, s', 'mean', 'p50', 'p99'], [['all up', payment.all_up.mean, payment.all_up.p50, payment.all_up.p99], [`${goal.survive} of each kind down`, payment.degraded.mean, payment.degraded.p50, payment.degraded.p99]]),
    figure(bars(Object.entries(payment.parts_p99).map(([name, value]) => ({ name, value })), { x: 'seconds →' }), 'The p99 of each part by itself, with machines down; those of parts do not add up to that of the whole.'),
    table(['at the busiest center, ms', 'mean', 'p99'], [['closed form', centers.sojourn_s.formula.mean * 1000, centers.sojourn_s.formula.p99 * 1000], ['simulated', centers.sojourn_s.simulated.mean * 1000, centers.sojourn_s.simulated.p99 * 1000]]),
    '<h2>Parameters</h2>',
    table(['', ''], [
      ['Keepers of a coin; faults borne; quorum', `${ring.replicas}; ${ring.faults}; ${ring.quorum}`], ['Virtual nodes of a center', ring.virtual_nodes], ['Busiest center, over the mean', ring.busiest_over_even],
      [`Coins without a quorum with ${goal.survive} centers down; with one more`, `${digits(ring.coins_lost_with_survive_down)}; ${digits(ring.coins_lost_with_one_more_down)}`],
      ['Layers of mixes', parameters.layers], ['Mean delay at a mix, ms', parameters.mean_delay_s * 1000], ['Cover: a wallet sends every, ms', parameters.cover.send_s * 1000], ['Of it echoes', parameters.cover.echoes],
      ['Pace of services and gateways, ms', parameters.cover.pace_s * 1000], ['Wallets at a time', parameters.wallets_at_a_time]
    ]),
    '<h2>To be read with it</h2>', `<ul>${notes.map(note => `<li>${escape(note)}</li>`).join('')}</ul>`,
    `<pre>${escape(JSON.stringify(goal, null, 2))}</pre>`
  ])
}
