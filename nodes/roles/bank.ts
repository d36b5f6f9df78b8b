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
import { BankListing, type Revocation } from '@mixmint/core/cash/formats'
import { dayOf, keysetId, stateOf } from '@mixmint/core/cash/keyset'
import { BANK_PROTOCOL, BankReply, BankRequest } from '@mixmint/core/cash/messages'
import { errorOf, refusal } from '@mixmint/core/cash/refusal'
import type { Periods } from '@mixmint/core/cash/schedule'
import { knownTime } from '@mixmint/core/cash/steady-clock'
import { armor, unarmor } from '../armor.ts'
import { BankKeys } from '../bank-keys.ts'
import { bankListing, checkNewRing } from '../bank-listing.ts'
import type { JsonObject } from '../control.ts'
import { word } from '../control-input.ts'
import { KeyShelf } from '../key-shelf.ts'
import type { Daemon, Role } from './role.ts'
import { readRing } from '../ring-file.ts'
import { BankSealedKeys } from '../sealed-keys.ts'
import { Service } from '../service.ts'
import { SigningPool } from '../signing-pool.ts'
import { checkMark, writeMark } from '../store/mark.ts'
import { openMoney } from '../store/money.ts'
import { bankOperations } from './bank-operations.ts'
import { connectionKinds } from './connections.ts'

/** Keys for the days ahead are looked after this often, ms, and made with such a pause before each. */
const SEALED_EVERY = 60_000
const SEALED_PAUSE = 2_000
/** A bank that starts has keys for this time ahead in its first document. */
const SEALED_AT_ONCE = 2 * 3_600_000
/** How often the folder takes down what the store knows, ms. */
const MARK_EVERY = 10_000

export async function startBank (daemon: Daemon): Promise<Role> {
  const { config, suite, ports, counters, log } = daemon
  const { network } = config.network
  const pool = new SigningPool(config.signers)
  const keys = BankKeys.open(suite, network, config.dir, readRing(config.ringFile), pool, daemon.passphrase)
  const money = await openMoney(ports.store, config.postgresFile, `bank ${toHex(keys.identity.publicKey)} of ${network} in ${config.unit}`)
  checkMark(config.dir, await drive(knownTime(), { ...ports, store: money.store }, async () => {}), config.restoredAt)
  const shelf = new KeyShelf(suite, keys.identity.secret, money.store)
  keys.share(shelf)
  const sealed = new BankSealedKeys(suite, pool, keys.identity, {
    network, unit: config.unit, dir: config.dir, shelf: config.postgresFile === '' ? null : shelf, passphrase: daemon.passphrase
  })
  const prepare = async (now: Millis, revocations: readonly Revocation[]): Promise<void> => {
    await keys.prepare({
      unit: config.unit, denominations: config.denominations, periods: config.keysets, ring: () => checkNewRing(readRing(config.ringFile), revocations)
    }, now)
  }
  const run = async <T>(saga: Saga<T, BankEffect>): Promise<T> => await drive(saga, { ...ports, store: money.store }, async effect => {
    if (effect.do === 'ask-center') return await service.participant.askCenter(effect)
    return await sealed.blindSign(effect.keyset, effect.value, effect.blinded) ?? await keys.blindSign(effect.keyset, effect.value, effect.blinded)
  })
  const engine = new BankEngine({
    suite, network, bank: keys.identity, unit: config.unit, meter: counters,
    registry: () => service.participant.registry(), dayKey: day => keys.dayKey(day), sealedKeys: id => sealed.find(id)
  })
  if (config.restoredAt > 0) await run(engine.declareLoss(config.restoredAt))
  const mark = async (): Promise<void> => { writeMark(config.dir, await run(knownTime()), config.restoredAt) }
  await mark()
  const marking = setInterval(() => { mark().catch((error: unknown) => { log.warn('the mark of the store was not written', { code: asMixmintError(error).code }) }) }, MARK_EVERY)
  let beats: NodeJS.Timeout | undefined
  /** Until somebody can reach it, it is down: one that starts again and again is not at work. */
  let awake: Promise<void> | null = null
  const wake = async (): Promise<void> => {
    // What was missed until now, it was down.
    await run(engine.beat())
    beats = setInterval(() => {
      run(engine.beat()).catch((error: unknown) => { log.error('the bank could not write that it is at work', { code: asMixmintError(error).code }) })
    }, BEAT)
  }
  const tryToPrepare = async (now: Millis, revocations: readonly Revocation[]): Promise<void> => {
    await prepare(now, revocations).catch((error: unknown) => {
      // Without a first there is nothing to list; without a next the present ones are listed all the same.
      if (keys.keysets(now).length === 0) throw error
      log.error('the next keyset could not be made', { code: asMixmintError(error).code })
    })
  }
  await tryToPrepare(ports.clock.now(), await run(engine.revocations()))
  // What is bought before the directory's next document is not of a day that this one does not list.
  for (const time of config.sealedDays === 0 ? [] : [ports.clock.now(), ports.clock.now() + SEALED_AT_ONCE]) {
    if (!sealed.has(dayOf(time))) await sealed.make(dayOf(time), config.denominations)
  }
  const service: Service = await Service.start({
    ...daemon, dir: config.dir, listen: config.listen, entry: config.entry, kind: 'bank', protocol: BANK_PROTOCOL,
    onDocument: view => {
      const own = view.services('bank').map(({ body }) => decode(BankListing, body)).find(({ bank }) => equal(bank, keys.identity.publicKey))
      if (own !== undefined) run(engine.adopt(own)).catch((error: unknown) => { log.error('what our listing revokes could not be kept', { code: asMixmintError(error).code }) })
    },
    body: async () => {
      const now = ports.clock.now()
      const revocations = await run(engine.revocations())
      await tryToPrepare(now, revocations)
      // All there ever were: of those, what can be refunded still because the bank was down stays listed, too.
      const refundable = await run(engine.refundable(keys.keysets(0)))
      const then = Math.min(now, ...refundable.map(({ keyset }) => keyset.refundUntil))
      return encode(BankListing, { ...bankListing(keys, revocations, now, then), sealedDays: sealed.days(now) })
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
      return encode(BankReply, await run(engine.handle(request)))
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
    status: async () => ({ epoch: service.participant.keeper.view()?.epoch ?? -1, unit: config.unit, connections: connectionKinds(service.participant), ...service.mixer.status() }),
    evidence: service.participant.keeper.evidence,
    stop: async () => {
      stopping = true
      clearInterval(tending)
      clearInterval(marking)
      await working
      await service.stop()
      await pool.stop()
      clearInterval(beats)
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
