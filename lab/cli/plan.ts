/** `plan`: machines for so many payments a second. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { profile } from '@mixmint/mixnet/directory/profiles'
import { systemClock } from 'mixmint/clock.ts'
import { report, table } from 'mixmint/cli/output.ts'
import { ProgressBar } from 'mixmint/cli/progress.ts'
import { newestCosts, readCosts } from '../plan/costs.ts'
import { planFor, type Goal, type Plan } from '../plan/plan.ts'
import { digits } from '../report/html.ts'
import { machineRows, MACHINE_HEAD, planReport } from '../report/plan.ts'
import { VERSION } from '../run/folder.ts'
import { bad } from '../scenario/fields.ts'

const { cover, meanDelay, pathLength } = profile('default', new Uint8Array(0))

type Flags = Readonly<Record<'paymentsPerSecond' | 'p99' | 'survive' | 'coins' | 'change' | 'packets' | 'session' | 'utilisation' | 'link' | 'layers' | 'send' | 'echoes' | 'pace' | 'loop' | 'virtualNodes' | 'seed' | 'out', string>> &
  { readonly delay?: string, readonly costs?: string, readonly oldCosts?: boolean, readonly json?: boolean }

export function addPlan (program: Command): void {
  program.command('plan').description('how many machines carry so many payments a second, in time, also with some of them down')
    .requiredOption('--payments-per-second <n>', 'on the mean').option('--p99 <time>', 'of a payment, from the wish to the answer: 2s, 500ms', '2s').option('--survive <k>', 'machines of each kind that may be down', '1')
    .option('--coins <n>', 'that a payment spends', '4').option('--change <n>', 'outputs that come back', '2').option('--packets <n>', 'of a payment\'s request', '2').option('--session <time>', 'that a wallet is there for each payment', '20s')
    .option('--utilisation <part>', 'of its time that a machine is at work at most', '0.7').option('--link <time>', 'one way between two machines', '20ms').option('--layers <n>', 'of mixes', String(pathLength - 2))
    .option('--delay <time>', `mean, at each mix (default: as long as the goal permits, up to ${meanDelay}ms)`).option('--send <time>', 'mean, between two packets of a wallet; 0: no cover', `${cover.send}ms`)
    .option('--echoes <part>', 'of a wallet\'s packets', String(cover.echoes / 1000)).option('--pace <time>', 'of services and gateways', `${cover.pace}ms`).option('--loop <time>', 'mean, between two loops of a node', `${cover.loop}ms`)
    .option('--virtual-nodes <n>', 'of a center', '512').option('--costs <file>', 'what operations cost: `npm run bench -- costs --costs FILE` (default: the newest that the lab brings)').option('--old-costs', 'take costs whatever their age and version')
    .option('--seed <n>', 'chance', '1').option('--out <dir>', 'where plan.json and report.html go', 'plan').option('--json', 'print the plan for programs')
    .action(async (flags: Flags) => {
      await report(flags.json === true, async () => {
        const costs = readCosts(flags.costs ?? newestCosts(), systemClock.now(), VERSION, flags.oldCosts === true)
        const bar = new ProgressBar('planning', 1000)
        const plan = planFor(await defaultSuite(), goalOf(flags), costs, part => { bar.set(Math.round(1000 * part), 1000) })
        bar.end()
        mkdirSync(flags.out, { recursive: true })
        writeFileSync(join(flags.out, 'plan.json'), `${JSON.stringify(plan, null, 2)}\n`)
        writeFileSync(join(flags.out, 'report.html'), planReport(plan))
        return { human: `${linesOf(plan)}\nwritten to ${flags.out}: plan.json, report.html`, json: plan as never }
      })
    })
}

/** @throws bad-scenario (caller) */
function goalOf (flags: Flags): Goal {
  const number = (text: string, option: string, least = 0): number => {
    const n = Number(text)
    if (text.trim() === '' || !(n >= least)) throw bad(option, `a number of at least ${least} wanted`)
    return n
  }
  const whole = (text: string, option: string, least: number): number => {
    const n = number(text, option, least)
    if (!Number.isInteger(n)) throw bad(option, 'a whole number wanted')
    return n
  }
  const utilisation = number(flags.utilisation, '--utilisation', 0.01)
  if (utilisation >= 1) throw bad('--utilisation', 'less than 1 wanted: what is always at work is never done')
  const payments = number(flags.paymentsPerSecond, '--payments-per-second')
  if (payments === 0) throw bad('--payments-per-second', 'more than 0 wanted')
  return {
    payments, p99_s: seconds(flags.p99, '--p99'), survive: whole(flags.survive, '--survive', 0), coins: whole(flags.coins, '--coins', 1), change: whole(flags.change, '--change', 0),
    packets: whole(flags.packets, '--packets', 1), session_s: seconds(flags.session, '--session'), utilisation, link_s: seconds(flags.link, '--link'), layers: whole(flags.layers, '--layers', 1),
    delay_s: flags.delay === undefined ? null : seconds(flags.delay, '--delay'),
    cover: { send_s: seconds(flags.send, '--send'), echoes: number(flags.echoes, '--echoes'), pace_s: seconds(flags.pace, '--pace'), loop_s: seconds(flags.loop, '--loop') },
    virtualNodes: whole(flags.virtualNodes, '--virtual-nodes', 1), seed: whole(flags.seed, '--seed', 0)
  }
}

/** `2s`, `500ms`, `0`. @throws bad-scenario (caller) */
function seconds (text: string, option: string): number {
  const found = /^(\d+(?:\.\d+)?)(ms|s)?$/.exec(text)
  if (found === null || (found[2] === undefined && Number(found[1]) !== 0)) throw bad(option, `${text}: a time wanted, such as 2s or 500ms`)
  return Number(found[1]) / (found[2] === 'ms' ? 1000 : 1)
}

function linesOf (plan: Plan): string {
  const { ring, parameters, payment_s: payment, cores, binding, costs, notes, centers } = plan
  const show = (value: string | number): string => typeof value === 'number' ? digits(value) : value
  return [
    table([MACHINE_HEAD.map(head => head.toUpperCase()), ...machineRows(plan).map(row => row.map(show))]), '',
    `each coin has ${ring.replicas} keepers, ${ring.quorum} of whom make a certificate; the busiest center has ${digits(ring.busiest_over_even)} times the mean`,
    `at a center: ${digits(centers.sojourn_s.formula.mean * 1000)} ms by formula, ${digits(centers.sojourn_s.simulated.mean * 1000)} ms simulated; p99 ${digits(centers.sojourn_s.formula.p99 * 1000)} and ${digits(centers.sojourn_s.simulated.p99 * 1000)} ms`,
    `mean delay of a mix ${digits(parameters.mean_delay_s * 1000)} ms; ${digits(parameters.wallets_at_a_time)} wallets at a time`,
    `a payment: p50 ${digits(payment.all_up.p50)} s, p99 ${digits(payment.all_up.p99)} s; with ${plan.goal.survive} of each kind down p99 ${digits(payment.degraded.p99)} s`,
    `${digits(cores.all)} cores, ${digits(cores.cpu_s_per_1000_payments)} s of processors for 1000 payments; most cores: ${binding.cores}; most time: ${binding.time}`,
    ...notes.map(note => `note: ${note}`),
    `costs of ${costs.measured}, ${costs.machine}`
  ].join('\n')
}
