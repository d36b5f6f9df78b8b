/** Random histories of the economy, and what they must leave behind. */
import fc from 'fast-check'
import type { Millis } from '@mixmint/core/kit/ports'
import { encode } from '@mixmint/core/kit/codec'
import { stored } from '@mixmint/core/cash/stored'
import { coinAt, doneAt, spentAt } from '@mixmint/core/cash/wallet/keys'
import { Operation, OwnedCoin } from '@mixmint/core/cash/wallet/records'
import { LIARS, type LiarName } from './liars.ts'
import { Person, type AnyMachine, type Shop } from './parties.ts'
import { NO_FAULTS, type Faults } from './post.ts'
import { CENTERS, MOST_AHEAD, PEOPLE, SHOPS, World, type Setting } from './world.ts'

const SECOND: Millis = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** What somebody does, or what befalls them. */
export type Act =
  | { readonly do: 'withdraw', readonly person: number, readonly amount: number }
  | { readonly do: 'pay' | 'buy-token' | 'send-token' | 'buy-sealed' | 'send-sealed' | 'double-spend', readonly person: number, readonly shop: number, readonly amount: number }
  /** Tokens bought for a shop, and an order that is just for them paid at once. */
  | { readonly do: 'buy-and-pay', readonly with: 'token' | 'sealed', readonly at: 'till' | 'mixnet', readonly person: number, readonly shop: number, readonly amount: number }
  /** A token that is held, at a till, so many times. */
  | { readonly do: 'present', readonly person: number, readonly times: number }
  /** As many sealed tokens as are held for a shop, at its till, so many times. */
  | { readonly do: 'present-sealed', readonly person: number, readonly shop: number, readonly amount: number, readonly times: number }
  | { readonly do: 'exchange', readonly person: number, readonly values: readonly number[] }
  | { readonly do: 'reclaim' | 'recover' | 'refresh' | 'fetch-change' | 'reclaim-spent', readonly person: number }
  /** A bundle, good for so long, given to one of the others or to both, who receive it after a while, or never. */
  | { readonly do: 'give', readonly person: number, readonly amount: number, readonly good: Millis, readonly to: ReadonlyArray<{ readonly next: number, readonly after: Millis }> }
  /** What was given, while somebody may be receiving it. */
  | { readonly do: 'take-back', readonly person: number }
  /** The machine is lost, at once (null) or in the midst of what it does; bank and centers never are. What is found again is exchanged, or not. */
  | { readonly do: 'lose', readonly person: number, readonly effect: number | null, readonly when: 'before' | 'after', readonly secure: boolean }
  | { readonly do: 'deposit' | 'settle', readonly shop: number }
  | { readonly do: 'stop', readonly machine: number, readonly effect: number, readonly when: 'before' | 'after', readonly down: Millis }
  | { readonly do: 'cut-off', readonly machine: number, readonly down: Millis }
  | { readonly do: 'sicken', readonly machine: number, readonly sickness: 'full' | 'failing', readonly down: Millis }
  | { readonly do: 'set-clock', readonly machine: number, readonly ahead: Millis }

export interface Step { readonly wait: Millis, readonly act: Act }
export interface History { readonly setting: Setting, readonly steps: readonly Step[] }

/** Centers, the bank, shops, people. */
const MACHINES = 1 + CENTERS + SHOPS + PEOPLE
const START_MONEY = 100
const SPENT = spentAt(new Uint8Array(0))

const person = fc.nat(PEOPLE - 1)
const shop = fc.nat(SHOPS - 1)
const machine = fc.nat(MACHINES - 1)
const amount = fc.integer({ min: 1, max: 25 })
const down = fc.constantFrom(SECOND, 10 * SECOND, 5 * MINUTE, 3 * HOUR, 30 * HOUR)

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant('withdraw' as const), person, amount }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constantFrom('pay' as const, 'pay' as const, 'buy-token' as const, 'send-token' as const, 'buy-sealed' as const, 'send-sealed' as const), person, shop, amount }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('buy-and-pay' as const), with: fc.constantFrom('token' as const, 'sealed' as const), at: fc.constantFrom('till' as const, 'mixnet' as const), person, shop, amount }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('present-sealed' as const), person, shop, amount, times: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('double-spend' as const), person, shop, amount }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('present' as const), person, times: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('exchange' as const), person, values: fc.array(fc.constantFrom(1, 2, 4, 8), { minLength: 1, maxLength: 4 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('reclaim' as const, 'recover' as const, 'refresh' as const, 'fetch-change' as const), person }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reclaim-spent' as const), person }) },
  { weight: 4, arbitrary: fc.record({
    do: fc.constant('give' as const), person, amount, good: fc.constantFrom(HOUR, 6 * HOUR),
    to: fc.array(fc.record({ next: fc.integer({ min: 1, max: PEOPLE - 1 }), after: fc.constantFrom(0, 100, SECOND, MINUTE, 2 * HOUR) }), { maxLength: 2 })
  }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('take-back' as const), person }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('lose' as const), person, effect: fc.option(fc.nat(30), { freq: 2 }), when: fc.constantFrom('before' as const, 'after' as const), secure: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('deposit' as const, 'settle' as const), shop }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('stop' as const), machine, effect: fc.nat(30), when: fc.constantFrom('before' as const, 'after' as const), down }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cut-off' as const), machine, down }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('sicken' as const), machine, sickness: fc.constantFrom('full' as const, 'failing' as const), down }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('set-clock' as const), machine, ahead: fc.constantFrom(-2 * HOUR, -50 * SECOND, 0, 50 * SECOND, 2 * HOUR, MOST_AHEAD) }) }
)

const faults: fc.Arbitrary<Faults> = fc.constantFrom(
  { loss: 0, duplicate: 0, late: 0 }, { loss: 0.05, duplicate: 0.1, late: 0.05 }, { loss: 0.3, duplicate: 0, late: 0 }, { loss: 0, duplicate: 0.5, late: 0.3 }
)

const setting = {
  seed: fc.nat(0xffffffff),
  faults,
  /** How fast the network is, ms: at best, at worst. */
  speed: fc.constantFrom<readonly [Millis, Millis]>([5, 400], [0, 3])
}

export const histories: fc.Arbitrary<History> = fc.record({
  setting: fc.record({
    ...setting,
    liars: fc.array(fc.record({ center: fc.nat(CENTERS - 1), kind: fc.constantFrom(...Object.keys(LIARS) as LiarName[]) }), { maxLength: 1 }),
    beyond: fc.constant(false),
    long: fc.nat(2).map(n => n === 0)
  }),
  steps: fc.array(fc.record({ wait: fc.constantFrom(0, 0, 5, 100, SECOND, MINUTE, HOUR, 25 * HOUR, 75 * HOUR), act }), { minLength: 1, maxLength: 14, size: 'max' })
})

/** Three centers vote for everything: any coin may be certified twice, and people try. */
export const conspiracies: fc.Arbitrary<History> = fc.record({
  setting: fc.record({
    ...setting,
    liars: fc.constant([1, 2, 3].map(center => ({ center, kind: 'twoFaced' as const }))),
    beyond: fc.constant(true),
    long: fc.constant(false)
  }),
  steps: fc.array(fc.record({
    wait: fc.constantFrom(0, 5, SECOND, HOUR),
    act: fc.oneof({ weight: 3, arbitrary: fc.record({ do: fc.constant('double-spend' as const), person, shop, amount }) }, { weight: 2, arbitrary: act })
  }), { minLength: 1, maxLength: 8, size: 'max' })
})

let before: World | undefined

/** Every history begins alike: all have an account, and half of what is in it as coins. */
function morning (): World {
  if (before === undefined) {
    const world = new World({ seed: 0, faults: NO_FAULTS, speed: [5, 400], liars: [], beyond: false, long: false })
    for (const person of world.people) {
      world.credit(person, START_MONEY)
      world.expect(person, person.engine.withdraw(START_MONEY / 2))
    }
    for (const shop of world.shops) world.expect(shop, shop.engine.fetchSealedKeys())
    world.schedule.run(world.schedule.now + MINUTE)
    before = world
  }
  return before
}

/** What it was like, for those who count. */
export interface Told { readonly happened: number, readonly outcomes: ReadonlyMap<string, number>, readonly convicted: number }

/** @throws Broken when a law does not hold */
export function live ({ setting, steps }: History): Told {
  const world = new World(setting, morning())
  for (const { wait, act } of steps) {
    if (wait > 0) world.schedule.run(world.schedule.now + wait)
    perform(world, act)
  }
  world.settle()
  world.expectConvictions()
  world.expectEveryUnit()
  world.expectReceipts()
  world.expectSpendable()
  world.expectNothingLost()
  return { happened: world.schedule.happened, outcomes: world.outcomes, convicted: world.bank.look(world.bank.engine.revocations()).length }
}

function perform (world: World, act: Act): void {
  switch (act.do) {
    case 'withdraw': withPerson(world, act.person, person => { world.expect(person, person.engine.withdraw(act.amount)) }); break
    case 'pay': order(world, act, (person, _shop, invoice) => { world.expect(person, person.engine.payWithCoins(invoice)) }); break
    case 'send-token': order(world, act, (person, _shop, invoice) => { world.expect(person, person.engine.payWithToken(invoice)) }); break
    case 'buy-token': withPerson(world, act.person, person => { world.expect(person, person.engine.buyToken(world.shops[act.shop].key.publicKey, act.amount)) }); break
    case 'buy-sealed': withPerson(world, act.person, person => { world.expect(person, person.engine.buySealed(world.shops[act.shop].key.publicKey, act.amount)) }); break
    case 'buy-and-pay': buyAndPay(world, act); break
    case 'send-sealed': withSealed(world, act, (person, _shop, invoice) => { world.expect(person, person.engine.payWithSealed(invoice)) }); break
    case 'present-sealed': withSealed(world, act, (person, shop, invoice) => {
      for (let i = 0; i < act.times; i++) world.expect(person, person.engine.presentSealed(invoice), payment => { world.expect(shop, shop.engine.acceptSealed(payment)) })
    }); break
    case 'double-spend': doubleSpend(world, act); break
    case 'present': withPerson(world, act.person, person => { present(world, person, act.times) }); break
    case 'exchange': withPerson(world, act.person, person => { world.expect(person, person.engine.exchange(act.values)) }); break
    case 'reclaim': withPerson(world, act.person, person => { world.expect(person, person.engine.reclaim()) }); break
    case 'reclaim-spent': withPerson(world, act.person, person => { reclaimSpent(world, person) }); break
    case 'recover': withPerson(world, act.person, person => { world.expect(person, person.engine.recover()) }); break
    case 'refresh': withPerson(world, act.person, person => { world.expect(person, person.engine.refresh({ early: true })) }); break
    case 'fetch-change': withPerson(world, act.person, person => { world.expect(person, person.engine.fetchChange()) }); break
    case 'give': withPerson(world, act.person, person => { give(world, person, act) }); break
    case 'take-back': withPerson(world, act.person, person => {
      for (const { sequence } of person.look(person.engine.given()).filter(({ open }) => open > 0)) world.expect(person, person.engine.takeBack(sequence, { early: true }))
    }); break
    case 'lose':
      world.people[act.person].secures = act.secure
      if (act.effect === null) world.people[act.person].lose()
      else world.people[act.person].loseAt(act.effect, act.when)
      break
    case 'deposit': world.expect(world.shops[act.shop], world.shops[act.shop].engine.deposit()); break
    case 'settle': world.expect(world.shops[act.shop], world.shops[act.shop].engine.settlePending()); break
    case 'stop': world.machines[act.machine].stopAt(act.effect, act.when, act.down); break
    case 'cut-off': befall(world, act, machine => { machine.isCutOff = true }, machine => { machine.isCutOff = false }); break
    case 'sicken': befall(world, act, machine => { machine.sickness = act.sickness }, machine => { machine.sickness = null }); break
    case 'set-clock': world.machines[act.machine].skew = act.ahead; break
  }
}

/** An order of what sealed tokens for this shop are worth, or of another amount where there are none. */
function withSealed (world: World, act: { person: number, shop: number, amount: number }, then: Parameters<typeof order>[2]): void {
  const person = world.people[act.person]
  const { publicKey } = world.shops[act.shop].key
  const held = person.look(person.engine.sealedTokens()).filter(({ state, token }) => state === 'held' && Buffer.compare(token.payee, publicKey) === 0)
  order(world, { ...act, amount: held.reduce((sum, { value }) => sum + value, 0) || act.amount }, then)
}

function buyAndPay (world: World, act: Act & { do: 'buy-and-pay' }): void {
  const { publicKey } = world.shops[act.shop].key
  const pay = (): void => {
    if (act.with === 'sealed') {
      withSealed(world, act, (person, shop, invoice) => {
        if (act.at === 'mixnet') world.expect(person, person.engine.payWithSealed(invoice))
        else world.expect(person, person.engine.presentSealed(invoice), payment => { world.expect(shop, shop.engine.acceptSealed(payment)) })
      })
    } else if (act.at === 'till') present(world, world.people[act.person], 1)
    else order(world, act, (person, _shop, invoice) => { world.expect(person, person.engine.payWithToken(invoice)) })
  }
  withPerson(world, act.person, person => {
    const { engine } = person
    if (act.with === 'token') world.expect(person, engine.buyToken(publicKey, act.amount), pay)
    else world.expect(person, engine.buySealed(publicKey, act.amount), pay)
  })
}

/** A changed wallet asks for coins back that have paid for something. */
function reclaimSpent (world: World, { owner, disk }: Person): void {
  const thief = new Person(world, `thief ${world.thieves.length}`, owner)
  thief.disk = disk.copy()
  world.thieves.push(thief)
  for (const { key, value } of thief.disk.scan({ prefix: SPENT, limit: Infinity })) {
    const coin = stored(OwnedCoin, value)
    const record = thief.disk.get(doneAt(coin.operation))
    if (record === null || stored(Operation, record).kind !== 'contract') continue
    thief.disk.batch([
      { op: 'delete', key }, { op: 'put', key: coinAt(key.slice(SPENT.length)), value: encode(OwnedCoin, { ...coin, state: 'left' }) }
    ])
  }
  world.expect(thief, thief.engine.reclaim())
}

/** Two who have a copy of a wallet, its owner perhaps one of them, pay with the same coins in two shops, and then try to get back what they can. */
function doubleSpend (world: World, act: { person: number, shop: number, amount: number }): void {
  for (let i = 0; i < SHOPS; i++) {
    order(world, { ...act, shop: i }, ({ owner, disk }, _shop, invoice) => {
      const thief = new Person(world, `thief ${world.thieves.length}`, owner)
      thief.disk = disk.copy()
      world.thieves.push(thief)
      world.expect(thief, thief.engine.payWithCoins(invoice))
      world.schedule.after(30 * HOUR, () => { world.expect(thief, thief.engine.recover()) })
    })
  }
}

function give (world: World, giver: Person, { person, amount, good, to }: Act & { do: 'give' }): void {
  world.expect(giver, giver.engine.give(amount, { until: world.schedule.now + good }), ({ bundle }) => {
    giver.gave(bundle)
    for (const { next, after } of to) {
      const receiver = world.people[(person + next) % PEOPLE]
      world.schedule.after(after, () => { world.expect(receiver, receiver.engine.receive(bundle)) })
    }
  })
}

function withPerson (world: World, index: number, then: (person: Person) => void): void {
  const person = world.people[index]
  if (person.isUp) then(person)
}

type Invoice = Parameters<Person['engine']['payWithCoins']>[0]

/** The shop writes an invoice, and the person takes it home. */
function order (world: World, { person, shop, amount }: { person: number, shop: number, amount: number }, then: (person: Person, shop: Shop, invoice: Invoice) => void): void {
  const [buyer, seller] = [world.people[person], world.shops[shop]]
  world.expect(seller, seller.engine.invoice('something', amount), invoice => { if (buyer.isUp) then(buyer, seller, invoice) })
}

function present (world: World, person: Person, times: number): void {
  const held = person.look(person.engine.tokens()).find(({ state }) => state === 'held')
  if (held === undefined) return
  const { serial, amount, payee } = held.token.token
  const shop = world.shops.find(({ key }) => Buffer.compare(key.publicKey, payee) === 0)
  if (shop === undefined) return
  world.expect(shop, shop.engine.invoice('at the till', amount), invoice => {
    for (let i = 0; i < times; i++) world.hand(person, shop, serial, invoice)
  })
}

function befall (world: World, { machine: index, down }: { machine: number, down: Millis }, begin: (machine: AnyMachine) => void, end: (machine: AnyMachine) => void): void {
  const machine = world.machines[index]
  begin(machine)
  world.schedule.after(down, () => { end(machine) })
}
