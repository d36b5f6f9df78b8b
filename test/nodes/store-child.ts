/** The second process of store-lmdb.test.ts. */
import { utf8 } from '@mixmint/core/kit/bytes'
import { openLmdb } from '../../nodes/store/lmdb.ts'

const store = await openLmdb(process.argv[2])

async function raise (): Promise<void> {
  for (;;) {
    const was = await store.get(utf8('count'))
    const next = utf8(`${Number(was === null ? '0' : new TextDecoder().decode(was)) + 1}`)
    if ((await store.batch([{ op: 'swap', key: utf8('count'), was, value: next }])).done) return
  }
}

const tasks: Record<string, () => Promise<unknown>> = {
  go: async () => await Promise.all(Array.from({ length: 300 }, async (_, i) =>
    (await store.batch([{ op: 'insert', key: utf8(`k${i}`), value: utf8('child') }])).done)),
  count: async () => {
    for (let i = 0; i < 100; i++) await raise()
    return 'counted'
  },
  grow: async () => {
    for (let i = 0; i < 16; i++) await store.batch([{ op: 'insert', key: utf8(`big${i}`), value: new Uint8Array(1 << 20) }])
    return 'grown'
  }
}

process.on('message', (task: string) => { void tasks[task]().then(result => process.send?.(result)) })
process.on('disconnect', () => { process.exit() })
process.send?.('ready')
