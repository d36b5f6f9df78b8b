/**
 * The process under test of durability.test.ts and store-full.test.ts: opens the store in a folder and does as the
 * words say, writing to standard output (descriptor 1, at once) when a batch is asked and when it is answered.
 */
import { writeSync } from 'node:fs'
import { asMixmintError } from '@mixmint/core/kit/saga'
import { utf8 } from '@mixmint/core/kit/bytes'
import { openLmdb } from '../../nodes/store/lmdb.ts'

const [dir, task] = process.argv.slice(2)
const store = await openLmdb(dir)
const say = (line: string): void => { writeSync(1, `${line}\n`) }

async function insert (name: string, size: number): Promise<string> {
  return await store.batch([{ op: 'insert', key: utf8(name), value: new Uint8Array(size).fill(7) }])
    .then(({ done }) => done ? 'done' : 'taken', (error: unknown) => asMixmintError(error).code)
}

if (task === 'one by one') {
  for (let i = 0; i < 5; i++) {
    say(`ASK ${i}`)
    await insert(`k${i}`, 100)
    say(`TOLD ${i}`)
  }
} else if (task === 'together') {
  await Promise.all(Array.from({ length: 64 }, async (_, i) => {
    say(`ASK ${i}`)
    await insert(`k${i}`, 100)
    say(`TOLD ${i}`)
  }))
} else if (task === 'read') {
  // Who reads a key that another is inserting must not see it before it is on disk.
  say('ASK 0')
  const writing = insert('k', 100)
  while (await store.get(utf8('k')) === null) await new Promise(resolve => setImmediate(resolve))
  say('TOLD 0')
  await writing
} else if (task === 'fill') {
  // 4 MiB of disk: fill it, be refused, make room, go on; then say what is there.
  const results: string[] = []
  for (let i = 0; i < 40; i++) results.push(await insert(`big${i}`, 200_000))
  const kept = (await store.scan({ prefix: utf8('big'), limit: 100 })).length
  say(JSON.stringify({ kept, done: results.filter(r => r === 'done').length, others: [...new Set(results.filter(r => r !== 'done'))] }))
  await store.batch([0, 1, 2, 3, 4].map(i => ({ op: 'delete', key: utf8(`big${i}`) })))
  // LMDB uses pages again that were freed two transactions ago.
  say(JSON.stringify({ small: [await insert('small', 10), await insert('small 2', 10)], again: await insert('after', 200_000) }))
} else if (task === 'limit') {
  // A file that may not grow: to the store an error that it does not know, after which it stays shut.
  const results: string[] = []
  for (let i = 0; i < 40; i++) results.push(await insert(`big${i}`, 200_000))
  const after = await insert('small', 10)
  say(JSON.stringify({ done: results.indexOf('store-failed'), later: [...new Set(results.slice(results.indexOf('store-failed')))], after }))
}
await store.close()
