/**
 * What banks and merchants have in the directory as services: a listing, and the word of the key that it names that this peer may
 * publish it. So several peers may be services of one bank, or tills of one shop, and nobody stands in the directory under a key that is not his:
 * else wallets would ask one shop and pay another, and the payee's own listing would find its key taken.
 */
import { bytes, decode, encode, record, tagged, text, type Codec, type Of } from '../kit/codec.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Ed25519KeyPair, Suite } from '../crypto/suite.ts'
import { BankListing, MerchantListing } from './formats.ts'

/** `store`: the name of the store that this peer works on, one for all peers of a bank. `warrant`: the bank's signature, see `message`. */
export const BankEntry = record({ listing: BankListing, store: bytes(16), warrant: bytes(64) })
export type BankEntry = Of<typeof BankEntry>

const Warrant = record({ network: text(64), peer: bytes(39), store: bytes(16), listing: bytes(32) })

/** A network and a peer's id in its encoding, 39 bytes: a listing is worth nothing elsewhere. */
interface Place { readonly network: string, readonly peer: Uint8Array }

/** What is signed: tag ‖ Warrant, with H(the listing, without any signature of its own). */
function message<T> (suite: Suite, tag: 'bank-listing' | 'merchant-listing', codec: Codec<T>, listing: T, place: Place, store: Uint8Array): Uint8Array {
  return tagged(tag, encode(Warrant, { ...place, store, listing: suite.sha256(encode(codec, listing)) }))
}

/** The body of a bank's descriptor. @param peer 39 bytes */
export function bankEntry (suite: Suite, bank: Ed25519KeyPair, network: string, peer: Uint8Array, { listing, store }: Pick<BankEntry, 'listing' | 'store'>): Uint8Array {
  return encode(BankEntry, { listing, store, warrant: suite.ed25519Sign(bank, message(suite, 'bank-listing', BankListing, listing, { network, peer }, store)) })
}

/** Read and verified, as an authority does. @throws bad-encoding, bad-warrant (peer) */
export function verifyBankEntry (suite: Suite, network: string, peer: Uint8Array, body: Uint8Array): BankEntry {
  const { listing, store, warrant } = decode(BankEntry, body)
  if (!suite.ed25519Verify(listing.bank, message(suite, 'bank-listing', BankListing, listing, { network, peer }, store), warrant)) {
    throw new MixmintError('bad-warrant', 'peer', 'the bank of this listing has not signed that this peer speaks for it')
  }
  return { listing, store, warrant }
}

const NO_SIGNATURE = new Uint8Array(64)

function merchantMessage (suite: Suite, place: Place, listing: MerchantListing): Uint8Array {
  return message(suite, 'merchant-listing', MerchantListing, { ...listing, signature: NO_SIGNATURE }, place, listing.store)
}

/** @param peer 39 bytes */
export function signMerchantListing (suite: Suite, payee: Ed25519KeyPair, network: string, peer: Uint8Array, fields: Pick<MerchantListing, 'name' | 'till' | 'store'>): MerchantListing {
  const listing = { payee: payee.publicKey, ...fields, signature: NO_SIGNATURE }
  return { ...listing, signature: suite.ed25519Sign(payee, merchantMessage(suite, { network, peer }, listing)) }
}

/** @throws bad-payee-claim (peer) */
export function verifyMerchantListing (suite: Suite, network: string, peer: Uint8Array, listing: MerchantListing): void {
  if (!suite.ed25519Verify(listing.payee, merchantMessage(suite, { network, peer }, listing), listing.signature)) {
    throw new MixmintError('bad-payee-claim', 'peer', 'the listing is not signed by the payee key that it names, for this node')
  }
}
