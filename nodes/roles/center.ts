/** The daemon of a coin validation center. */
import { toHex } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import { drive } from '@mixmint/core/kit/saga'
import { CenterEngine } from '@mixmint/core/cash/center'
import { CenterListing } from '@mixmint/core/cash/formats'
import { CENTER_PROTOCOL, CenterReply, CenterRequest } from '@mixmint/core/cash/messages'
import { refusal } from '@mixmint/core/cash/refusal'
import type { Daemon, Role } from './role.ts'
import { centerId } from '../layout.ts'
import { Participant } from '../participant.ts'
import { openMoney } from '../store/money.ts'
import { voteKeys } from '../vote-keys.ts'

const PATIENCE = 120_000
const LONGEST_REQUEST = 16 * 1024

export async function startCenter (daemon: Daemon): Promise<Role> {
  const { config, suite, ports, counters } = daemon
  let center = new Uint8Array(0)
  const participant = await Participant.start({
    ...daemon,
    listing: {
      role: 'service', kind: 'center', body: async () => encode(CenterListing, { center: centerId(suite, daemon.peer) }),
      listen: config.listen, entry: config.entry, mixKeys: null
    }
  })
  center = new Uint8Array(centerId(suite, daemon.peer))
  // A vote is under this id: another center's store would make it vote twice. Its vote keys may change; what it voted for stays.
  const money = await openMoney(ports.store, config.postgresFile, `center ${toHex(center)} of ${config.network.network}`)
  const engine = new CenterEngine({ suite, id: center, voteKeys: voteKeys(suite, config.dir, daemon.passphrase), registry: participant.registry, meter: counters })
  const noEffects = async (): Promise<never> => { throw new MixmintError('internal', 'us', 'a center has no effects of its own') }
  await participant.ready(PATIENCE)
  const close = await participant.serve(CENTER_PROTOCOL, async body => {
    let request: CenterRequest
    try {
      request = decode(CenterRequest, body, LONGEST_REQUEST)
    } catch (error) {
      counters.count('bad_request')
      return encode(CenterReply, refusal(error))
    }
    return encode(CenterReply, await drive(engine.handle(request), { ...ports, store: money.store }, noEffects))
  }, { maxRequest: LONGEST_REQUEST })
  await participant.listed(PATIENCE)
  return {
    operations: {},
    status: async () => ({ epoch: participant.keeper.view()?.epoch ?? -1, center: toHex(center) }),
    evidence: participant.keeper.evidence,
    stop: async () => {
      await close()
      await participant.stop()
      await money.close()
    }
  }
}
