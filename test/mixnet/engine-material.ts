/** A MixEngine under test: with sensible parameters, a key, and open doors. */
import { MixEngine, type MixCounts, type MixEffect, type MixEngineOptions, type MixEvent, type MixParameters, type Topology } from '@mixmint/mixnet/mixing/engine'
import type { EpochKey } from '@mixmint/mixnet/mixing/keyring'
import { seededRng } from '../doubles/rng.ts'
import { MEAN, blockOf, keyOf, linkOf, peerOf, suite } from './mix-material.ts'

export const KEY: EpochKey = keyOf(1)
export const NEXT = blockOf('next')
export const rng = seededRng('engine')
export const PARAMETERS: MixParameters = { strategy: { kind: 'poisson' }, meanDelay: MEAN, packetSize: 4608, queueLimit: 1000, replayLimit: 1000 }

export const packet = (bytes: Uint8Array, from = linkOf('before')): MixEvent => ({ kind: 'packet', from, packet: bytes })
/** An epoch begins. */
export const turn = (epoch: number, parameters: Partial<MixParameters> = {}): MixEvent => ({ kind: 'epoch', epoch, parameters: { ...PARAMETERS, ...parameters } })

export function engineWith (parameters: Partial<MixParameters> = {}, topology: Partial<Topology> = {}, rest: Partial<MixEngineOptions> = {}): MixEngine {
  return new MixEngine({
    suite,
    self: peerOf('mix'),
    parameters: { ...PARAMETERS, ...parameters },
    topology: { mayForward: () => true, mayReachWallet: () => true, ...topology },
    ...rest
  })
}

/** With the key of epoch 1, which is current. */
export function ready (parameters: Partial<MixParameters> = {}, topology: Partial<Topology> = {}): MixEngine {
  const engine = engineWith(parameters, topology)
  engine.handle({ kind: 'install', key: KEY }, 0, rng)
  engine.handle(turn(1, parameters), 0, rng)
  return engine
}

/** Let everything leave that leaves by itself, at its deadlines. */
export function runOut (engine: MixEngine, log: (effect: MixEffect, at: number) => void = () => {}): void {
  let turns = 0
  for (let at = engine.nextDeadline(); at !== undefined; at = engine.nextDeadline()) {
    if (++turns > 10_000) throw new Error('the engine names deadlines at which nothing is due')
    for (const effect of engine.handle({ kind: 'timer' }, at, rng)) log(effect, at)
  }
}

/** All that became of packets. */
export function total ({ forwarded, delivered, queued, dropped }: MixCounts): number {
  return forwarded + delivered + queued + Object.values(dropped).reduce((sum, n) => sum + n, 0)
}
