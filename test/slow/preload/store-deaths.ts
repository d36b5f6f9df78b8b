/**
 * Loaded into a process of the program before its own modules (`--import`): the process kills itself at a durable step of its
 * money's store. Which one, stands in the file that MIXMINT_DIES_AT names; it is removed first, so that one death is died once.
 *
 *   before <table>    in the transaction that writes a key of this table: nothing of it is on disk
 *   after <table>     it is on disk, and nobody has been told
 */
import { registerHooks } from 'node:module'

const wrapped = new URL('dying-lmdb.ts', import.meta.url).href

registerHooks({
  resolve: (specifier, context, next) => specifier === 'lmdb' && context.parentURL !== wrapped ? { url: wrapped, shortCircuit: true } : next(specifier, context)
})
