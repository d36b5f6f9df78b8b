/** The daemon of a mix, and of a gateway: a mix that wallets attach to. */
import type { Daemon, Role } from './role.ts'
import { Mixer } from '../mixer.ts'
import { Participant } from '../participant.ts'

const PATIENCE = 120_000

export async function startMix (daemon: Daemon): Promise<Role> {
  const { config } = daemon
  const role = config.role === 'gateway' ? 'gateway' : 'mix'
  const mixer = new Mixer(daemon, config.dir)
  const participant = await Participant.start({
    ...daemon,
    listing: { role, kind: '', body: async () => new Uint8Array(0), listen: config.listen, entry: config.entry, mixKeys: mixer.keys, onKeys: mixer.onKeys },
    onDocument: mixer.onDocument
  })
  const view = await participant.ready(PATIENCE)
  await participant.listed(PATIENCE)
  // Last: from here on, what is told to stop has packets inside.
  const { entry } = participant
  await mixer.start(participant, view, entry === null ? null : { host: entry, packets: config.walletPackets })
  return {
    operations: {},
    evidence: participant.keeper.evidence,
    // Without a document in force, too: then most of all it is asked what is wrong.
    status: async () => {
      const now = participant.keeper.view()
      return { epoch: now?.epoch ?? -1, layer: now?.byPeer(participant.host.peer)?.layer ?? -1, ...mixer.status() }
    },
    stop: async () => {
      await mixer.stop(config.drainLimit)
      await participant.stop()
    }
  }
}
