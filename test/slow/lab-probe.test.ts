/**
 * The lab's probes against a network of processes: as it should be it is as foreseen, a mix that is held up is named, and
 * one that is gone is named for what it loses.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import type { ProbeSummary } from '../../lab/live/analysis.ts'
import { startNetwork } from '../../nodes/cli/up.ts'
import { Stage } from '../../nodes/demo/stage.ts'
import { loadOrCreateIdentity } from '../../nodes/identity.ts'
import { createNetwork, SMALL_NETWORK, type NetworkPlan } from '../../nodes/layout.ts'

/** Delays so long that those of a busy machine are small beside them. */
const PLAN: NetworkPlan = {
  ...SMALL_NETWORK, authorities: 1, gateways: 1, mixesPerLayer: 2, centers: 4,
  parameters: { meanDelay: 50, cover: { send: 40, echoes: 400, pace: 20, loop: 1000 } }
}
const LAB = resolve('lab/bin/mixmint-lab.js')
const HELD = { stopped: 400, running: 200 }

let stage: Stage

beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mixmint-test-'))
  await createNetwork(await defaultSuite(), dir, PLAN)
  stage = new Stage(dir, PLAN)
  await startNetwork(stage.supervisor, PLAN, true)
})

afterAll(async () => {
  await stage.stop()
  rmSync(stage.dir, { recursive: true, force: true })
})

async function lab (...words: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [LAB, ...words], { timeout: 200_000, maxBuffer: 1 << 24 })
  return stdout
}

async function probe (name: string, ...words: string[]): Promise<ProbeSummary> {
  return JSON.parse(await lab('probe', '--net', stage.dir, '--out', join(stage.dir, name), '--json', ...words)) as ProbeSummary
}

function peerOf (name: string): string {
  return peerIdFromPrivateKey(loadOrCreateIdentity(join(stage.dir, name, 'identity.key'))).toString()
}

test('a network as it should be: round trips are as foreseen, and nobody is named', async () => {
  // A machine that has too much else to do is a departure, which is said, and passes.
  let summary = await probe('right', '--probes', '300')
  for (let again = 0; again < 2 && summary.departs.length > 0; again++) summary = await probe('right', '--probes', '300')
  const { ks, probes, departs, nodes } = summary
  expect(probes).toMatchObject({ ended: 300, lost: 0 })
  expect(nodes.map(({ layer }) => layer).sort()).toEqual(['gateways', ...[1, 2, 3].flatMap(layer => [`layer ${layer}`, `layer ${layer}`]), 'services', 'services'])
  expect(departs).toEqual([])
  expect(ks?.p).toBeGreaterThan(0.01)
  // What was measured runs in the simulator.
  await lab('run', join(stage.dir, 'right', 'scenario.toml'), '--out', join(stage.dir, 'simulated'))
  expect(readFileSync(join(stage.dir, 'right', 'report.html'), 'utf8')).toContain('<svg')
})

test('over a chosen path each probe passes these mixes, there and back', async () => {
  const path = ['mix-1-1', 'mix-2-2', 'mix-3-1'].map(peerOf)
  const { nodes } = await probe('path', '--probes', '10', '--path', path.map(peer => peer.slice(-12)).join(','))
  expect(nodes.filter(({ layer }) => layer.startsWith('layer')).map(({ node, visits }) => [node, visits])).toEqual(path.map(peer => [peer, 20]))
})

test('a mix that is stopped again and again is slow, and no other is', async () => {
  const slow = stage.supervisor.pid('mix-2-1')
  let over = false
  const pause = async (ms: number): Promise<void> => { await new Promise(resolve => setTimeout(resolve, ms)) }
  const holding = (async () => {
    while (!over) {
      process.kill(slow, 'SIGSTOP')
      await pause(HELD.stopped)
      process.kill(slow, 'SIGCONT')
      await pause(HELD.running)
    }
  })()
  try {
    const { nodes, ks } = await probe('slow', '--probes', '300')
    expect(nodes.filter(({ slow }) => slow).map(({ node }) => node)).toEqual([peerOf('mix-2-1')])
    expect(ks?.p).toBeLessThan(0.01)
  } finally {
    over = true
    await holding
  }
})

test('a mix that is gone loses packets, and no other does', async () => {
  await stage.supervisor.kill('mix-3-2')
  const { nodes, probes } = await probe('lossy', '--probes', '200')
  expect(probes.lost).toBeGreaterThan(100)
  const lossy = nodes.filter(({ lossy }) => lossy)
  expect(lossy.map(({ node }) => node)).toEqual([peerOf('mix-3-2')])
  expect(lossy[0].loss.low).toBeGreaterThan(0.8)
})
