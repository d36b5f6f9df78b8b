/**
 * Known-answer tests of packets: files of `{ vectors: [{ pathLength, ephemeral, hops, destination, message, packet,
 * steps, surb }] }`, bytes in hexadecimal, packets of any size, checked in both directions: what this code wraps is the vector's packet, and
 * what it peels from the vector's packets are the vector's steps.
 */
import { concat, equal, fromHex } from '@mixmint/core/kit/bytes'
import { isMixmintError } from '@mixmint/core/kit/errors'
import type { Suite } from '@mixmint/core/crypto/suite'
import { ADDRESS_SIZE, geometryOf, HEADER_SIZE, KEY_SIZE, SURB_ID_SIZE, SURB_KEY_SIZE, TAG_SIZE, type Geometry } from './layout.ts'
import { peel, type Peeled } from './peel.ts'
import { createSurb, openReply, useSurb } from './surb.ts'
import { wrap, type Hop } from './wrap.ts'

type Step = Exclude<Peeled, { kind: 'drop' }>

interface KeyedHop extends Hop {
  readonly privateKey: Uint8Array
}

interface Vector {
  readonly ephemeral: Uint8Array
  readonly hops: readonly KeyedHop[]
  readonly destination: Uint8Array
  readonly message: Uint8Array
  readonly packet: Uint8Array
  readonly steps: readonly Step[]
  readonly surb: {
    readonly ephemeral: Uint8Array
    readonly id: Uint8Array
    readonly key: Uint8Array
    readonly header: Uint8Array
    readonly reply: Uint8Array
    readonly steps: readonly Step[]
  }
}

/**
 * Names of what failed, such as `vector 2 (L=5): SURB: create`; none: all hold. A file of another shape fails by the
 * name of the place; nothing throws.
 */
export function runSphinxVectors (suite: Suite, parsedJson: unknown): string[] {
  const vectors = isObject(parsedJson) ? parsedJson.vectors : undefined
  if (!Array.isArray(vectors) || vectors.length === 0) return ['file: a list `vectors` with something in it is wanted']
  return vectors.flatMap((raw: unknown, i) => {
    const name = `vector ${i}${isObject(raw) && typeof raw.pathLength === 'number' ? ` (L=${raw.pathLength})` : ''}`
    try {
      return checkVector(suite, parseVector(raw)).map(failure => `${name}: ${failure}`)
    } catch (error) {
      return [`${name}: ${error instanceof Malformed ? 'malformed: ' : 'error: '}${error instanceof Error ? error.message : String(error)}`]
    }
  })
}

function checkVector (suite: Suite, vector: Vector): string[] {
  const failures: string[] = []
  const check = (name: string, holds: () => boolean): void => {
    try {
      if (!holds()) failures.push(name)
    } catch (error) {
      failures.push(`${name}: ${isMixmintError(error) ? error.code : String(error)}`)
    }
  }
  const { hops, surb } = vector
  for (const [i, hop] of hops.entries()) check(`hop ${i}: publicKey`, () => equal(suite.x25519Base(hop.privateKey), hop.publicKey))

  check('wrap', () => equal(wrap(suite, vector.ephemeral, hops, vector.destination, vector.message), vector.packet))
  checkSteps(suite, hops, vector.packet, vector.steps, check)
  check('message', () => {
    const last = vector.steps[hops.length - 1]
    return last.kind === 'exit' && equal(last.message, vector.message) && equal(last.destination, vector.destination)
  })

  const surbBytes = concat(hops[0].address, surb.header, surb.key)
  const made = attempt(() => createSurb(suite, surb.ephemeral, hops, surb.id, surb.key))
  check('SURB: create', () => made !== null && equal(made.surb, surbBytes))
  const used = attempt(() => useSurb(suite, surbBytes, surb.reply))
  check('SURB: use', () => used !== null && equal(used.firstHop, hops[0].address))
  if (used !== null) {
    checkSteps(suite, hops, used.packet, surb.steps, (name, holds) => { check(`SURB: ${name}`, holds) })
  }
  check('SURB: reply', () => {
    const last = surb.steps[hops.length - 1]
    const opened = made === null || last.kind !== 'reply' ? null : openReply(suite, made.secrets, last.payload)
    return last.kind === 'reply' && equal(last.surbId, surb.id) && opened !== null && equal(opened, surb.reply)
  })
  return failures
}

function attempt<T> (make: () => T): T | null {
  try {
    return make()
  } catch {
    return null
  }
}

/** Each step is made from the vector's own packet before it, so that one wrong step is named alone. */
function checkSteps (suite: Suite, hops: readonly KeyedHop[], first: Uint8Array, steps: readonly Step[], check: (name: string, holds: () => boolean) => void): void {
  let packet: Uint8Array | null = first
  for (const [i, step] of steps.entries()) {
    const given: Uint8Array | null = packet
    const peeled: Record<string, unknown> | null = given === null ? null : attempt(() => ({ ...peel(suite, hops[i].privateKey, given) }))
    for (const [field, wanted] of Object.entries(step)) {
      check(`step ${i}: ${field}`, () => peeled !== null && same(peeled[field], wanted))
    }
    check(`step ${i}: delay of the hop`, () => (step.kind === 'forward' ? step.delay : 0) === hops[i].delay)
    packet = step.kind === 'forward' ? step.packet : null
  }
}

function same (a: unknown, b: unknown): boolean {
  return a instanceof Uint8Array && b instanceof Uint8Array ? equal(a, b) : a === b
}

class Malformed extends Error {}

function isObject (raw: unknown): raw is Record<string, unknown> {
  return typeof raw === 'object' && raw !== null && !Array.isArray(raw)
}

/** Reads the fields of one object of the file, and knows where it is. */
class Reader {
  readonly #raw: Record<string, unknown>
  readonly #at: string

  constructor (raw: unknown, at: string) {
    if (!isObject(raw)) throw new Malformed(`${at === '' ? 'vector' : at}: an object wanted`)
    this.#raw = raw
    this.#at = at
  }

  #wrong (name: string, wanted: string): Malformed {
    return new Malformed(`${this.place(name)}: ${wanted} wanted`)
  }

  place (name: string): string {
    return this.#at === '' ? name : `${this.#at}.${name}`
  }

  /** @param size null: any */
  bytes (name: string, size: number | null): Uint8Array {
    const value = this.#raw[name]
    const parsed = typeof value === 'string' ? attempt(() => fromHex(value)) : null
    if (parsed === null || (size !== null && parsed.length !== size)) throw this.#wrong(name, size === null ? 'hexadecimal' : `${size} bytes of hexadecimal`)
    return parsed
  }

  number (name: string): number {
    const value = this.#raw[name]
    if (typeof value !== 'number' || !Number.isInteger(value)) throw this.#wrong(name, 'a whole number')
    return value
  }

  text (name: string): string {
    const value = this.#raw[name]
    if (typeof value !== 'string') throw this.#wrong(name, 'text')
    return value
  }

  object (name: string): Reader {
    return new Reader(this.#raw[name], this.place(name))
  }

  list<T> (name: string, length: number, parse: (item: Reader) => T): T[] {
    const value = this.#raw[name]
    if (!Array.isArray(value) || value.length !== length) throw this.#wrong(name, `a list of ${length}`)
    return value.map((item: unknown, i) => parse(new Reader(item, `${this.place(name)}[${i}]`)))
  }
}

function parseVector (raw: unknown): Vector {
  const vector = new Reader(raw, '')
  const length = vector.number('pathLength')
  if (length < 1) throw new Malformed('pathLength: at least 1 wanted')
  const surb = vector.object('surb')
  const packet = vector.bytes('packet', null)
  const geometry = attempt(() => geometryOf(packet.length))
  if (geometry === null) throw new Malformed('packet: the size of a packet wanted')
  const { messageSize } = geometry
  const steps = (step: Reader): Step => parseStep(step, geometry)
  return {
    ephemeral: vector.bytes('ephemeral', KEY_SIZE),
    hops: vector.list('hops', length, hop => ({
      privateKey: hop.bytes('privateKey', KEY_SIZE),
      publicKey: hop.bytes('publicKey', KEY_SIZE),
      address: hop.bytes('address', ADDRESS_SIZE),
      delay: hop.number('delay')
    })),
    destination: vector.bytes('destination', ADDRESS_SIZE),
    message: vector.bytes('message', messageSize),
    packet,
    steps: vector.list('steps', length, steps),
    surb: {
      ephemeral: surb.bytes('ephemeral', KEY_SIZE),
      id: surb.bytes('id', SURB_ID_SIZE),
      key: surb.bytes('key', SURB_KEY_SIZE),
      header: surb.bytes('header', HEADER_SIZE),
      reply: surb.bytes('reply', messageSize),
      steps: surb.list('steps', length, steps)
    }
  }
}

function parseStep (step: Reader, { packetSize, payloadSize, messageSize }: Geometry): Step {
  const tag = step.bytes('tag', TAG_SIZE)
  const role = step.text('role')
  switch (role) {
    case 'forward': return {
      kind: role, tag, next: step.bytes('next', ADDRESS_SIZE), delay: step.number('delay'), packet: step.bytes('packet', packetSize)
    }
    case 'exit': return { kind: role, tag, destination: step.bytes('destination', ADDRESS_SIZE), message: step.bytes('message', messageSize) }
    case 'reply': return { kind: role, tag, surbId: step.bytes('id', SURB_ID_SIZE), payload: step.bytes('delta', payloadSize) }
    default: throw new Malformed(`${step.place('role')}: forward, exit or reply wanted`)
  }
}
