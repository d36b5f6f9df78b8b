/** The daemon of a bank. */
import { toHex } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import type { Millis } from '@mixmint/core/kit/ports'
import { asMixmintError, drive, type Saga } from '@mixmint/core/kit/saga'
import type { Suite } from '@mixmint/core/crypto/suite'
import { BankEngine } from '@mixmint/core/cash/bank/engine'
import type { BankEffect } from '@mixmint/core/cash/bank/parts'
import { BankListing } from '@mixmint/core/cash/formats'
import { keysetId, stateOf } from '@mixmint/core/cash/keyset'
import { BANK_PROTOCOL, BankReply, BankRequest } from '@mixmint/core/cash/messages'
import { refusal } from '@mixmint/core/cash/refusal'
import type { Periods } from '@mixmint/core/cash/schedule'
import { BankKeys, type KeysetTerms } from '../bank-keys.ts'
import type { JsonObject } from '../control.ts'
import type { Daemon, Role } from './role.ts'
import { readRing } from '../ring-file.ts'
import { Service } from '../service.ts'
import { openMoney } from '../store/money.ts'
import { bankOperations } from './bank-operations.ts'
import { connectionKinds } from './connections.ts'

export async function startBank (daemon: Daemon): Promise<Role> {
  const { config, suite, ports, counters, log } = daemon
  const { network } = config.network
  const keys = BankKeys.open(suite, network, config.dir, readRing(config.ringFile))
  const terms: KeysetTerms = { unit: config.unit, denominations: config.denominations, periods: config.keysets, ring: () => readRing(config.ringFile) }
  await keys.prepare(terms, ports.clock.now())

  const money = await openMoney(ports.store, config.postgresFile, `bank ${toHex(keys.identity.publicKey)} of ${network} in ${config.unit}`)
  const run = async <T>(saga: Saga<T, BankEffect>): Promise<T> => await drive(saga, { ...ports, store: money.store }, async effect => {
    if (effect.do === 'ask-center') return await service.participant.askCenter(effect)
    return keys.blindSign(effect.keyset, effect.value, effect.blinded)
  })
  const engine = new BankEngine({
    suite, network, bank: keys.identity, unit: config.unit, meter: counters,
    registry: () => service.participant.registry(), dayKey: day => keys.dayKey(day)
  })
  const service: Service = await Service.start({
    ...daemon, dir: config.dir, listen: config.listen, entry: config.entry, kind: 'bank', protocol: BANK_PROTOCOL,
    body: async () => {
      const now = ports.clock.now()
      // Without a next keyset the present ones are listed all the same.
      await keys.prepare(terms, now).catch((error: unknown) => { log.error('the next keyset could not be made', { code: asMixmintError(error).code }) })
      return encode(BankListing, { bank: keys.identity.publicKey, keysets: keys.keysets(now), rings: keys.rings(now), dayKeys: keys.dayKeys(now) })
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
      return encode(BankReply, await run(engine.handle(request)))
    }
  })
  return {
    operations: {
      ...bankOperations(engine, config.unit, run),
      keysets: async () => keysetList(suite, keys, config.keysets, ports.clock.now())
    },
    status: async () => ({ epoch: service.participant.keeper.view()?.epoch ?? -1, unit: config.unit, connections: connectionKinds(service.participant), ...service.mixer.status() }),
    evidence: service.participant.keeper.evidence,
    stop: async () => {
      await service.stop()
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
