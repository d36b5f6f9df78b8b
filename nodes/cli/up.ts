/** `mixmint up`: a whole private network on this machine, until stopped. */
import { InvalidArgumentError, type Command } from 'commander'
import { join } from 'node:path'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import { systemClock } from '../clock.ts'
import { readNetwork } from '../config.ts'
import { callControl } from '../control.ts'
import { createNetwork, isFree, isNetwork, nodeNames, SMALL_NETWORK, type NetworkPlan } from '../layout.ts'
import { Supervisor } from '../supervisor.ts'
import { interruption } from './interruption.ts'
import { report } from './output.ts'
import { ProgressBar } from './progress.ts'

export function addUp (program: Command): void {
  program.command('up').description('run a whole network on this machine: authorities, gateways, mixes, centers, bank and merchant')
    .option('--dir <dir>', 'its folder; made if it is not there, else the network in it starts again', 'mixmint-net')
    .option('--page <port>', `the port of 127.0.0.1 for the network's page; 0: one that is free (default: ${PAGE_PORT}, or one that is free)`, portNumber)
    .option('--no-page', 'serve no page')
    .action(async ({ dir, page }: { dir: string, page?: number | boolean }) => {
      await report(false, async () => {
        await runNetwork(dir, page === false ? null : typeof page === 'number' ? page : undefined)
        return { human: 'stopped', json: null }
      })
    })
}

/** Of one question to one process, ms. */
const ASK_TIMEOUT = 4_000

/** Of the page, unless told; if it is taken, another. */
const PAGE_PORT = 9480

function portNumber (text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65_535) throw new InvalidArgumentError('a port from 0 to 65535 is wanted.')
  return port
}

/** @param page its port; null: none; undefined: the usual one */
async function runNetwork (dir: string, page: number | null | undefined): Promise<void> {
  const { defaultSuite } = await import('@mixmint/core/crypto/choose')
  if (!isNetwork(dir)) await createNetwork(await defaultSuite(), dir, SMALL_NETWORK)
  if (await isRunning(dir)) throw new MixmintError('already-running', 'operator', `the network in ${dir} runs already: use it from here, or stop it where it was started`)
  const supervisor = new Supervisor(dir, (name, expected) => {
    if (!expected) process.stderr.write(`mixmint: ${name} ended; see ${dir}/${name}/log.jsonl\n`)
  })
  const told = interruption()
  let shown: NetworkPage | null = null
  try {
    shown = page === null ? null : await servePage(dir, SMALL_NETWORK, supervisor, page ?? (await isFree(PAGE_PORT) ? PAGE_PORT : 0))
    const address = shown?.address ?? null
    const started = startNetwork(supervisor, SMALL_NETWORK).then(() => { process.stdout.write(welcome(dir, address)) })
    await Promise.race([started.then(async () => { await told }), told])
  } finally {
    await shown?.close()
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

export interface NetworkPage { readonly address: string, readonly close: () => Promise<void> }

/** The page of a network whose processes this one runs. @param port 0: one that is free @throws page-listen (operator) */
export async function servePage (dir: string, plan: NetworkPlan, supervisor: Supervisor, port: number): Promise<NetworkPage> {
  const { NetworkWatch } = await import('../pages/network-watch.ts')
  const { serveNetwork } = await import('../pages/network-server.ts')
  const watch = new NetworkWatch({
    network: readNetwork(join(dir, 'network.toml')).network, names: Object.values(nodeNames(plan)).flat(), isUp: name => supervisor.names().includes(name),
    ask: async (name, operation) => await callControl(join(dir, name), operation, {}, ASK_TIMEOUT), clock: systemClock
  })
  const server = await serveNetwork(watch, port)
  void watch.take()
  return {
    address: `http://127.0.0.1:${server.port}/`,
    close: async () => {
      await server.close()
      await watch.stop()
    }
  }
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

function welcome (dir: string, page: string | null): string {
  return `
The network runs.${page === null ? '' : ` Its page: ${page}`}
In another terminal:

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
