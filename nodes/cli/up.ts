/** `mixmint up`: a whole private network on this machine, until stopped. */
import type { Command } from 'commander'
import { join } from 'node:path'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import { callControl } from '../control.ts'
import { createNetwork, isNetwork, nodeNames, SMALL_NETWORK, type NetworkPlan } from '../layout.ts'
import { Supervisor } from '../supervisor.ts'
import { interruption } from './interruption.ts'
import { report } from './output.ts'
import { ProgressBar } from './progress.ts'

export function addUp (program: Command): void {
  program.command('up').description('run a whole network on this machine: authorities, gateways, mixes, centers, bank and merchant')
    .option('--dir <dir>', 'its folder; made if it is not there, else the network in it starts again', 'mixmint-net')
    .action(async ({ dir }: { dir: string }) => {
      await report(false, async () => {
        await runNetwork(dir)
        return { human: 'stopped', json: null }
      })
    })
}

async function runNetwork (dir: string): Promise<void> {
  const { defaultSuite } = await import('@mixmint/core/crypto/choose')
  if (!isNetwork(dir)) await createNetwork(await defaultSuite(), dir, SMALL_NETWORK)
  if (await isRunning(dir)) throw new MixmintError('already-running', 'operator', `the network in ${dir} runs already: use it from here, or stop it where it was started`)
  const supervisor = new Supervisor(dir, (name, expected) => {
    if (!expected) process.stderr.write(`mixmint: ${name} ended; see ${dir}/${name}/log.jsonl\n`)
  })
  const told = interruption()
  try {
    const started = startNetwork(supervisor, SMALL_NETWORK).then(() => { process.stdout.write(welcome(dir)) })
    await Promise.race([started.then(async () => { await told }), told])
  } finally {
    await supervisor.stopAll()
  }
}

/** Start every node and wait until each is ready: the authorities, then all the others. */
export async function startNetwork (supervisor: Supervisor, plan: NetworkPlan, quiet = false): Promise<void> {
  const { authority, mixnet, money } = nodeNames(plan)
  const bar = new ProgressBar('starting', authority.length + mixnet.length + money.length, quiet)
  const start = async (name: string): Promise<void> => {
    await supervisor.start(name)
    bar.tick(name)
  }
  await Promise.all(authority.map(start))
  // All at once: the first document is made when every admitted node has published, and each is ready only with it.
  await Promise.all([...mixnet, ...money].map(start))
  bar.end()
}

async function isRunning (dir: string): Promise<boolean> {
  const answers = await Promise.all(nodeNames(SMALL_NETWORK).authority.map(async name => {
    try {
      await callControl(join(dir, name), 'status')
      return true
    } catch (error) {
      if (isMixmintError(error, 'daemon-not-running')) return false
      throw error
    }
  }))
  return answers.includes(true)
}

function welcome (dir: string): string {
  return `
The network runs. In another terminal:

  export MIXMINT_NET='${dir}'
  npx mixmint wallet init                      make a wallet; write its twelve words down
  npx mixmint bank credit $(npx mixmint wallet account) 10000
  npx mixmint wallet withdraw 5000             coins, blindly signed
  npx mixmint wallet shop                      what the merchant sells
  npx mixmint wallet buy coffee --with token   a token made out to the merchant, bought and spent over the mixnet
  npx mixmint wallet buy song --with coins     coins, judged by their keepers
  npx mixmint merchant takings
  npx mixmint bank books

Ctrl-C stops it; the same command starts it again.
`
}
