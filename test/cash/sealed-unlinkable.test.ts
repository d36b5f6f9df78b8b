/** Sealed tokens and who bought them: what a bank that keeps everything could join. */
import { beforeEach, describe, expect, test } from 'vitest'
import { compare, toHex } from '@mixmint/core/kit/bytes'
import type { Suite } from '@mixmint/core/crypto/suite'
import type { SealedToken } from '@mixmint/core/cash/formats'
import { sealedMessage, sealedSerial } from '@mixmint/core/cash/sealed'
import { coinSecrets, sealedSecrets } from '@mixmint/core/cash/derive'
import { blind } from '@mixmint/core/crypto/rsabssa'
import { suite } from '../doubles/economy.ts'
import { Town, type Person, type Shop } from '../doubles/town.ts'

let town: Town
let shop: Shop
let ann: Person

beforeEach(async () => { ({ town, shop, ann } = await Town.withSealed()) })

describe('a bank that keeps everything it sees', () => {
  /** A suite in which nothing is blinded: r = 1. */
  const unblinded: Suite = {
    ...suite,
    hkdfSha256: (secret, salt, info, length) => new TextDecoder().decode(info).startsWith('mixmint/blinding-factor') ? new Uint8Array(length).fill(1, length - 1) : suite.hkdfSha256(secret, salt, info, length)
  }

  /** The bank's best script: which purchase has bought each token that was turned in? By bytes that it has seen in both. */
  async function matches (of: Suite): Promise<number> {
    const home = new Town()
    const bakery = home.shop()
    await bakery.run(bakery.engine.fetchSealedKeys())
    const issued: Array<{ keyset: string, value: number, blinded: string, signature: string }> = []
    const turnedIn: SealedToken[] = []
    home.bendBank(async (request, ask) => {
      const reply = await ask(request)
      if (request.op === 'settle' && reply.is === 'settlement') {
        for (const [i, { keyset, value, blinded }] of request.contract.outputs.entries()) issued.push({ keyset: toHex(keyset), value, blinded: toHex(blinded), signature: toHex(reply.signatures[i]) })
      }
      if (request.op === 'sealed-deposit') turnedIn.push(...request.presentations.map(({ token }) => token))
      return reply
    })
    for (const name of ['ann', 'ben', 'cat']) {
      const person = await home.person(name, 20, { suite: of })
      await person.run(person.engine.buySealed(bakery.key.publicKey, 7))
      await person.run(person.engine.payWithSealed(await bakery.invoice(7)))
    }
    await bakery.run(bakery.engine.deposit())
    expect(turnedIn).toHaveLength(9)
    return turnedIn.filter(token => {
      const key = home.desk.economy.sealed(0).keyFor(token.value)
      const one = new Uint8Array(256)
      one[255] = 1
      const encoded = toHex(blind(suite, key, sealedMessage(token), new Uint8Array(0), one).blinded)
      return issued.some(({ value, blinded, signature }) => value === token.value && (blinded === encoded || signature === toHex(token.signature)))
    }).length
  }

  test('matches no token with its purchase; and would match all, were they not blinded', async () => {
    expect(await matches(suite)).toBe(0)
    expect(await matches(unblinded)).toBe(9)
  })

  test('is not told by a deposit which tokens have paid one order', async () => {
    const batches: SealedToken[][] = []
    const orders: Uint8Array[] = []
    town.bendBank(async (request, ask) => {
      if (request.op === 'sealed-deposit') {
        batches.push(request.presentations.map(({ token }) => token))
        orders.push(...request.presentations.map(({ order }) => order))
      }
      return await ask(request)
    })
    for (let i = 0; i < 3; i++) {
      await ann.run(ann.engine.buySealed(shop.key.publicKey, 7))
      await ann.run(ann.engine.payWithSealed(await shop.invoice(7)))
    }
    await shop.run(shop.engine.deposit())
    const serials = batches[0].map(token => sealedSerial(suite, token))
    expect(serials).toEqual([...serials].sort(compare))
    expect(new Set(orders.map(toHex)).size).toBe(9)
  })
})

test('a coin and a sealed token of one place have no secret in common', () => {
  const place = { keyset: new Uint8Array(32).fill(7), value: 8, generation: 0, counter: 0 }
  const coin = coinSecrets(suite, ann.seed, place)
  const sealed = sealedSecrets(suite, ann.seed, place)
  const all = [coin.key.secret, coin.blinding, sealed.owner.secret, sealed.nonce, sealed.blinding].map(toHex)
  expect(new Set(all).size).toBe(5)
})
