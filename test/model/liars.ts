/** Centers that do not do what they promised. One of them may be in every group of keepers (f = 1). */
import { coinId } from '@mixmint/core/cash/coin'
import type { CenterReply, CenterRequest } from '@mixmint/core/cash/messages'
import { signVote } from '@mixmint/core/cash/spend'
import { suite } from '../doubles/economy.ts'
import { Disk } from './disk.ts'
import type { Center, Liar } from './parties.ts'

/** To its owner, each of them says that nothing is recorded of a coin. */
function vote (center: Center, request: CenterRequest, d?: Uint8Array): CenterReply {
  if (request.op === 'look') return { is: 'recorded', spend: null }
  const { spend } = request
  return { is: 'vote', vote: signVote(suite, center.voteKey, center.id, center.world.economy.registry.keyset(spend.coin.keyset).ring.id, coinId(suite, spend.coin), d ?? spend.d) }
}

export const LIARS = {
  /** Votes for whatever it is asked. */
  twoFaced: (center, request, tell) => { tell(vote(center, request)) },
  /** Says that every coin is spent, with the very spend as the proof. */
  accuser: (center, request, tell) => { tell(request.op === 'look' ? vote(center, request) : { is: 'conflict', first: request.spend }) },
  /** Signs for a d that nobody asked for. */
  forger: (center, request, tell) => { tell(vote(center, request, request.op === 'look' ? undefined : suite.sha256(request.spend.d))) },
  refuser: (_center, _request, tell) => { tell({ is: 'refused', code: 'bad-coin', fault: 'peer', retry: false, message: 'no' }) },
  silent: () => {},
  /** Honest, but hours later. */
  late: (center, request, tell) => {
    center.schedule.after(center.schedule.between(1, 10 * 3_600_000), () => { if (center.isUp) center.honestly(request, tell) })
  },
  /** Was restored from an empty disk, again and again. */
  forgetful: (center, request, tell) => {
    if (center.schedule.chance(0.3)) {
      center.stop()
      center.disk = new Disk()
      center.start()
    }
    center.honestly(request, tell)
  }
} satisfies Record<string, Liar>

export type LiarName = keyof typeof LIARS
