/**
 * What may stand in the directory about money: of a bank what src/cash/listing-policy.ts asks, of all its peers together; one
 * center of an id; banks and merchants by their own word only. It looks at nothing but what it is given, so that all authorities answer alike.
 */
import { equal } from '@mixmint/core/kit/bytes'
import { decode } from '@mixmint/core/kit/codec'
import { isMixmintError } from '@mixmint/core/kit/errors'
import type { Log } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { CenterListing, MerchantListing, type BankListing } from '@mixmint/core/cash/formats'
import { BankEntry, verifyBankEntry, verifyMerchantListing } from '@mixmint/core/cash/listing-entry'
import { checkListing, together } from '@mixmint/core/cash/listing-policy'
import type { CheckService, ListedService } from '@mixmint/mixnet/directory/merge'

/** @param see is shown every listing that a bank has signed, accepted or, of a bank that is known, not */
export function moneyPolicy (suite: Suite, network: string, log: Log, see: (listing: BankListing) => void): CheckService {
  return (kind, body, others, { peer, before, now }) => {
    try {
      switch (kind) {
        case 'bank': {
          const { listing, store } = verifyBankEntry(suite, network, peer, body)
          const earlier = listingsOf(before, listing.bank)
          const refused = before.some(service => service.kind === 'bank' && equal(service.peer, peer) && !equal(decode(BankEntry, service.body).listing.bank, listing.bank))
            ? 'the bank has another key than before'
            : checkListing(suite, network, listing, { beside: listingsOf(others, listing.bank), previous: earlier.length === 0 ? undefined : together(earlier), now })
          if (refused === null && ofBank(others, listing.bank).some(other => !equal(other.store, store))) return 'bank-taken'
          if (refused === null || earlier.length > 0) see(listing)
          if (refused !== null) log.error('a bank\'s listing was refused', { why: refused })
          return refused === null ? null : 'bank-listing'
        }
        case 'center': {
          const { center } = decode(CenterListing, body)
          return others.some(other => other.kind === 'center' && equal(decode(CenterListing, other.body).center, center)) ? 'center-taken' : null
        }
        case 'merchant': {
          const listing = decode(MerchantListing, body)
          verifyMerchantListing(suite, network, peer, listing)
          return others.some(other => other.kind === 'merchant' && !areOneShop(decode(MerchantListing, other.body), listing)) ? 'payee-taken' : null
        }
        default: return 'unknown-kind'
      }
    } catch (error) {
      if (isMixmintError(error)) return error.code
      throw error
    }
  }
}

/** Or two that have nothing to do with each other: of one payee, tills of one store may be listed, and one with a store of its own only alone. */
function areOneShop (one: MerchantListing, other: MerchantListing): boolean {
  return !equal(one.payee, other.payee) || (equal(one.store, other.store) && one.till.length === 0 && other.till.length === 0)
}

function ofBank (services: readonly ListedService[], bank: Uint8Array): BankEntry[] {
  return services.flatMap(({ kind, body }) => kind === 'bank' ? [decode(BankEntry, body)] : []).filter(({ listing }) => equal(listing.bank, bank))
}

function listingsOf (services: readonly ListedService[], bank: Uint8Array): BankListing[] {
  return ofBank(services, bank).map(({ listing }) => listing)
}
