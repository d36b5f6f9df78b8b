/**
 * A whole network of processes under as much load as so many people make, each doing one thing after the other without a pause;
 * and, if asked, with nodes killed (kill −9) and started again at random all the while. At the end everything that was begun is
 * carried to its end, and every unit is found again: in an account, a wallet, a token, or with the merchant.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import { below } from '@mixmint/core/kit/samplers'
import { asMixmintError } from '@mixmint/core/kit/saga'
import type { Stage } from '../../nodes/demo/stage.ts'
import { Person, type Act, type Attempt, type Left } from './person.ts'

export interface Endurance {
  readonly people: number
  readonly duration: Millis
  /** When nodes begin to be killed, and are killed no more, and the mean time between two kills; null: never. */
  readonly kills: { readonly from: Millis, readonly until: Millis, readonly every: Millis } | null
  readonly rng: Rng
  readonly onProgress?: (passed: Millis) => void
}

export interface Grown { readonly name: string, readonly from: number, readonly to: number }

export interface Endured {
  readonly acts: number
  readonly perSecond: number
  /** What was not done, by code, before and after nodes began to be killed; not of what was carried on with at the end. */
  readonly refused: ReadonlyMap<string, number>
  readonly refusedInChaos: ReadonlyMap<string, number>
  /** Of those that were done, by act: how often, and ms. */
  readonly done: ReadonlyMap<Act, { readonly count: number, readonly median: Millis, readonly p99: Millis }>
  readonly kills: number
  /** Nodes that ended without being told to. */
  readonly fallen: readonly string[]
  /** What is wrong with the money in the end: empty, when nothing is. */
  readonly wrong: readonly string[]
  /** Anonymous memory of each process, MiB: in the first quarter of the time since it was warm, and in the last, each the median of what it was at many moments. */
  readonly memory: readonly Grown[]
}

const CREDIT = 1_000_000_000
const DEPOSIT_EVERY = 2_000
/** For what was begun to come to its end. */
const PATIENCE = 240_000

export async function endure (stage: Stage, { people: count, duration, kills, rng, onProgress }: Endurance): Promise<Endured> {
  const hat: Left[] = []
  const [{ item }] = [...stage.plan.catalogue].sort((a, b) => a.price - b.price)
  const people: Person[] = []
  for (let i = 0; i < count; i++) people.push(await Person.open(stage.dir, `person-${i + 1}`, rng, hat, item))
  for (const [i, person] of people.entries()) await stage.control('bank', 'credit', { account: person.account, amount: CREDIT, reference: `load ${i}` })

  const started = performance.now()
  const passed = (): Millis => performance.now() - started
  const attempts: Attempt[] = []
  const inChaos: Attempt[] = []
  const note = (attempt: Attempt): void => { (kills !== null && passed() >= kills.from ? inChaos : attempts).push(attempt) }
  const isOver = (): boolean => passed() >= duration
  let killed = 0
  const samples = new Map<string, number[]>()
  /** A fifth after the start; where nodes are killed, in the middle of what is left when all of them live. */
  const warmAt = kills === null ? duration / 5 : (kills.until + duration) / 2

  const live = async (person: Person): Promise<void> => {
    while (!isOver()) {
      const attempt = await person.act()
      note(attempt)
      onProgress?.(passed())
      if (attempt.code === null) continue
      // Who is told that they are busy comes again a little later; who is told anything else carries on with what was begun.
      if (attempt.code !== 'busy') note(await person.recover())
      await sleep(below(rng, 1000))
    }
  }
  const bank = async (): Promise<void> => {
    while (!isOver()) {
      await sleep(Math.min(DEPOSIT_EVERY, Math.max(0, duration - passed())))
      if (!isOver() && passed() > warmAt) for (const name of stage.supervisor.names()) samples.set(name, [...samples.get(name) ?? [], anonymous(stage, name)])
      try {
        await stage.control('merchant', 'deposit')
      } catch (error) {
        note({ act: 'deposit', code: asMixmintError(error).code, milliseconds: 0 })
      }
    }
  }
  const kill = async (): Promise<void> => {
    if (kills === null) return
    const names = stage.supervisor.names()
    await sleep(kills.from)
    for (;;) {
      await sleep(kills.every / 2 + below(rng, kills.every))
      if (isOver() || passed() > kills.until) return
      const name = names[below(rng, names.length)]
      await stage.supervisor.kill(name)
      await sleep(below(rng, 2000))
      await stage.supervisor.start(name)
      killed += 1
    }
  }
  await Promise.all([...people.map(live), bank(), kill()])
  const seconds = passed() / 1000
  const memory = [...samples].map(([name, of]) => {
    const quarter = Math.ceil(of.length / 4)
    return { name, from: middle(of.slice(0, quarter)), to: middle(of.slice(-quarter)) }
  })

  const wrong = await reckon(stage, people, count * CREDIT)
  for (const person of people) await person.session.close()
  const all = [...attempts, ...inChaos]
  return {
    acts: all.length, perSecond: all.filter(({ code }) => code === null).length / seconds, refused: byCode(attempts), refusedInChaos: byCode(inChaos), done: byAct(all),
    kills: killed, fallen: stage.fallen, wrong, memory
  }
}

/** Carry everything to its end, and find every unit again. */
async function reckon (stage: Stage, people: readonly Person[], credited: number): Promise<string[]> {
  const wrong: string[] = []
  const until = performance.now() + PATIENCE
  let standing: Array<{ coins: number, tokens: number, open: number }> = []
  do {
    for (const person of people) {
      if ((await person.recover()).code === 'internal') wrong.push('a defect, in what was carried on with')
      await person.emptyHat()
    }
    try {
      await stage.control('merchant', 'settle')
      await stage.control('merchant', 'deposit')
    } catch {
      // The bank is just back: again.
    }
    standing = await Promise.all(people.map(async person => await person.worth()))
  } while (standing.some(({ open }) => open > 0) && performance.now() < until)
  const sum = (of: (each: { coins: number, tokens: number, open: number }) => number): number => standing.reduce((all, each) => all + of(each), 0)
  const say = (what: string, is: unknown, wanted: unknown): void => { if (is !== wanted) wrong.push(`${what}: ${String(is)}, not ${String(wanted)}`) }
  say('operations that do not end', sum(({ open }) => open), 0)

  const books = await stage.control('bank', 'books')
  say('books in balance', books.balanced, true)
  say('credited', books.credited, credited)
  say('coins', sum(({ coins }) => coins), books.outstanding)
  say('tokens', sum(({ tokens }) => tokens), books.tokens)

  const { orders } = await stage.control('merchant', 'orders') as unknown as { orders: Array<{ order: string, amount: number, how: string | null, settled: boolean }> }
  const paid = orders.filter(({ how }) => how !== null)
  const names = new Set(paid.map(({ order }) => order))
  for (const person of people) for (const { invoice } of person.paid) if (!names.has(invoice.order)) wrong.push('an order that its payer saw paid is not')
  say('orders paid and not settled', paid.filter(({ settled, how }) => !settled && how === 'coins').length, 0)
  const { payee } = await stage.control('merchant', 'payee')
  say('in the merchant\'s account', (await stage.control('bank', 'balance', { account: payee })).balance, paid.reduce((all, { amount }) => all + amount, 0))
  return wrong
}

function byCode (attempts: readonly Attempt[]): Map<string, number> {
  const codes = new Map<string, number>()
  for (const { code } of attempts) if (code !== null) codes.set(code, (codes.get(code) ?? 0) + 1)
  return codes
}

function byAct (attempts: readonly Attempt[]): Map<Act, { count: number, median: Millis, p99: Millis }> {
  const acts = Map.groupBy(attempts.filter(({ code }) => code === null), ({ act }) => act)
  return new Map([...acts].map(([act, all]) => {
    const sorted = all.map(({ milliseconds }) => milliseconds).sort((a, b) => a - b)
    const at = (p: number): Millis => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))]
    return [act, { count: all.length, median: at(0.5), p99: at(0.99) }]
  }))
}

/** The median: a process that has just collected its garbage has less for a while. */
function middle (values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]
}

/** MiB. */
function anonymous (stage: Stage, name: string): number {
  const [, kilobytes] = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${stage.supervisor.pid(name)}/status`, 'utf8')) ?? []
  return Number(kilobytes) / 1024
}
