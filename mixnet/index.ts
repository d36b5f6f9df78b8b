/**
 * @mixmint/mixnet: anonymous requests for js-libp2p, over a Chaum mix network that speaks LIBP2P-MIX (LIP-99).
 *
 * `mix(init)` is a libp2p service; with it a node asks others without their learning who asks, serves protocols to those
 * who ask so, or is a mix of the network. README.md shows each of these.
 */
export { mix } from './service/mix.ts'
export type { MixComponents, MixDialOptions, MixService, MixStatus } from './service/api.ts'
export type { DirectoryInit, ExitInit, MixInit, MixLimits, NetworkParameters, RelayInit } from './service/init.ts'
export type { Admit } from './abuse/admit.ts'
export { RateLimit, type Rate, type RateLimits } from './abuse/rate-limit.ts'
export type { MixPool, MixPoolEntry, MixPoolStatus } from './service/mix-pool.ts'
export type { Destination } from './service/destination.ts'
export type { Leave, MixStream } from './service/stream.ts'
export { exactly, lengthPrefixed, untilEnd, type ReplyRule } from './service/reply-rule.ts'
export { ANONYMOUS, isAnonymous } from './service/connection.ts'
export { isMixmintError, MixmintError, type Fault } from '@mixmint/core/kit/errors'
export type { Meter, Store } from '@mixmint/core/kit/ports'
export type { Suite } from '@mixmint/core/crypto/suite'
