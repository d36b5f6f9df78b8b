/**
 * A person with a wallet who does everything one does with money, as fast as it is let: a session of the library, kept open, over
 * the gateways of a real network. What is refused is counted by its code; what was begun is carried on with, as a wallet does.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Rng } from '@mixmint/core/kit/ports'
import { below } from '@mixmint/core/kit/samplers'
import { asMixmintError } from '@mixmint/core/kit/saga'
import type { CoinBundle, SignedInvoice } from '@mixmint/core/cash/formats'
import { systemClock } from '../../nodes/clock.ts'
import { createWallet } from '../../nodes/wallet-folder.ts'
import { WalletSession } from '../../nodes/wallet-session.ts'

const ACTS = ['withdraw', 'coins', 'token', 'sealed', 'exchange', 'give', 'receive'] as const
export type Act = typeof ACTS[number] | 'recover' | 'deposit'

/** Kept in coins by everybody, so that each act finds what it needs. */
const LEAST = 400
const WITHDRAWN = 600
const GIVEN = 37
const WEEK = 7 * 86_400_000

/** Given, for whoever comes but its giver. */
export interface Left { readonly giver: Person, readonly bundle: CoinBundle }

export interface Attempt { readonly act: Act, readonly code: string | null, readonly milliseconds: number }

export class Person {
  readonly session: WalletSession
  readonly #rng: Rng
  readonly #hat: Left[]
  readonly #item: string
  /** What this person was told is paid. */
  readonly paid: SignedInvoice[] = []

  private constructor (session: WalletSession, rng: Rng, hat: Left[], item: string) {
    this.session = session
    this.#rng = rng
    this.#hat = hat
    this.#item = item
  }

  /** @param hat where people leave what they give, for whoever comes */
  static async open (net: string, name: string, rng: Rng, hat: Left[], item: string): Promise<Person> {
    const dir = join(net, name)
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    createWallet(dir)
    return new Person(await WalletSession.open(net, dir), rng, hat, item)
  }

  get account (): string {
    return toHex(this.session.engine.account)
  }

  /** One thing; then what it left over, now and then. Never throws for what a network may refuse. */
  async act (): Promise<Attempt> {
    const { session } = this
    const { available } = await session.run(session.engine.balance())
    const act = available < LEAST ? 'withdraw' : ACTS[below(this.#rng, ACTS.length)]
    return await this.#attempt(act, async () => { await this.#do(act) })
  }

  /** Everything that was begun, and what came back. */
  async recover (): Promise<Attempt> {
    const { session } = this
    return await this.#attempt('recover', async () => {
      for (const { error } of await session.run(session.engine.recover())) if (error !== null) throw error
    })
  }

  /** What people left in the hat, that nobody is away for: so that at the end nothing is between two wallets. */
  async emptyHat (): Promise<void> {
    while (this.#hat.some(({ giver }) => giver !== this)) {
      if ((await this.#attempt('receive', async () => { await this.#do('receive') })).code !== null) return
    }
  }

  /** Units in this wallet, wherever they stand in it. */
  async worth (): Promise<{ coins: number, tokens: number, open: number }> {
    const { session } = this
    const balance = await session.run(session.engine.balance())
    return {
      coins: balance.available + balance.ageing + balance.leftOver + balance.ended, tokens: balance.tokens,
      // What was given away stays open until its giver asks what became of it.
      open: (await session.run(session.engine.pending())).filter(({ kind }) => kind !== 'give').length
    }
  }

  async #do (act: typeof ACTS[number]): Promise<void> {
    const { session } = this
    const { engine } = session
    if (act === 'withdraw') await session.run(engine.withdraw(WITHDRAWN))
    if (act === 'exchange') await session.run(engine.exchange([1, 2, 4, 8, 16]))
    if (act === 'give') {
      const { bundle } = await session.run(engine.give(GIVEN, { until: systemClock.now() + WEEK }))
      this.#hat.push({ giver: this, bundle })
    }
    if (act === 'receive') {
      const found = this.#hat.findIndex(({ giver }) => giver !== this)
      if (found === -1) return
      const [left] = this.#hat.splice(found, 1)
      try {
        await session.run(engine.receive(left.bundle))
      } catch (error) {
        // Whoever has begun to receive it goes on; else it is there for the next.
        if (!(await session.run(engine.pending())).some(({ kind }) => kind === 'receive')) this.#hat.push(left)
        throw error
      }
    }
    if (act === 'coins' || act === 'token' || act === 'sealed') await this.#pay(act)
  }

  async #pay (how: 'coins' | 'token' | 'sealed'): Promise<void> {
    const { session } = this
    const { engine } = session
    const [{ payee }] = session.merchants()
    const reply = await session.askMerchant(payee, { op: 'order', item: this.#item })
    if (reply.is === 'refused') throw new MixmintError(reply.code, 'peer', reply.message, { retry: reply.retry })
    if (reply.is !== 'invoice') throw new MixmintError('bad-reply', 'peer', reply.is)
    const { signed } = reply
    if (how === 'coins') await session.run(engine.payWithCoins(signed))
    if (how === 'token') {
      await session.run(engine.buyToken(payee, signed.invoice.amount))
      await session.run(engine.payWithToken(signed))
    }
    if (how === 'sealed') {
      await session.run(engine.buySealed(payee, signed.invoice.amount))
      await session.run(engine.payWithSealed(signed))
    }
    this.paid.push(signed)
  }

  async #attempt (act: Act, action: () => Promise<void>): Promise<Attempt> {
    const started = performance.now()
    let code: string | null = null
    try {
      await action()
    } catch (error) {
      code = asMixmintError(error).code
    }
    return { act, code, milliseconds: performance.now() - started }
  }
}
