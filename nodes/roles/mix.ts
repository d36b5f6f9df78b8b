/** The daemon of a mix, and of a gateway: a mix that wallets attach to. */
import type { Daemon, Role } from './role.ts'
import { missingOf, mixerTold, participantReadings } from '../metrics/readings.ts'
import { Mixer } from '../mixer.ts'
import { Participant } from '../participant.ts'
import { claimStore } from '../store/about.ts'
import { MIGRATIONS } from '../store/migrations.ts'

export async function startMix (daemon: Daemon): Promise<Role> {
  const { config } = daemon
  const role = config.role === 'gateway' ? 'gateway' : 'mix'
  await claimStore(daemon.ports.store, `${role} of ${config.network.network}`, MIGRATIONS[role])
  const mixer = new Mixer(daemon, config.dir)
  const participant = await Participant.start({
    ...daemon,
    listing: { role, kind: '', body: async () => new Uint8Array(0), places: config, mixKeys: mixer.keys, onKeys: mixer.onKeys },
    onDocument: mixer.onDocument
  })
  const view = await participant.inForce()
  await participant.listed()
  // Last: from here on, what is told to stop has packets inside.
  const { entry } = participant
  await mixer.start(participant, view, entry === null ? null : { host: entry, packets: config.walletPackets })
  return {
    operations: {},
    evidence: participant.keeper.evidence,
    reach: async addresses => await participant.reach(addresses),
    told: async () => {
      const { readings, ...histograms } = mixerTold(mixer)
      const layer = participant.keeper.view()?.byPeer(participant.host.peer)?.layer
      return { ...histograms, readings: [...participantReadings(participant), ...readings, ...role === 'mix' && layer !== undefined ? [['mix_layer', layer] as const] : []] }
    },
    missing: () => missingOf(participant, true),
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
