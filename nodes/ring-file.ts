/** The ring as a file that the founders of a network hand to the bank: JSON, keys and ids in hexadecimal. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fromHex, toHex } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import { Ring } from '@mixmint/core/cash/formats'
import { ofSystem } from './system-error.ts'

interface RingJson {
  readonly centers: ReadonlyArray<{ readonly id: string, readonly voteKey: string, readonly weight: number }>
  readonly virtualNodesPerWeight: number
  readonly replicas: number
  readonly faults: number
  readonly quorum: number
}

export function ringText (ring: Ring): string {
  const json: RingJson = { ...ring, centers: ring.centers.map(c => ({ id: toHex(c.id), voteKey: toHex(c.voteKey), weight: c.weight })) }
  return `${JSON.stringify(json, null, 2)}\n`
}

export function writeRing (file: string, ring: Ring): void {
  writeFileSync(file, ringText(ring))
}

/** @throws bad-ring-file, system-refused (operator) */
export function readRing (file: string): Ring {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw ofSystem(error)
    throw new MixmintError('bad-ring-file', 'operator', `there is no ring in ${file}: make it of what the centers' operators give you (\`mixmint ring make --out ${file} FILE…\`)`, { cause: error })
  }
  return parseRing(text, file)
}

/** @param where for people: where the text comes from @throws bad-ring-file (operator) */
export function parseRing (text: string, where: string): Ring {
  try {
    const json = JSON.parse(text) as RingJson
    const ring = { ...json, centers: json.centers.map(c => ({ id: fromHex(c.id), voteKey: fromHex(c.voteKey), weight: c.weight })) }
    return decode(Ring, encode(Ring, ring))
  } catch (error) {
    throw badRing(where, error)
  }
}

function badRing (where: string, cause: unknown): MixmintError {
  return new MixmintError('bad-ring-file', 'operator', `${where} does not hold a ring: the bank needs the file that the network's founders agreed on`, { cause })
}
