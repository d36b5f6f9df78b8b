/** The mixing part of a node: which keys it uses, and that later documents govern it. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import type { Parameters } from '@mixmint/mixnet/directory/formats'
import type { MixKey } from '@mixmint/mixnet/directory/keys'
import { signDocument } from '@mixmint/mixnet/directory/document'
import { DirectoryView } from '@mixmint/mixnet/directory/view'
import type { MixNode } from '@mixmint/mixnet/wire/mix-node'
import { systemRng } from '../../nodes/clock.ts'
import { Mixer } from '../../nodes/mixer.ts'
import { Counters } from '../../nodes/observe.ts'
import type { Participant, Surroundings } from '../../nodes/participant.ts'
import { authorityKeys, EPOCH, PARAMETERS, START, testDocument, testNetwork } from '../doubles/directory.ts'
import { startHost } from '../mixnet/hosts.ts'

const suite = await defaultSuite()
const [authority] = authorityKeys(suite, 1)
let dir: string
const mixers: Mixer[] = []
beforeEach(() => { dir = mkdtempSync(join(tmpdir(), 'mixmint-mixer-')) })
afterEach(async () => {
  await Promise.all(mixers.splice(0).map(async mixer => { await mixer.stop(50) }))
  rmSync(dir, { recursive: true, force: true })
})

function viewOf (parameters: Partial<Parameters> = {}, epoch = EPOCH): DirectoryView {
  return new DirectoryView(signDocument(suite, authority, testDocument(suite, testNetwork(), { epoch, parameters: { ...PARAMETERS, ...parameters } })))
}

function keyOf (epoch: number, isNew: boolean): MixKey {
  const secret = suite.sha256(Uint8Array.of(epoch - EPOCH + 9))
  const from = epoch * PARAMETERS.epochLength - PARAMETERS.epochGrace
  return { epoch, secret, publicKey: suite.x25519Base(secret), from, until: from + PARAMETERS.epochLength + 2 * PARAMETERS.epochGrace, isNew }
}

/** A mixer of a node in the folder, and the codes of the errors it has logged. */
async function mixerOf (keys: readonly MixKey[]): Promise<{ mixer: Mixer, errors: unknown[], start: () => Promise<MixNode> }> {
  const errors: unknown[] = []
  const log = { info: () => {}, warn: () => {}, error: (_: string, fields: object = {}) => { errors.push(fields) } }
  const ports = { clock: { now: () => START + 1000 }, rng: systemRng }
  const mixer = new Mixer({ suite, log, ports, counters: new Counters() } as unknown as Surroundings, dir)
  const host = await startHost()
  const participant = { host, keeper: { view: () => viewOf() }, isListed: () => true } as unknown as Participant
  mixer.onKeys({ added: keys, destroyed: [], failure: null, next: 0 })
  return {
    mixer,
    errors,
    start: async () => {
      mixers.push(mixer)
      return await mixer.start(participant, viewOf())
    }
  }
}

const files = (): string[] => readdirSync(join(dir, 'seen')).sort()

test('new keys have files for their tags before anything comes under them, and lose them with the keys', async () => {
  const keys = [keyOf(EPOCH, true), keyOf(EPOCH + 1, true)]
  const { mixer, errors, start } = await mixerOf(keys)
  expect(files()).toEqual([`${EPOCH}.tags`, `${EPOCH + 1}.tags`])
  await start()
  mixer.onKeys({ added: [], destroyed: [keys[0]], failure: null, next: 0 })
  expect(files()).toEqual([`${EPOCH + 1}.tags`])
  expect(errors).toEqual([])
})

test('a key that was in use, and whose tags are gone, is not used; those of later epochs are', async () => {
  const first = await mixerOf([keyOf(EPOCH, true), keyOf(EPOCH + 1, true)])
  await first.start()
  await mixers.splice(0)[0].stop(50)
  rmSync(join(dir, 'seen'), { recursive: true })

  const { mixer, errors, start } = await mixerOf([keyOf(EPOCH, false), keyOf(EPOCH + 1, false)])
  await start()
  expect(errors).toEqual([{ code: 'seen-log-damaged', epoch: EPOCH }])
  expect(files()).toEqual([`${EPOCH + 1}.tags`])
  // Nor later: it is said again, once for each document.
  mixer.onDocument(viewOf())
  expect(errors).toHaveLength(2)
})

test('after a restart keys are used with their tags', async () => {
  for (const isNew of [true, false]) {
    const { errors, start } = await mixerOf([keyOf(EPOCH, isNew)])
    await start()
    await mixers.splice(0)[0].stop(50)
    expect(errors).toEqual([])
  }
})

test('the documents of later epochs govern it', async () => {
  const { mixer, start } = await mixerOf([keyOf(EPOCH, true)])
  const setEpoch = vi.spyOn(await start(), 'setEpoch')
  const later = viewOf({ queueLimit: 7, strategy: { kind: 'timed', interval: 20 } }, EPOCH + 1)
  mixer.onDocument(later)
  expect(setEpoch.mock.calls).toEqual([[EPOCH + 1, later.parameters]])
})
