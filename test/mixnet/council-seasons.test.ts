/**
 * Fifty epochs on end, on a virtual clock: every fifth message is lost, and processes are killed between any two writes. What was
 * written stays, what was not is gone. Never are there two documents of one epoch; how many epochs have one in time is counted.
 */
import { describe, expect, it } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { encode } from '@mixmint/core/kit/codec'
import { isMixmintError } from '@mixmint/core/kit/errors'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { DirectoryClient } from '@mixmint/mixnet/directory/client'
import { quorum } from '@mixmint/mixnet/directory/document'
import { Document } from '@mixmint/mixnet/directory/formats'
import { Council, TINY } from '../doubles/council.ts'
import { EPOCH, PARAMETERS } from '../doubles/directory.ts'
import { randomOf } from '../doubles/rng.ts'

const suite = await defaultSuite()
const { epochLength } = PARAMETERS
const LEAD = epochLength / 8
const EPOCHS = 50
/** So often each of the four is asked for what it has to do: at the latest a second after the time before. */
const STEP = 500

interface Season {
  /** Epochs of which a quorum had signed a document before they began, and before they ended. */
  inTime: number
  late: number
  kills: number
}

/** @param kills one write in so many ends the process, before it or after it; 0: none */
async function season (seed: number, kills: number): Promise<Season> {
  const random = randomOf(seed)
  const council = await Council.of(suite, 4, TINY)
  council.loses = () => random(5) === 0
  const clients = [0, 1, 2].map(() => new DirectoryClient(suite, council.trust))
  const result: Season = { inTime: 0, late: 0, kills: 0 }
  const isAnywhere = (epoch: number): boolean => council.seats.some(({ authority }) => authority.status.epoch >= epoch)
  /** One after the other in any order, as their processes would. */
  const step = async (): Promise<void> => {
    for (const i of [0, 1, 2, 3].sort(() => random(3) - 1)) {
      const { store } = council.seats[i]
      if (kills > 0 && store.fails.inBatches === 0) store.fails = { inBatches: 1 + random(2 * kills), kept: random(2) === 0 }
      const before = council.seats[i].authority
      for (const j of [0, 1, 2, 3]) if (i !== j && council.seats[i].authority === before) await council.crashing(i, async () => await council.pull(i, j))
      if (council.seats[i].authority === before) await council.crashing(i, async () => await council.tick(i))
      if (council.seats[i].authority !== before) result.kills += 1
    }
    council.advance(STEP)
  }
  for (let epoch = EPOCH + 1; epoch <= EPOCH + EPOCHS; epoch++) {
    const start = epoch * epochLength
    council.advance(start - LEAD - council.seats[0].clock.now())
    for (const { store } of council.seats) store.fails = { inBatches: 0, kept: false }
    await council.publishAll()
    while (!isAnywhere(epoch) && council.seats[0].clock.now() < start) await step()
    if (isAnywhere(epoch)) result.inTime += 1
    // The others come by it, or it comes late.
    while (council.honest.some(i => council.seats[i].authority.status.epoch < epoch) && council.seats[0].clock.now() < start + epochLength / 8) await step()
    if (isAnywhere(epoch)) result.late += 1
    for (const i of council.honest) {
      const signed = await council.get(i, epoch)
      if (signed === null) continue
      try {
        clients[random(3)].accept(signed, council.seats[0].clock.now())
      } catch (error) {
        if (!isMixmintError(error)) throw error
      }
    }
    const held = new Set(clients.flatMap(client => client.of(epoch)?.signed.document ?? []).map(document => toHex(encode(Document, document))))
    expect(held.size).toBeLessThanOrEqual(1)
    expect(council.valid(epoch, quorum(4)).length).toBeLessThanOrEqual(1)
  }
  for (const client of clients) expect(client.takeProofs()).toEqual([])
  for (const { authority } of council.seats) expect(authority.evidence.proofs).toEqual([])
  return result
}

describe('four authorities over fifty epochs, with every fifth message lost', () => {
  it.each([1, 2])('have a document of each in time (%i)', async seed => {
    expect(await season(seed, 0)).toMatchObject({ inTime: EPOCHS, late: EPOCHS })
  })

  it.each([3, 4])('and killed every few writes, too (%i)', async seed => {
    const { inTime, late, kills } = await season(seed, 12)
    expect({ inTime, late }).toEqual({ inTime: EPOCHS, late: EPOCHS })
    expect(kills).toBeGreaterThan(EPOCHS)
  })
})
