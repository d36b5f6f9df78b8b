/** `ring`: how evenly centers are loaded, and what their failures cost. */
import type { Command } from 'commander'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { report, table } from 'mixmint/cli/output.ts'
import { seededRng } from '../kernel/rng.ts'
import { digits } from '../report/html.ts'
import { imbalance, lostCounted, lostExactly, ringOf } from '../ring/ring.ts'
import { bad } from '../scenario/fields.ts'

export function addRing (program: Command): void {
  program.command('ring').description('load of the busiest center by virtual nodes; coins that nobody can judge while centers are down')
    .option('--centers <n>', 'how many', '20').option('--replicas <n>', 'keepers of a coin', '4').option('--faults <f>', 'tolerated among them', '1').option('--quorum <q>', 'votes of a certificate', '3')
    .option('--virtual-nodes <list>', 'of a center; coins are counted on the ring of the last', '1,8,64,512').option('--down <list>', 'centers that fail', '1,2,3,4,6,8')
    .option('--coins <n>', 'counted', '5000').option('--choices <n>', 'of the centers that are down, for each number of them', '200').option('--seed <n>', 'chance', '1').option('--json', 'for programs')
    .action(async ({ json, ...given }: { readonly json?: boolean } & Given) => {
      await report(json === true, async () => {
        const suite = await defaultSuite()
        const of = (option: keyof Given, least = 1): number => whole(given[option], option, least)
        const list = (option: keyof Given, least: number): number[] => given[option].split(',').map(one => whole(one, option, least))
        const [centers, replicas, faults, quorum] = [of('centers'), of('replicas'), of('faults', 0), of('quorum')]
        const [coins, choices, seed, downs] = [of('coins'), of('choices'), of('seed', 0), list('down', 0)]
        if (Math.max(...downs) > centers) throw bad('--down', `no more than the ${centers} centers wanted`)
        const plan = { centers, replicas, faults, quorum }
        const loads = list('virtualNodes', 1).map(virtualNodes => {
          const ring = ringOf(suite, { ...plan, virtualNodes }, seed)
          return { virtualNodes, busiest: imbalance(ring), ring }
        })
        const [{ ring, virtualNodes }] = loads.slice(-1)
        const losses = downs.map(down => ({
          down, exact: lostExactly(plan, down), ...lostCounted(ring, down, { coins, choices }, seededRng(seed, `down ${down}`))
        }))
        const human = `${table([['VIRTUAL NODES', 'BUSIEST / EVEN'], ...loads.map(({ virtualNodes, busiest }) => [digits(virtualNodes), digits(busiest)])])}\n\n` +
          `Part of all coins that nobody can judge, on the ring of ${virtualNodes} virtual nodes:\n` +
          table([['DOWN', 'EXACT', 'COUNTED', 'WORST'], ...losses.map(({ down, exact, mean, worst }) => [down, exact, mean, worst].map(digits))])
        return { human, json: { loads: loads.map(({ virtualNodes, busiest }) => ({ virtualNodes, busiest })), losses } as never }
      })
    })
}

type Given = Readonly<Record<'centers' | 'replicas' | 'faults' | 'quorum' | 'virtualNodes' | 'down' | 'coins' | 'choices' | 'seed', string>>

function whole (text: string, option: keyof Given, least: number): number {
  const n = Number(text)
  if (text.trim() === '' || !Number.isInteger(n) || n < least) throw bad(`--${option === 'virtualNodes' ? 'virtual-nodes' : option}`, `a whole number from ${least} wanted, not ${text === '' ? 'nothing' : text}`)
  return n
}
