/** `mixmint ring …`: who judges coins. */
import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import { join } from 'node:path'
import { fromHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Json } from '../control.ts'
import { amount, defaultNet, hexKey, whole } from './options.ts'
import { report, table } from './output.ts'
import { readText, writeText } from './texts.ts'

interface SourceOptions { readonly net: string, readonly file?: string, readonly json?: boolean }

/** 256 bytes in hexadecimal. */
function hexSignature (text: string): string {
  if (!/^[0-9a-fA-F]{512}$/.test(text)) throw new InvalidArgumentError('a signature of 512 hexadecimal digits is wanted.')
  return text.toLowerCase()
}

export function addRing (program: Command): void {
  const ring = program.command('ring').description('the centers that judge coins, and which of them keep which')
  const from = (name: string): Command => ring.command(name)
    .option('--net <dir>', 'the network\'s folder: its rings by the directory', defaultNet())
    .option('--file <file>', 'a ring file instead, such as the bank\'s ring.json')
    .option('--json', 'print the result as JSON')

  from('show').description('the rings, the keysets whose coins they judge, their centers and vote keys')
    .action(async (source: SourceOptions) => {
      await report(source.json === true, async () => {
        const { showRings } = await import('../ring-tools.ts')
        const rings = await showRings(source)
        return {
          json: { rings } as unknown as Json,
          human: rings.map(({ id, replicas, faults, quorum, virtualNodesPerWeight, keysets, centers }) => [
            `ring ${id}: ${replicas} keepers a coin, ${quorum} must vote, ${faults} may fail; ${virtualNodesPerWeight} virtual nodes a weight`,
            ...keysets.map(keyset => `  keyset ${keyset.id.slice(0, 16)} (${keyset.unit}): ${keyset.state}, until ${keyset.refundUntil.slice(0, 10)}`),
            table([['CENTER', 'WEIGHT', 'VOTE KEY', 'STATE'], ...centers.map(c => [c.id.slice(0, 16), c.weight, c.voteKey.slice(0, 16), c.revoked ? 'revoked' : c.listed === false ? 'not listed' : 'ok'])], '  ')
          ].join('\n')).join('\n')
        }
      })
    })
  from('locate').description('the keepers of coins: of those in a payment or proof, or of one by its id and signature')
    .argument('[file]', 'what `mixmint wallet offer` or `mixmint merchant proofs` wrote, or - for standard input')
    .option('--coin <hex>', 'coinId', hexKey).option('--signature <hex>', 'the bank\'s signature on it', hexSignature)
    .action(async (file: string | undefined, source: SourceOptions & { coin?: string, signature?: string }) => {
      await report(source.json === true, async () => {
        const { locateCoin, locateText } = await import('../ring-tools.ts')
        const { coin, signature } = source
        if ((file === undefined) === (coin === undefined || signature === undefined)) throw new MixmintError('bad-argument', 'caller', 'a file is wanted, or --coin and --signature')
        const located = file === undefined ? await locateCoin(source, fromHex(coin ?? ''), fromHex(signature ?? '')) : await locateText(source.net, readText(file))
        return {
          json: { coins: located } as unknown as Json,
          human: table([['COIN', 'RING', 'KEEPERS, NEAREST FIRST'], ...located.map(l => [`${l.coin.slice(0, 12)}…`, `${l.ring.slice(0, 12)}…`, l.keepers.map(k => k.slice(0, 16)).join(' ')])])
        }
      })
    })
  from('balance').description('the part of all coins that each center keeps, against an even one by weight')
    .action(async (source: SourceOptions) => {
      await report(source.json === true, async () => {
        const { ringBalance } = await import('../ring-tools.ts')
        const rings = await ringBalance(source)
        const percent = (part: number): string => `${(part * 100).toFixed(1)} %`
        return {
          json: { rings } as unknown as Json,
          human: rings.map(({ ring, least, most, centers }) => [
            `ring ${ring}: from ${percent(least)} to ${percent(most)} of an even part`,
            table([['CENTER', 'WEIGHT', 'KEEPS', 'OF EVEN'], ...centers.map(c => [c.id.slice(0, 16), c.weight, percent(c.share), percent(c.ofEven)])], '  ')
          ].join('\n')).join('\n')
        }
      })
    })
  ring.command('entry').description('what a center\'s operator hands to the bank\'s for its ring file: id, vote key, weight')
    .requiredOption('--dir <dir>', 'the center\'s folder')
    .option('--weight <number>', 'how many centers\' worth of coins it keeps', amount, 1)
    .option('--new-key', 'with a new vote key; the one before is kept for the rings that list it')
    .option('--json', 'print the result as JSON')
    .action(async ({ dir, weight, newKey, json }: { dir: string, weight: number, newKey?: boolean, json?: boolean }) => {
      await report(json === true, async () => {
        const { ringEntryOf } = await import('../ring-tools.ts')
        const entry = await ringEntryOf(dir, weight, newKey === true)
        return { json: { ...entry }, human: JSON.stringify(entry) }
      })
    })
  ring.command('make').description('a bank\'s ring file, of the entries that the centers\' operators hand over')
    .argument('<files...>', 'what `mixmint ring entry` printed, one a line; - for standard input')
    .requiredOption('--out <file>', 'the ring file, such as ring.json in the bank\'s folder')
    .option('--replicas <n>', 'centers that keep a coin', amount, 4).option('--faults <n>', 'of these, how many may fail or lie', whole, 1).option('--quorum <n>', 'how many must vote', amount, 3)
    .option('--virtual-nodes <n>', 'places on the ring for each weight', amount, 512)
    .option('--json', 'print the result as JSON')
    .action(async (files: string[], { out, json, replicas, faults, quorum, virtualNodes }: { out: string, json?: boolean, replicas: number, faults: number, quorum: number, virtualNodes: number }) => {
      await report(json === true, async () => {
        const { ringOfEntries } = await import('../ring-tools.ts')
        const text = await ringOfEntries(files.map(file => ({ where: file, text: readText(file) })), { replicas, faults, quorum, virtualNodesPerWeight: virtualNodes })
        writeText(out, text.trim())
        return { json: { file: out }, human: `written to ${out}` }
      })
    })
  ring.command('retire').description('a center\'s own word that one of its vote keys is not to be counted any more, for `mixmint bank revoke`')
    .requiredOption('--dir <dir>', 'the center\'s folder').requiredOption('--key <hex>', 'the vote key, as `mixmint ring show` prints it with --json', hexKey)
    .option('--net <dir>', 'the network\'s folder', defaultNet())
    .option('--json', 'print the result as JSON')
    .action(async ({ dir, key, net, json }: { dir: string, key: string, net: string, json?: boolean }) => {
      await report(json === true, async () => {
        const { readNetwork } = await import('../config.ts')
        const { ringRetire } = await import('../ring-tools.ts')
        const text = await ringRetire(dir, readNetwork(join(net, 'network.toml')).network, key)
        return { json: { retirement: text }, human: text }
      })
    })
}
