/** What a service tells of itself, whatever it sells. */
import { equal } from '@mixmint/core/kit/bytes'
import type { Millis } from '@mixmint/core/kit/ports'
import { keysetReadings, mixerTold, participantReadings, ringReadings, type Reading, type Told } from '../metrics/readings.ts'
import type { Service } from '../service.ts'
import { connectionKinds } from './connections.ts'

/** @param bank with whose money it deals: other banks' keysets are for others to watch */
export function serviceTold ({ participant, mixer }: Service, now: Millis, bank: Uint8Array, own: readonly Reading[]): Told {
  const { readings, ...histograms } = mixerTold(mixer)
  const keysets = participant.registry().keysets().filter(({ keyset }) => equal(keyset.bank, bank))
  return {
    ...histograms,
    readings: [
      ...participantReadings(participant), ...readings, ...keysetReadings(keysets, now), ...ringReadings(participant.keeper.view(), keysets, now),
      ...Object.entries(connectionKinds(participant)).map(([kind, count]): Reading => ['connections', count, { kind }]), ...own
    ]
  }
}
