/** The daemon of a bank. */
import { fromHex } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { asMixmintError, drive, type Saga } from '@mixmint/core/kit/saga'
import { BankEngine } from '@mixmint/core/cash/bank/engine'
import { BEAT } from '@mixmint/core/cash/bank/outages'
import type { BankEffect } from '@mixmint/core/cash/bank/parts'
import { BankListing } from '@mixmint/core/cash/formats'
import { BANK_PROTOCOL, BankReply, BankRequest } from '@mixmint/core/cash/messages'
import { refusal } from '@mixmint/core/cash/refusal'
import { BankKeys } from '../bank-keys.ts'
import { whole, word } from '../control-input.ts'
import type { Daemon, Role } from './role.ts'
import { readRing } from '../ring-file.ts'
import { Service } from '../service.ts'
import { connectionKinds } from './connections.ts'

export async function startBank (daemon: Daemon): Promise<Role> {
  const { config, suite, ports, counters, log } = daemon
  const { network } = config.network
  const ring = readRing(config.ringFile)
  const keys = BankKeys.open(suite, network, config.dir)
  await keys.ensureIssuing({ unit: config.unit, denominations: config.denominations, days: config.keysetDays, ring, now: ports.clock.now() })

  const run = async <T>(saga: Saga<T, BankEffect>): Promise<T> => await drive(saga, ports, async effect => {
    if (effect.do === 'ask-center') return await service.participant.askCenter(effect)
    return keys.blindSign(effect.keyset, effect.value, effect.blinded)
  })
  const engine = new BankEngine({
    suite, network, bank: keys.identity, unit: config.unit, meter: counters,
    registry: () => service.participant.registry(), dayKey: day => keys.dayKey(day)
  })
  // What was missed until now, it was down.
  await run(engine.beat())
  const beats = setInterval(() => {
    run(engine.beat()).catch((error: unknown) => { log.error('the bank could not write that it is at work', { code: asMixmintError(error).code }) })
  }, BEAT)
  const service: Service = await Service.start({
    ...daemon, dir: config.dir, listen: config.listen, entry: config.entry, kind: 'bank', protocol: BANK_PROTOCOL,
    body: async () => {
      const now = ports.clock.now()
      await keys.ensureIssuing({ unit: config.unit, denominations: config.denominations, days: config.keysetDays, ring, now })
      return encode(BankListing, { bank: keys.identity.publicKey, keysets: await run(engine.refundable(keys.keysets())), rings: [ring], dayKeys: keys.dayKeys(now) })
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
      credit: async input => ({
        unit: config.unit,
        balance: await run(engine.credit(fromHex(word(input, 'account')), whole(input, 'amount'), word(input, 'reference')))
      }),
      balance: async input => ({ unit: config.unit, balance: await run(engine.balance(fromHex(word(input, 'account')))) }),
      books: async () => {
        const { unit, time, credited, accounts, tokens, issued, redeemed, outstanding, balanced, faults } = await run(engine.books())
        return { unit, time: new Date(time).toISOString(), credited, accounts, tokens, issued, redeemed, outstanding, balanced, faults }
      }
    },
    status: async () => ({ epoch: service.participant.view().epoch, unit: config.unit, connections: connectionKinds(service.participant), ...service.mixer.status() }),
    evidence: service.participant.keeper.evidence,
    stop: async () => {
      await service.stop()
      clearInterval(beats)
    }
  }
}
