/** The daemon of a coin validation center. */
import { toHex } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import { drive, type Saga } from '@mixmint/core/kit/saga'
import { CenterEngine } from '@mixmint/core/cash/center'
import { CenterListing } from '@mixmint/core/cash/formats'
import { CENTER_PROTOCOL, CenterReply, CenterRequest } from '@mixmint/core/cash/messages'
import { refusal } from '@mixmint/core/cash/refusal'
import { knownTime } from '@mixmint/core/cash/steady-clock'
import type { Daemon, Role } from './role.ts'
import { centerId } from '../node-folder.ts'
import { centerReadings, keysetReadings, missingOf, participantReadings, ringReadings } from '../metrics/readings.ts'
import { Participant } from '../participant.ts'
import { checkMark, StoreMark } from '../store/mark.ts'
import { MIGRATIONS } from '../store/migrations.ts'
import { openMoney } from '../store/money.ts'
import { voteKeys } from '../vote-keys.ts'

const LONGEST_REQUEST = 16 * 1024

export async function startCenter (daemon: Daemon): Promise<Role> {
  const { config, suite, ports, counters, log } = daemon
  let center = new Uint8Array(0)
  const participant = await Participant.start({
    ...daemon,
    listing: {
      role: 'service', kind: 'center', body: async () => encode(CenterListing, { center: centerId(suite, daemon.peer) }),
      places: config, mixKeys: null
    }
  })
  center = new Uint8Array(centerId(suite, daemon.peer))
  // A vote is under this id: another center's store would make it vote twice. Its vote keys may change; what it voted for stays.
  const money = await openMoney(ports.store, config.postgresFile, `center ${toHex(center)} of ${config.network.network}`, MIGRATIONS.center)
  const keys = voteKeys(suite, config.dir, daemon.passphrase)
  const engine = new CenterEngine({ suite, id: center, voteKeys: keys, registry: participant.registry, meter: counters })
  const run = async <T>(saga: Saga<T>): Promise<T> => await drive<T, never>(saga, { ...ports, store: money.store }, async () => { throw new MixmintError('internal', 'us', 'a center has no effects of its own') })
  const known = async (): Promise<number> => await run(knownTime())
  // Before it waits for the directory, which says what keys stand in rings.
  checkMark(config.dir, await known(), config.restoredAt)
  await participant.inForce()
  const mark = await StoreMark.open({
    dir: config.dir, known, restoredAt: config.restoredAt, declare: async time => { await run(engine.declareLoss(time)) }, log, fail: daemon.fail
  })
  const silent = await run(engine.silent())
  if (silent.has(toHex(keys[0].publicKey))) {
    log.error('this center lost data while its vote key was in use, and votes for no further coin: make a new one with `mixmint ring entry --new-key`, give up the old one with `mixmint ring retire`, and start again (docs/keysets.md)', { code: 'center-forgot' })
  }
  const close = await participant.serve(CENTER_PROTOCOL, async body => {
    let request: CenterRequest
    try {
      request = decode(CenterRequest, body, LONGEST_REQUEST)
    } catch (error) {
      counters.count('bad_request', { via: 'direct' })
      return encode(CenterReply, refusal(error))
    }
    const reply = await run(engine.handle(request))
    if (reply.is === 'refused') mark.judge(reply, engine.seen)
    return encode(CenterReply, reply)
  }, { maxRequest: LONGEST_REQUEST })
  await participant.listed()
  return {
    operations: {},
    status: async () => ({ epoch: participant.keeper.view()?.epoch ?? -1, center: toHex(center), silentKeys: silent.size }),
    evidence: participant.keeper.evidence,
    reach: async addresses => await participant.reach(addresses),
    told: async () => {
      const now = ports.clock.now()
      const keysets = participant.registry().keysets()
      return {
        readings: [
          ...participantReadings(participant), ...keysetReadings(keysets, now), ...ringReadings(participant.keeper.view(), keysets, now),
          ...centerReadings(center, keys.map(({ publicKey }) => toHex(publicKey)), keysets, now)
        ]
      }
    },
    missing: () => missingOf(participant, true),
    money: money.store,
    stop: async () => {
      mark.stop()
      await close()
      await participant.stop()
      await money.close()
    }
  }
}
