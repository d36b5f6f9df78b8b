/**
 * A day's tokens, turned in from one disk to another: batch after batch, each token credited once, although the answer to one
 * batch is lost and both sides stop in the middle. DEPOSIT_TOKENS says how many (10 000 by default).
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { concat, toHex, u64 } from '@mixmint/core/kit/bytes'
import { encode } from '@mixmint/core/kit/codec'
import type { Op } from '@mixmint/core/kit/ports'
import { tokenAt } from '@mixmint/core/cash/bank/keys'
import { IssuedToken } from '@mixmint/core/cash/bank/records'
import { dueAt } from '@mixmint/core/cash/merchant/keys'
import { BankRequest, MAX_PRESENTATIONS } from '@mixmint/core/cash/messages'
import { Presentation } from '@mixmint/core/cash/formats'
import { present, signToken, tokenHash } from '@mixmint/core/cash/token'
import { openLmdb } from '../../nodes/store/lmdb.ts'
import { keyNamed, suite } from '../doubles/economy.ts'
import { Town } from '../doubles/town.ts'

const TOKENS = Number(process.env.DEPOSIT_TOKENS ?? 10_000)

test(`${TOKENS} tokens`, { timeout: 600_000 }, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mixmint-deposits-'))
  try {
    const town = new Town()
    const shop = town.shop()
    const { economy } = town.desk
    town.desk.store = await openLmdb(join(dir, 'bank'))
    shop.store = await openLmdb(join(dir, 'shop'))
    const owner = keyNamed('owner')
    for (let at = 0; at < TOKENS; at += MAX_PRESENTATIONS) {
      const [issued, due]: [Op[], Op[]] = [[], []]
      for (let i = at; i < Math.min(TOKENS, at + MAX_PRESENTATIONS); i++) {
        const serial = suite.sha256(concat(u64(i)))
        const token = economy.token({ payee: shop.key.publicKey, amount: 1 + i % 7, serial, ownerKey: owner.publicKey })
        issued.push({ op: 'insert', key: tokenAt(serial), value: encode(IssuedToken, { token: tokenHash(suite, token), contract: serial }) })
        due.push({ op: 'insert', key: dueAt(token.depositUntil, serial), value: encode(Presentation, present(suite, owner, signToken(suite, economy.dayKey, token), serial)) })
      }
      await town.desk.store.batch(issued)
      await shop.store.batch(due)
    }
    const worth = Array.from({ length: TOKENS }, (_, i) => 1 + i % 7).reduce((sum, amount) => sum + amount, 0)

    let asked = 0
    let longest = 0
    town.bendBank(async (request, ask) => {
      longest = Math.max(longest, encode(BankRequest, request).length)
      const reply = await ask(request)
      // The bank has credited these, and nobody hears of it.
      if (++asked === 4) return await new Promise(() => {})
      return reply
    })
    expect(await shop.run(shop.engine.due())).toBe(TOKENS)
    const began = performance.now()
    const heard = new Set<string>()
    const hear = ({ serial }: { serial: Uint8Array }): void => {
      expect(heard.has(toHex(serial))).toBe(false)
      heard.add(toHex(serial))
    }
    void shop.run(shop.engine.deposit({ onResult: hear }))
    await expect.poll(() => asked, { timeout: 120_000 }).toBe(4)
    await shop.store.close()
    await town.desk.store.close()

    town.desk.store = await openLmdb(join(dir, 'bank'))
    shop.store = await openLmdb(join(dir, 'shop'))
    town.desk.restart()
    shop.restart()
    expect(heard.size).toBe(3 * MAX_PRESENTATIONS)
    const { credited, already, refused } = await shop.run(shop.engine.deposit({ onResult: hear }))
    const seconds = (performance.now() - began) / 1000
    expect({ credited, already, refused }).toEqual({ credited: TOKENS - 4 * MAX_PRESENTATIONS, already: MAX_PRESENTATIONS, refused: 0 })
    expect(heard.size).toBe(TOKENS)
    expect(await shop.run(shop.engine.due())).toBe(0)
    expect(await shop.run(shop.engine.takings())).toMatchObject({ accepted: worth, deposited: worth, pending: 0, refused: 0 })
    expect(await town.accountOf(shop)).toBe(worth)
    process.stdout.write(`${TOKENS} tokens in ${seconds.toFixed(1)} s, ${Math.round(TOKENS / seconds)} a second; the longest request ${longest} bytes\n`)
    await shop.store.close()
    await town.desk.store.close()
  } finally {
    rmSync(dir, { recursive: true })
  }
})
