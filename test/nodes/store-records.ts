/** What stands in each role's store: by the prefix of its key, the codec of its value. None begins another within a role. */
import { bytes, decode, type Codec } from '@mixmint/core/kit/codec'
import * as bank from '@mixmint/core/cash/bank/records'
import {
  BankConflict, CenterFault, CenterProofFile, Input, SignedDayKey, SignedInvoice, SignedKeyset, SignedSealedKeys, Presentation, Spend
} from '@mixmint/core/cash/formats'
import * as merchant from '@mixmint/core/cash/merchant/records'
import { COPY_SIZES, Settlement } from '@mixmint/core/cash/messages'
import * as wallet from '@mixmint/core/cash/wallet/records'
import { SignedDescriptor, SignedDocument } from '@mixmint/mixnet/directory/formats'

/** @throws for a value that is none */
type Check = (value: Uint8Array) => void

const of = <T>(codec: Codec<T>): Check => value => { decode(codec, value) }
/** What is no CBOR: so many bytes. */
const raw = (length: number | { readonly max: number }): Check => value => { bytes(length).parse(value, '') }
const number = raw(8)
const hash = raw(32)
const mark = raw({ max: 1 })

const archive = {
  'archive/bank/': raw(0), 'archive/keyset/': of(SignedKeyset), 'archive/day/': of(SignedDayKey), 'archive/sealed/': of(SignedSealedKeys), 'archive/conflict/': of(BankConflict)
}
/** Of every store whose owner claims it. */
const claimed = { about: raw({ max: 512 }), 'store-id': raw(16), ...archive }
const steadyClock = { 'steady-clock': number }

export const RECORDS = {
  bank: {
    ...claimed, ...steadyClock,
    account: of(bank.Account), 'all-credits': of(bank.AllCredits), credit: of(bank.Credited), withdrawal: of(bank.Signatures), contract: of(Settlement), invoice: hash,
    spent: of(bank.Spent), certificate: of(bank.Certificate), output: of(bank.SignedOutput), token: of(bank.IssuedToken), deposit: of(bank.Deposited),
    journal: of(bank.JournalEntry), alive: of(bank.Alive), copy: raw({ max: COPY_SIZES[COPY_SIZES.length - 1] }), 'shelf/': raw({ max: 1 << 16 })
  },
  center: { ...claimed, ...steadyClock, spend: of(Spend) },
  merchant: {
    ...claimed, ...steadyClock,
    number, invoice: of(SignedInvoice), ordered: hash, ends: number, open: of(merchant.OpenOrder), paid: of(merchant.PaidOrder), sold: number, serial: hash,
    due: of(Presentation), credited: of(merchant.Credited), 'sealed-due': of(merchant.SealedDue), 'sealed-paid': of(merchant.SealedPaid), 'sealed-keys': of(SignedSealedKeys),
    votes: of(Input), settled: of(merchant.Settled), proof: of(merchant.Proof), proven: number, 'count-of-proofs': number, keyset: of(SignedKeyset), contest: of(Input),
    liar: of(CenterProofFile), unaccused: of(CenterFault)
  },
  wallet: {
    ...claimed,
    answered: mark, batch: number, sequence: number, open: of(wallet.Operation), done: of(wallet.Operation), coin: of(wallet.OwnedCoin), spent: of(wallet.OwnedCoin), invoice: of(wallet.InvoiceUse),
    token: of(wallet.HeldToken), 'sealed-token': of(wallet.HeldSealed), 'sealed-payment': of(wallet.SealedPaying), 'refused-order': of(wallet.RefusedOrder), 'sealed-keys': of(SignedSealedKeys), 'session/': raw({ max: 64 })
  },
  authority: { ...claimed, 'directory/document/': of(SignedDocument), 'directory/node/': of(SignedDescriptor) }
} satisfies Record<string, Record<string, Check>>

/** @throws for a key that no role writes */
export function recordAt (role: keyof typeof RECORDS, key: Uint8Array): { readonly prefix: string, readonly check: Check } {
  const name = new TextDecoder('latin1').decode(key)
  const found = Object.entries<Check>(RECORDS[role]).find(([prefix]) => name.startsWith(prefix))
  if (found === undefined) throw new Error(`no record of this ${role} stands under ${JSON.stringify(name.slice(0, 16))}`)
  return { prefix: found[0], check: found[1] }
}
