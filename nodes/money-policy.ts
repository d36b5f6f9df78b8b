/**
 * What may stand in the directory about money: one bank of a key, one center of an id, one merchant of a key, and of a bank
 * what src/cash/listing-policy.ts asks. It looks at nothing but what it is given, so that all authorities answer alike.
 */
import { equal } from '@mixmint/core/kit/bytes'
import { decode } from '@mixmint/core/kit/codec'
import { isMixmintError } from '@mixmint/core/kit/errors'
import type { Log } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { BankListing, CenterListing, MerchantListing } from '@mixmint/core/cash/formats'
import { checkListing } from '@mixmint/core/cash/listing-policy'
import type { CheckService } from '@mixmint/mixnet/directory/merge'

/** @param see is shown every listing of a bank, accepted or not */
export function moneyPolicy (suite: Suite, network: string, log: Log, see: (listing: BankListing) => void): CheckService {
  return (kind, body, others, { previous, now }) => {
    try {
      switch (kind) {
        case 'bank': {
          const listing = decode(BankListing, body)
          see(listing)
          const refused = checkListing(suite, network, listing, previous === null ? undefined : decode(BankListing, previous), now)
          if (refused !== null) log.error('a bank\'s listing was refused', { why: refused })
          const taken = others.some(other => other.kind === 'bank' && equal(decode(BankListing, other.body).bank, listing.bank))
          return refused !== null ? 'bank-listing' : taken ? 'bank-taken' : null
        }
        case 'center': {
          const { center } = decode(CenterListing, body)
          return others.some(other => other.kind === 'center' && equal(decode(CenterListing, other.body).center, center)) ? 'center-taken' : null
        }
        case 'merchant': {
          const { payee } = decode(MerchantListing, body)
          return others.some(other => other.kind === 'merchant' && equal(decode(MerchantListing, other.body).payee, payee)) ? 'payee-taken' : null
        }
        default: return 'unknown-kind'
      }
    } catch (error) {
      if (isMixmintError(error)) return error.code
      throw error
    }
  }
}
