/**
 * Tills of one merchant (DESIGN §6). Whether a token has paid already a till knows from its store: tills with one store take
 * any token of their payee, a till with a store of its own takes only tokens that name it, so that no other takes them too.
 */
import { equal, utf8 } from '../kit/bytes.ts'
import { tagged } from '../kit/codec.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Suite } from '../crypto/suite.ts'

/** What tokens call a till that people call by this name: 32 bytes; empty for no name, where a merchant has but one. */
export function tillNamed (suite: Suite, name: string): Uint8Array {
  return name === '' ? new Uint8Array(0) : suite.sha256(tagged('till', utf8(name)))
}

/** Which tokens a till takes: `name` as tillNamed gives it; `alone`: no other till has this one's store. */
export interface Till {
  readonly name: Uint8Array
  readonly alone: boolean
}

/** @param till that a token names, or empty @throws wrong-till, till-not-named (peer) */
export function checkTill (till: Uint8Array, { name, alone }: Till): void {
  if (equal(till, name)) return
  if (till.length > 0) throw new MixmintError('wrong-till', 'peer', 'the token is made out to another till')
  if (alone) throw new MixmintError('till-not-named', 'peer', 'the token names no till, and this one cannot know whether another has taken it: it takes tokens that name it')
}
