/** Values of the parameters for two kinds of networks. An operator starts from one of them; readers take what is signed. */
import type { Parameters } from './formats.ts'

export type ProfileName = 'default' | 'demo'

const MINUTE = 60_000

const PROFILES: Record<ProfileName, Omit<Parameters, 'services'>> = {
  /** Public networks over the Internet. */
  default: {
    pathLength: 5,
    packetSize: 4608,
    strategy: { kind: 'poisson' },
    meanDelay: 50,
    cover: { send: 100, echoes: 200, pace: 100, loop: 1000 },
    walletGrace: 30_000,
    epochLength: 20 * MINUTE,
    epochGrace: 4 * MINUTE,
    clockSkew: 30_000,
    // Times 4608 bytes: 72 MiB.
    queueLimit: 1 << 14,
    replayLimit: 1 << 22,
    requestLimit: 1 << 18,
    surbsPerPacket: 4,
    answerKept: 10 * MINUTE
  },
  /** One machine: short delays, so that a story can be told in a minute. No anonymity against whoever runs it. */
  demo: {
    pathLength: 5,
    packetSize: 4608,
    strategy: { kind: 'poisson' },
    meanDelay: 5,
    cover: { send: 20, echoes: 200, pace: 20, loop: 1000 },
    walletGrace: 30_000,
    epochLength: 20 * MINUTE,
    epochGrace: 2 * MINUTE,
    clockSkew: 5_000,
    queueLimit: 1 << 12,
    replayLimit: 1 << 20,
    requestLimit: 1 << 18,
    surbsPerPacket: 4,
    answerKept: 2 * MINUTE
  }
}

/** @param services parameters of the services, as their own code encodes them */
export function profile (name: ProfileName, services: Uint8Array): Parameters {
  return { ...PROFILES[name], services }
}
