/** `mixmint bank …`: what a bank's operator does with the running bank. */
import type { Command } from 'commander'
import { randomBytes } from 'node:crypto'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import { callControl, type Json, type JsonObject } from '../control.ts'
import { amount, folderOf, hexKey, withNet, type NetOptions } from './options.ts'
import { EXIT, report, table } from './output.ts'
import { readText } from './texts.ts'

export function addBank (program: Command): void {
  const bank = withNet(program.command('bank'), 'bank').description('operate the running bank: accounts and books')
  const ask = async (operation: string, input: JsonObject, human: (result: JsonObject) => string): Promise<void> => {
    const options = bank.opts<NetOptions>()
    await report(options.json === true, async () => {
      const json = await call(folderOf(options, 'bank'), operation, input)
      return { json, human: human(json as JsonObject) }
    })
  }

  bank.command('key').description('the bank\'s public key, by which merchants name it; of the folder, whether the bank runs or not')
    .action(async () => {
      const options = bank.opts<NetOptions>()
      await report(options.json === true, async () => {
        const { defaultSuite } = await import('@mixmint/core/crypto/choose')
        const { publicKeyOf } = await import('../node-folder.ts')
        const { passphraseOfEnvironment } = await import('../passphrase-source.ts')
        const key = publicKeyOf(await defaultSuite(), folderOf(options, 'bank'), 'bank', passphraseOfEnvironment())
        return { json: { key }, human: key }
      })
    })
  bank.command('credit').description('credit an account, opening it if it is new')
    .argument('<account>', 'the account\'s key, as `mixmint wallet account` prints it', hexKey)
    .argument('<amount>', 'in the unit\'s smallest coin', amount)
    .option('--reference <text>', 'names this credit: the same reference is credited once', randomBytes(8).toString('hex'))
    .action(async (account: string, value: number, { reference }: { reference: string }) => {
      await ask('credit', { account, amount: value, reference }, r => `credited ${value} ${String(r.unit)}; the account holds ${String(r.balance)}`)
    })
  bank.command('pay-out').description('the owner of an account has had other money for it: take it from the account')
    .argument('<account>', 'the account\'s key', hexKey)
    .argument('<amount>', 'in the unit\'s smallest coin', amount)
    .option('--reference <text>', 'names this payment: the same reference is paid out once', randomBytes(8).toString('hex'))
    .action(async (account: string, value: number, { reference }: { reference: string }) => {
      await ask('payOut', { account, amount: value, reference }, r => `paid out ${value} ${String(r.unit)}; the account holds ${String(r.balance)}`)
    })
  bank.command('balance').description('what an account holds, and how it stands')
    .argument('<account>', 'the account\'s key', hexKey)
    .action(async (account: string) => { await ask('balance', { account }, accountLine) })
  for (const [name, what] of [
    ['open', 'put an account on record, or open again one that was closed'],
    ['freeze', 'nothing leaves an account any more; what is paid into it comes in'],
    ['thaw', 'a frozen account gives again'],
    ['close', 'an account that holds nothing gives and is credited nothing any more']
  ] as const) {
    bank.command(name).description(what)
      .argument('<account>', 'the account\'s key', hexKey)
      .option('--note <text>', 'whose it is, or why; for people', '')
      .action(async (account: string, { note }: { note: string }) => { await ask(name, { account, note }, accountLine) })
  }
  bank.command('books').description('issued, redeemed and outstanding, and whether they balance')
    .action(async () => { await ask('books', {}, booksTable) })
  bank.command('proofs').description('what convicts centers: proofs, one a line, that anyone can check with `mixmint proof verify`')
    .action(async () => { await ask('proofs', {}, r => (r.proofs as readonly string[]).join('\n')) })
  bank.command('revoke').description('revoke a vote key: by a proof against its center, or by the center\'s own word that it gives it up')
    .argument('<file>', 'what `mixmint merchant proofs`, `mixmint bank proofs` or `mixmint ring retire` printed, or - for standard input')
    .action(async (file: string) => {
      await ask('revoke', { text: readText(file) }, r => `revoked: ${(r.revoked as readonly string[]).join(' ')}; it stands in the next document`)
    })
  bank.command('audit').description('the books by keyset, recomputed from the journal and held against the accounts; exit code 1 when they do not balance')
    .action(async () => {
      await ask('books', {}, books => {
        if (books.balanced !== true) process.exitCode = EXIT.refused
        return auditTable(books)
      })
    })
  bank.command('statement').description('what was issued and redeemed, by keyset, signed: for `mixmint statement verify`')
    .action(async () => { await ask('statement', {}, r => String(r.statement)) })
  bank.command('keysets').description('the keysets, their dates and rings, and when the next one is made')
    .action(async () => { await ask('keysets', {}, keysetsTable) })
}

/** As callControl. A credit or payment that got no answer may have been made: only under the same reference is asking again safe. */
async function call (dir: string, operation: string, input: JsonObject): Promise<Json> {
  try {
    return await callControl(dir, operation, input)
  } catch (error) {
    if ((operation !== 'credit' && operation !== 'payOut') || !(isMixmintError(error, 'daemon-not-running') || isMixmintError(error, 'daemon-silent'))) throw error
    const { code, fault, message } = error
    throw new MixmintError(code, fault, `${message}; it may have been done: to try again, add \`--reference ${String(input.reference)}\`, which counts once`, { retry: true, cause: error })
  }
}

function accountLine ({ balance, unit, state, note, since }: JsonObject): string {
  return `${String(balance)} ${String(unit)}${state === 'open' && note === '' ? '' : `; ${String(state)} since ${String(since)}${note === '' ? '' : `: ${String(note)}`}`}`
}

function auditTable (books: JsonObject): string {
  const rows = (books.keysets as readonly JsonObject[]).map(k => [String(k.keyset).slice(0, 16), Number(k.issued), Number(k.redeemed), Number(k.outstanding)])
  return [table([['KEYSET', 'ISSUED', 'REDEEMED', 'OUTSTANDING'], ...rows]), booksTable(books), ...(books.faults as readonly string[])].join('\n')
}

/** The bank's books as a table. */
function booksTable (books: JsonObject): string {
  const rows = Object.entries(books).filter((entry): entry is [string, number] => typeof entry[1] === 'number')
  const words = (name: string): string => name.replace(/([A-Z])/g, ' $1').toLowerCase()
  return [table(rows.map(([name, value]) => [words(name), value])), `balanced: ${books.balanced as Json === true ? 'yes' : 'NO'}`].join('\n')
}

function keysetsTable ({ keysets, next }: JsonObject): string {
  const day = (date: Json): string => String(date).slice(0, 16)
  const rows = (keysets as readonly JsonObject[]).map(k => [String(k.id).slice(0, 16), String(k.unit), String(k.state), day(k.issueFrom), day(k.issueUntil), day(k.spendUntil), day(k.redeemUntil), day(k.refundUntil), String(k.ring).slice(0, 16)])
  return [table([['KEYSET', 'UNIT', 'STATE', 'ISSUES FROM', 'UNTIL', 'SPENT UNTIL', 'REDEEMED UNTIL', 'REFUNDED UNTIL', 'RING'], ...rows]), `the next one is made at ${day(next)}`].join('\n')
}
