/** `ring`: how evenly centers are loaded, how many payments they carry, and what their failures cost. */
import type { Command } from 'commander'
import type { RingMap } from '@mixmint/core/cash/ring'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { systemClock } from 'mixmint/clock.ts'
import { report, table } from 'mixmint/cli/output.ts'
import { writeResult } from '../attack/result.ts'
import { seededRng } from '../kernel/rng.ts'
import { quantileOf } from '../measure/statistics.ts'
import { newestCosts, readCosts, type Costs } from '../plan/costs.ts'
import { simulatePayments } from '../plan/queue.ts'
import { digits } from '../report/html.ts'
import { carried, loadsOf, lostCounted, lostExactly, ringOf, type RingPlan } from '../ring/ring.ts'
import { VERSION } from '../run/folder.ts'
import { bad } from '../scenario/fields.ts'
import { OUT } from './compare.ts'

/** Payments that are simulated, and one way between two machines in them, s. */
const [SIMULATED, LINK] = [20_000, 0.02]
const NOTHING = { mean: 0, quantiles: [0] }

export function addRing (program: Command): void {
  program.command('ring').description('load of centers by virtual nodes, payments a second that they carry; coins that nobody can judge while centers are down')
    .option('--centers <n>', 'how many', '20').option('--replicas <n>', 'keepers of a coin', '4').option('--faults <f>', 'tolerated among them', '1').option('--quorum <q>', 'votes of a certificate', '3')
    .option('--virtual-nodes <list>', 'of a center; coins are counted on the ring of the last', '1,8,64,512').option('--down <list>', 'centers that fail', '1,2,3,4,6,8')
    .option('--payment <n>', 'coins that a payment spends', '4').option('--utilisation <part>', 'of its time that the busiest center is at work', '0.7')
    .option('--costs <file>', 'what operations cost: `npm run bench -- costs --costs FILE` (default: the newest that the lab brings)').option('--old-costs', 'take costs whatever their age and version')
    .option('--coins <n>', 'counted', '5000').option('--choices <n>', 'of the centers that are down, for each number of them', '200').option('--seed <n>', 'chance', '1').option(...OUT).option('--json', 'for programs')
    .action(async ({ json, out, costs: file, oldCosts, ...given }: { readonly json?: boolean, readonly out?: string, readonly costs?: string, readonly oldCosts?: boolean } & Given) => {
      await report(json === true, async () => {
        const suite = await defaultSuite()
        const of = (option: keyof Given, least = 1): number => whole(given[option], option, least)
        const list = (option: keyof Given, least: number): number[] => given[option].split(',').map(one => whole(one, option, least))
        const [centers, replicas, faults, quorum] = [of('centers'), of('replicas'), of('faults', 0), of('quorum')]
        const [coins, choices, seed, downs, payment] = [of('coins'), of('choices'), of('seed', 0), list('down', 0), of('payment')]
        const utilisation = Number(given.utilisation)
        if (!(utilisation > 0 && utilisation < 1)) throw bad('--utilisation', 'a part above 0 and below 1 wanted')
        if (Math.max(...downs) > centers) throw bad('--down', `no more than the ${centers} centers wanted`)
        const plan = { centers, replicas, faults, quorum }
        const rings = list('virtualNodes', 1).map(virtualNodes => ({ virtualNodes, ring: ringOf(suite, { ...plan, virtualNodes }, seed) }))
        const costs = readCosts(file ?? newestCosts(), systemClock.now(), VERSION, oldCosts === true)
        const loads = rings.map(({ virtualNodes, ring }) => ({ virtualNodes, ...loadOf(ring, costs, { payment, utilisation, seed }) }))
        const losses = lossesOf(plan, rings[rings.length - 1].ring, downs, { coins, choices, seed })
        if (out !== undefined) {
          const all = { ...plan, virtual_nodes: rings.map(({ virtualNodes }) => virtualNodes), payment, utilisation, coins, choices, seed, costs: { machine: costs.machine, measured: costs.measured, version: costs.version, spend_us: costs.center.spend_us.mean } }
          writeResult(out, 'ring', all, loads)
          writeResult(out, 'ring-losses', all, losses)
        }
        const human = [
          table([['VIRTUAL NODES', 'IDLEST / EVEN', 'BUSIEST / EVEN', 'PAYMENTS A SECOND', 'SIMULATED: BUSY', 'CERTIFIED p99 ms'],
            ...loads.map(({ virtualNodes, over_even: over, payments_s: rate, simulated }) => [virtualNodes, over[0], over[over.length - 1], rate, simulated.busiest, simulated.certified_p99_s * 1000].map(digits))]),
          `payments of ${payment} coins, with the busiest center at work ${digits(utilisation * 100)} % of its time; links of ${LINK * 1000} ms; costs of ${costs.measured}, ${costs.machine}`, '',
          `Part of all coins that nobody can judge, on the ring of ${rings[rings.length - 1].virtualNodes} virtual nodes:`,
          table([['DOWN', 'EXACT', 'COUNTED', 'WORST'], ...losses.map(({ down, exact, mean, worst }) => [down, exact, mean, worst].map(digits))])
        ].join('\n')
        return { human, json: { loads, losses } as never }
      })
    })
}

interface Asked { readonly payment: number, readonly utilisation: number, readonly seed: number }

/** Of each center over the even one, the idlest first; payments a second by the exact shares, and what comes of them in a simulation. */
function loadOf (ring: RingMap, { center: { spend_us: spend } }: Costs, { payment, utilisation, seed }: Asked): { readonly over_even: number[], readonly payments_s: number, readonly simulated: { readonly busiest: number, readonly certified_p99_s: number } } {
  const rate = carried(ring, { coins: payment, spend_us: spend.mean, utilisation })
  const { busiest, certified } = simulatePayments({ rate, coins: payment, ring, dead: new Set(), spend, banks: 1, settle: NOTHING, link_s: LINK }, SIMULATED, seededRng(seed, 'payments'))
  return { over_even: loadsOf(ring), payments_s: rate, simulated: { busiest, certified_p99_s: quantileOf(certified.sort((a, b) => a - b), 0.99) } }
}

function lossesOf (plan: Omit<RingPlan, 'virtualNodes'>, ring: RingMap, downs: readonly number[], { seed, ...size }: { readonly coins: number, readonly choices: number, readonly seed: number }): Array<{ readonly down: number, readonly exact: number, readonly mean: number, readonly worst: number }> {
  return downs.map(down => ({ down, exact: lostExactly(plan, down), ...lostCounted(ring, down, size, seededRng(seed, `down ${down}`)) }))
}

type Given = Readonly<Record<'centers' | 'replicas' | 'faults' | 'quorum' | 'virtualNodes' | 'down' | 'payment' | 'utilisation' | 'coins' | 'choices' | 'seed', string>>

function whole (text: string, option: keyof Given, least: number): number {
  const n = Number(text)
  if (text.trim() === '' || !Number.isInteger(n) || n < least) throw bad(`--${option === 'virtualNodes' ? 'virtual-nodes' : option}`, `a whole number from ${least} wanted, not ${text === '' ? 'nothing' : text}`)
  return n
}
