/** `mixmint kat`, `mixmint proof`, `mixmint directory`: things that need no daemon of one's own. */
import type { Command } from 'commander'
import { toHex } from '@mixmint/core/kit/bytes'
import { SERVICE_LAYER } from '@mixmint/mixnet/directory/document'
import { callControl, type Json } from '../control.ts'
import type { Proven } from '../proof.ts'
import { EXIT, report, table } from './output.ts'
import { defaultNet } from './options.ts'
import { readText } from './texts.ts'

export function addTools (program: Command): void {
  program.command('kat').description('known-answer tests: check vector files (Sphinx, blind signatures) against both cryptographic suites')
    .argument('<files...>', 'JSON files in the formats of test/vectors')
    .option('--json', 'print the result as JSON')
    .action(async (files: string[], { json }: { json?: boolean }) => {
      await report(json === true, async () => {
        const { runKat } = await import('../kat.ts')
        const results = await runKat(files)
        if (results.some(result => result.failures.length > 0)) process.exitCode = EXIT.refused
        const lines = results.map(({ file, suite, failures }) => [failures.length === 0 ? 'ok' : 'FAILED', suite, file, failures.join('; ')])
        return { json: { results: results.map(r => ({ ...r })) }, human: table(lines) }
      })
    })

  const proof = program.command('proof').description('proofs that anyone can check')
  proof.command('verify').description('check proofs, one a line: two spends of one coin, votes of a center that no honest one gives, two descriptors of a bank for one time, or two statements of a directory authority that contradict each other')
    .argument('<file>', 'the file, or - for standard input')
    .option('--json', 'print the result as JSON')
    .action(async (file: string, { json }: { json?: boolean }) => {
      await report(json === true, async () => {
        const { verifyProofText } = await import('../proof.ts')
        const proven = []
        for (const line of readText(file).split('\n')) proven.push(await verifyProofText(line))
        const all = proven.map(each => ({ json: Object.fromEntries(Object.entries(each).map(([name, value]) => [name, value instanceof Uint8Array ? toHex(value) : value as Json])), human: sentence(each) }))
        return { json: { valid: true, ...all[0].json, proofs: all.map(({ json }) => json) }, human: all.map(({ human }) => `VALID: ${human}`).join('\n') }
      })
    })

  const directory = program.command('directory').description('the document that all clients share')
  directory.command('evidence').description('what a running node holds against directory authorities and banks that signed two things: proofs, one a line')
    .requiredOption('--dir <dir>', 'the node\'s folder')
    .option('--json', 'print the result as JSON')
    .action(async ({ dir, json }: { dir: string, json?: boolean }) => {
      await report(json === true, async () => {
        const { proofs } = await callControl(dir, 'evidence') as { proofs: string[] }
        return { json: { proofs }, human: proofs.join('\n') }
      })
    })
  directory.command('entry').description('what the operator of a node hands to others: of an authority, for network.toml; of any other node, for the authorities\' lists')
    .requiredOption('--dir <dir>', 'the node\'s folder, as `mixmint init` made it')
    .option('--json', 'print the result as JSON')
    .action(async ({ dir, json }: { dir: string, json?: boolean }) => {
      await report(json === true, async () => {
        const { defaultSuite } = await import('@mixmint/core/crypto/choose')
        const { entryOfNode } = await import('../node-folder.ts')
        const { passphraseOfEnvironment } = await import('../passphrase-source.ts')
        const { entry, toml } = entryOfNode(await defaultSuite(), dir, passphraseOfEnvironment(), { environment: process.env })
        return { json: { ...entry }, human: toml }
      })
    })
  directory.command('show').description('the nodes of the network in this epoch')
    .option('--net <dir>', 'the network\'s folder', defaultNet())
    .option('--json', 'print the result as JSON')
    .action(async ({ net, json }: { net: string, json?: boolean }) => {
      await report(json === true, async () => {
        const { showDirectory } = await import('../directory-show.ts')
        const shown = await showDirectory(net)
        return {
          json: { ...shown, nodes: shown.nodes.map(n => ({ ...n })) },
          human: [`network ${shown.network}, epoch ${shown.epoch}, until ${shown.validUntil}, signed by ${shown.signatures} of ${shown.authorities} authorities`,
            table([['LAYER', 'ROLE', 'PEER', 'ADDRESS'], ...shown.nodes.map(n => [n.layer === SERVICE_LAYER ? '-' : String(n.layer), n.role, n.peer, n.address])])].join('\n')
        }
      })
    })
}

function sentence (proven: Proven): string {
  switch (proven.kind) {
    case 'double-spend':
      return `the owner of coin ${toHex(proven.coin).slice(0, 16)}… (${proven.value} ${proven.unit}, bank ${toHex(proven.bank).slice(0, 16)}…) signed it over to two different contracts`
    case 'equivocation':
      return `the directory authority ${toHex(proven.authority)} of the network ${proven.network} signed two different things as its ${proven.what} for epoch ${proven.epoch}`
    case 'bank-conflict':
      return `the bank ${toHex(proven.bank)} of the network ${proven.network} signed two ${CONFLICTS[proven.conflict]}`
    case 'center-fault':
      return `the center ${toHex(proven.center)} (vote key ${toHex(proven.voteKey)}, ring ${toHex(proven.ring).slice(0, 16)}… of bank ${toHex(proven.bank).slice(0, 16)}…) ` +
        (proven.fault === 'twice' ? 'voted for two spends of one coin: it lies, or was restored from an old disk' : 'voted for a coin that other centers keep')
  }
}

const CONFLICTS = { keysets: 'keysets that issue at one time', dayKeys: 'token keys for one day', sealedKeys: 'sets of keys for sealed tokens of one day' }
