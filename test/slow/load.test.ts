/** The whole network at its limit for a little while, then with nodes killed, too: `npm run load` and `npm run chaos` do it for as long as asked. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startNetwork } from '../../nodes/cli/up.ts'
import { Stage } from '../../nodes/demo/stage.ts'
import { createNetwork, SMALL_NETWORK, type NetworkPlan } from '../../nodes/layout.ts'
import { seededRng } from '../doubles/rng.ts'
import { endure } from '../load/endure.ts'
import { suite } from '../mixnet/mix-material.ts'

const PLAN: NetworkPlan = { ...SMALL_NETWORK, gateways: 1, mixesPerLayer: 1, centers: 4 }

test('under load nothing but busy is answered; where nodes are killed, nothing is lost and nothing doubled', async () => {
  const stage = new Stage(mkdtempSync(join(tmpdir(), 'mixmint-load-')), PLAN)
  try {
    await createNetwork(suite, stage.dir, PLAN)
    await startNetwork(stage.supervisor, PLAN, true)
    const report = await endure(stage, { people: 4, duration: 30_000, kills: { from: 15_000, until: 30_000, every: 4_000 }, rng: seededRng('load') })
    expect(report.wrong).toEqual([])
    expect(report.fallen).toEqual([])
    expect([...report.refused.keys()].filter(code => code !== 'busy')).toEqual([])
    expect(report.refusedInChaos.has('internal')).toBe(false)
    expect(report.kills).toBeGreaterThan(0)
  } finally {
    await stage.stop()
    rmSync(stage.dir, { recursive: true, force: true })
  }
})
