/** The daemon of a bank. */
import { equal, toHex } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import { asMixmintError, drive, type Saga } from '@mixmint/core/kit/saga'
import type { Suite } from '@mixmint/core/crypto/suite'
import { BankEngine } from '@mixmint/core/cash/bank/engine'
import { BEAT } from '@mixmint/core/cash/bank/outages'
import type { BankEffect } from '@mixmint/core/cash/bank/parts'
import type { BankListing, Revocation } from '@mixmint/core/cash/formats'
import { dayOf, keysetId, stateOf } from '@mixmint/core/cash/keyset'
import { bankEntry } from '@mixmint/core/cash/listing-entry'
import { BANK_PROTOCOL, BankReply, BankRequest } from '@mixmint/core/cash/messages'
import { errorOf, refusal } from '@mixmint/core/cash/refusal'
import { RingMap } from '@mixmint/core/cash/ring'
import type { Periods } from '@mixmint/core/cash/schedule'
import { knownTime } from '@mixmint/core/cash/steady-clock'
import type { Descriptor } from '@mixmint/mixnet/directory/formats'
import { armor, unarmor } from '../armor.ts'
import { BankKeys } from '../bank-keys.ts'
import { bankListing, checkNewRing } from '../bank-listing.ts'
import type { JsonObject } from '../control.ts'
import { word } from '../control-input.ts'
import { KeyShelf } from '../key-shelf.ts'
import { BooksWatch } from './books-watch.ts'
import { serviceTold } from './service-told.ts'
import type { Daemon, Role } from './role.ts'
import { missingOf, type Reading } from '../metrics/readings.ts'
import { banksOf } from '../participant.ts'
import { readRing } from '../ring-file.ts'
import { BankSealedKeys } from '../sealed-keys.ts'
import { Service } from '../service.ts'
import { SigningPool } from '../signing-pool.ts'
import { StoreMark } from '../store/mark.ts'
import { MIGRATIONS } from '../store/migrations.ts'
import { openMoney } from '../store/money.ts'
import { bankOperations } from './bank-operations.ts'
import { connectionKinds } from './connections.ts'

/** Keys for the days ahead are looked after this often, ms, and made with such a pause before each. */
const SEALED_EVERY = 60_000
const SEALED_PAUSE = 2_000
/** A bank that starts has keys for this time ahead in its first document. */
const SEALED_AT_ONCE = 2 * 3_600_000

export async function startBank (daemon: Daemon): Promise<Role> {
  const { config, suite, ports, counters, log } = daemon
  const { network } = config.network
  const pool = new SigningPool(config.signers, { log, meter: counters })
  const keys = BankKeys.open(suite, network, config.dir, readRing(config.ringFile), pool, daemon.passphrase)
  const money = await openMoney(ports.store, config.postgresFile, `bank ${toHex(keys.identity.publicKey)} of ${network} in ${config.unit}`, MIGRATIONS.bank)
  const shelf = new KeyShelf(suite, keys.identity.secret, money.store)
  keys.share(shelf)
  const sealed = new BankSealedKeys(suite, pool, keys.identity, {
    network, unit: config.unit, dir: config.dir, shelf: config.postgresFile === '' ? null : shelf, passphrase: daemon.passphrase
  })
  const run = async <T>(saga: Saga<T, BankEffect>): Promise<T> => await drive(saga, { ...ports, store: money.store }, async effect => {
    if (effect.do === 'ask-center') return await service.participant.askCenter(effect)
    return await sealed.blindSign(effect.keyset, effect.value, effect.blinded) ?? await keys.blindSign(effect.keyset, effect.value, effect.blinded)
  })
  const engine = new BankEngine({
    suite, network, bank: keys.identity, unit: config.unit, meter: counters,
    registry: () => service.participant.registry(), dayKey: day => keys.dayKey(day), sealedKeys: id => sealed.find(id)
  })
  const mark = await StoreMark.open({
    dir: config.dir, known: async () => await run(knownTime()), restoredAt: config.restoredAt, declare: async time => { await run(engine.declareLoss(time)) }, log, fail: daemon.fail
  })
  let beats: NodeJS.Timeout | undefined
  /** Until somebody can reach it, it is down: one that starts again and again is not at work. */
  let awake: Promise<void> | null = null
  const wake = async (): Promise<void> => {
    // What was missed until now, it was down.
    await run(engine.beat())
    beats = setInterval(() => {
      run(engine.beat()).catch((error: unknown) => {
        mark.judge(asMixmintError(error), engine.seen)
        log.error('the bank could not write that it is at work', { code: asMixmintError(error).code })
      })
    }, BEAT)
  }
  const ownIn = (services: ReadonlyArray<Pick<Descriptor, 'peer' | 'body'>>): BankListing[] =>
    banksOf(suite, network, services).map(({ listing }) => listing).filter(({ bank }) => equal(bank, keys.identity.publicKey))
  /** What the authorities know that this bank has said, also where the directory lists it no more; null: nobody was asked yet. */
  let recalled: readonly BankListing[] | null = null
  const prepare = async (now: Millis, revocations: readonly Revocation[], listed: readonly BankListing[]): Promise<void> => {
    await keys.prepare({
      unit: config.unit, denominations: config.denominations, periods: config.keysets, ring: () => checkNewRing(readRing(config.ringFile), revocations)
    }, now, listed).catch((error: unknown) => {
      // Without a first there is nothing to list; without a next the present ones are listed all the same.
      if (keys.keysets(now).length === 0) throw error
      log.error('the next keyset could not be made', { code: asMixmintError(error).code })
    })
  }
  // A first keyset is made when the directory has been asked whether there is one; what cannot come to anything is told now.
  if (keys.keysets(0).length === 0) new RingMap(suite, checkNewRing(readRing(config.ringFile), await run(engine.revocations())))
  const aheadOf = (now: Millis): number => dayOf(now) + config.sealedDays
  let learned = -1
  /** Sets of the bank's other processes: first of all days that there may be tokens of, then of those to come. */
  const learn = async (now: Millis): Promise<void> => {
    const from = learned < 0 ? dayOf(Math.min(now, ...keys.keysets(0).map(({ keyset }) => keyset.issueFrom))) : Math.min(learned, dayOf(now))
    await sealed.learn(from, aheadOf(now), now)
    learned = dayOf(now)
  }
  const told = new Set<string>()
  const tellLost = (now: Millis): void => {
    for (const [what, name] of [...keys.lost(now).map(id => ['keyset', id.slice(0, 16)]), ...sealed.lost(now).map(day => ['sealed tokens of day', String(day)])]) {
      if (told.has(name)) continue
      told.add(name)
      log.error('keys that the directory lists for this bank are not in its folder: nothing is signed with them until they are put back from a backup', { what, name })
    }
  }
  const service: Service = await Service.start({
    ...daemon, dir: config.dir, places: config, kind: 'bank', protocol: BANK_PROTOCOL,
    onDocument: view => {
      const own = ownIn(view.services('bank'))
      if (own.length > 0) sealed.follow(own.flatMap(({ sealedDays }) => sealedDays))
      const now = ports.clock.now()
      // Another process of this bank has made keys.
      if (sealed.lost(now).length > 0) learn(now).catch((error: unknown) => { log.warn('keys of sealed tokens were not read from the store', { code: asMixmintError(error).code }) })
      for (const listing of own) run(engine.adopt(listing)).catch((error: unknown) => { log.error('what our listing revokes could not be kept', { code: asMixmintError(error).code }) })
    },
    body: async ({ latest, recall }) => {
      // Once: what is published from now on stays in this folder, or on the shelf.
      recalled ??= ownIn(await recall('bank', descriptor => ownIn([descriptor]).length > 0))
      for (const listing of recalled) await run(engine.adopt(listing))
      const listed = [...ownIn((await latest())?.services('bank') ?? []), ...recalled]
      const now = ports.clock.now()
      const revocations = await run(engine.revocations())
      await prepare(now, revocations, listed)
      sealed.follow(listed.flatMap(({ sealedDays }) => sealedDays))
      await learn(now)
      // What is bought before the directory's next document is not of a day that this one does not list.
      for (const time of config.sealedDays === 0 ? [] : [now, now + SEALED_AT_ONCE]) {
        if (!sealed.isTaken(dayOf(time))) await sealed.make(dayOf(time), config.denominations)
      }
      tellLost(now)
      // All there ever were: of those, what can be refunded still because the bank was down stays listed, too.
      const refundable = await run(engine.refundable(keys.keysets(0)))
      const then = Math.min(now, ...refundable.map(({ keyset }) => keyset.refundUntil))
      return bankEntry(suite, keys.identity, network, daemon.peer, { listing: { ...bankListing(keys, revocations, now, then), sealedDays: sealed.days(now) }, store: money.id })
    },
    handle: async (content, via) => {
      let request: BankRequest
      try {
        request = decode(BankRequest, content)
      } catch (error) {
        counters.count('bad_request', { via })
        return encode(BankReply, refusal(error))
      }
      counters.count('bank_operations', { op: request.op, via })
      await (awake ??= wake())
      const reply = await run(engine.handle(request))
      if (reply.is === 'refused') mark.judge(reply, engine.seen)
      return encode(BankReply, reply)
    }
  })
  await (awake ??= wake())
  let stopping = false
  let working: Promise<void> | null = null
  /** Keys of sealed tokens for the days ahead, one by one so that requests hardly notice. */
  const makeSealed = async (): Promise<void> => {
    for (;;) {
      const now = ports.clock.now()
      sealed.retire(now)
      await learn(now)
      const day = config.sealedDays === 0 ? null : sealed.missing(now, config.sealedDays)
      if (day === null || stopping) return
      await sealed.make(day, config.denominations, async () => {
        await ports.wait(stopping ? 0 : SEALED_PAUSE)
        if (stopping) throw new MixmintError('stopping', 'us', 'the bank stops')
      })
    }
  }
  const tend = (): void => {
    working ??= makeSealed()
      .catch((error: unknown) => { if (!stopping) log.error('no keys for sealed tokens were made', { code: asMixmintError(error).code }) })
      .finally(() => { working = null })
  }
  tend()
  const tending = setInterval(tend, SEALED_EVERY)
  // Without those that it only lists: it cannot sign for them.
  const sealedReadings = (now: Millis): Reading[] => {
    const lost = sealed.lost(now)
    return config.sealedDays === 0 ? [] : [['bank_sealed_sets_ahead', sealed.days(now).filter(({ day }) => day > dayOf(now) && !lost.includes(day)).length]]
  }
  const books = new BooksWatch(async () => await run(engine.books()), ports.clock.now(), log)
  return {
    operations: {
      ...bankOperations(engine, config.unit, run),
      proofs: async () => ({ proofs: (await run(engine.centerProofs())).map(file => armor('center', file)) }),
      revoke: async input => {
        const given = unarmor(word(input, 'text'))
        if (given.kind === 'retirement') await run(engine.takeRetirement(given.value))
        else if (given.kind === 'center') {
          const reply = await run(engine.handle({ op: 'accuse', fault: given.value.fault }))
          if (reply.is === 'refused') throw errorOf(reply)
        } else throw new MixmintError('wrong-kind', 'caller', `this is a mixmint ${given.kind}, but a proof against a center, or its word that it gives up a key, is wanted`)
        return { revoked: (await run(engine.revocations())).map(({ voteKey }) => toHex(voteKey)) }
      },
      keysets: async () => keysetList(suite, keys, config.keysets, ports.clock.now())
    },
    status: async () => ({
      epoch: service.participant.keeper.view()?.epoch ?? -1, unit: config.unit, connections: connectionKinds(service.participant),
      lostKeysets: keys.lost(ports.clock.now()).length, lostSealedDays: sealed.lost(ports.clock.now()).length, ...service.mixer.status()
    }),
    evidence: service.participant.keeper.evidence,
    reach: async addresses => await service.participant.reach(addresses),
    told: async () => serviceTold(service, ports.clock.now(), keys.identity.publicKey, [...books.readings(), ...sealedReadings(ports.clock.now())]),
    missing: () => missingOf(service.participant, true),
    money: money.store,
    stop: async () => {
      stopping = true
      clearInterval(tending)
      mark.stop()
      const audited = books.stop()
      await working
      await service.stop()
      await pool.stop()
      clearInterval(beats)
      // Only the store is wanted for it: packets do not wait.
      await audited
      await money.close()
    }
  }
}

/** The keysets by their dates, and when the next one is made. */
function keysetList (suite: Suite, keys: BankKeys, { ahead }: Periods, now: Millis): JsonObject {
  const signed = keys.keysets(now)
  const date = (time: Millis): string => new Date(time).toISOString()
  return {
    keysets: signed.map(({ keyset }) => ({
      id: toHex(keysetId(suite, keyset)), unit: keyset.unit, state: stateOf(keyset, now), issueFrom: date(keyset.issueFrom), issueUntil: date(keyset.issueUntil),
      spendUntil: date(keyset.spendUntil), redeemUntil: date(keyset.redeemUntil), refundUntil: date(keyset.refundUntil), ring: toHex(keyset.ringId)
    })),
    next: date(Math.max(now, ...signed.map(({ keyset }) => keyset.issueUntil - ahead)))
  }
}
