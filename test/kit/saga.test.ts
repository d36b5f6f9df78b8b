import { describe, expect, test } from 'vitest'
import { utf8 } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import { asMixmintError, batch, drive, eachEntry, gather, get, now, random, scanAll, wait, type BasePorts, type Saga, type Settled } from '@mixmint/core/kit/saga'
import { VirtualClock } from '../doubles/clock.ts'
import { MemoryStore } from '../doubles/memory-store.ts'
import { seededRng } from '../doubles/rng.ts'

interface Call { readonly do: 'call', readonly name: string }

function * call (name: string): Saga<string, Call> { return yield { do: 'call', name } }

function setUp () {
  const clock = new VirtualClock(1000)
  const ports: BasePorts = { clock, rng: seededRng(1), store: new MemoryStore(), wait: clock.wait }
  const pending = new Map<string, PromiseWithResolvers<string>>()
  const perform = async (effect: Call): Promise<string> => {
    const reply = Promise.withResolvers<string>()
    pending.set(effect.name, reply)
    return await reply.promise
  }
  return { clock, ports, pending, perform }
}

const settled = async (): Promise<void> => { await new Promise(resolve => setImmediate(resolve)) }

test('each base effect is resumed with what its port gives', async () => {
  const { clock, ports, perform } = setUp()
  function * saga (): Saga<unknown[], Call> {
    const stored = yield * batch([{ op: 'insert', key: utf8('k'), value: utf8('v') }])
    const again = yield * batch([{ op: 'insert', key: utf8('k'), value: utf8('w') }])
    return [yield * now(), (yield * random(5)).length, stored, again, yield * get(utf8('k')), yield * get(utf8('none'))]
  }
  expect(await drive(saga(), ports, perform)).toEqual([
    clock.now(), 5, { done: true }, { done: false, at: 0, found: utf8('v') }, utf8('v'), null])
})

test('wait lets the clock\'s time pass', async () => {
  const { clock, ports, perform } = setUp()
  function * saga (): Saga<number, Call> {
    yield * wait(500)
    return yield * now()
  }
  const done = drive(saga(), ports, perform)
  await settled()
  clock.advance(499)
  await settled()
  clock.advance(1)
  expect(await done).toBe(1500)
})

test('eachEntry visits every entry once, in order, and nothing beside the prefix, whatever the visitor changes, until it has enough', async () => {
  const names = Array.from({ length: 10 }, (_, i) => `a${i}`)
  for (const page of [1, 3, 5, 10, 11]) {
    const { ports, perform } = setUp()
    await ports.store.batch(['b', ...names.toReversed()].map(name => ({ op: 'put', key: utf8(name), value: utf8(name) })))
    const read = async (saga: (seen: string[]) => Saga<void, Call>): Promise<string[]> => {
      const seen: string[] = []
      await drive(saga(seen), ports, perform)
      return seen
    }
    const text = (value: Uint8Array): string => new TextDecoder().decode(value)
    expect(await read(seen => eachEntry(utf8('a'), ({ value }) => { seen.push(text(value)) }, { page }))).toEqual(names)
    expect(await read(seen => eachEntry(utf8('a'), ({ value }) => seen.push(text(value)) === 4 ? 'enough' : undefined, { page, after: utf8('a2') }))).toEqual(names.slice(3, 7))
    expect(await drive(scanAll(utf8('a')), ports, perform)).toEqual(names.map(name => ({ key: utf8(name), value: utf8(name) })))
    expect(await read(seen => eachEntry(utf8('a'), function * ({ key, value }) {
      seen.push(text(value))
      yield * batch([{ op: 'delete', key }])
    }, { page }))).toEqual(names)
    expect(await drive(scanAll(utf8('a')), ports, perform)).toEqual([])
  }
})

describe('an error of an effect', () => {
  test('is thrown at the yield, where the saga may catch it and go on', async () => {
    const { ports } = setUp()
    function * saga (): Saga<string, Call> {
      try {
        return yield * call('x')
      } catch (error) {
        return `caught ${asMixmintError(error).code} at ${yield * now()}`
      }
    }
    expect(await drive(saga(), ports, async () => { throw new MixmintError('unreachable', 'peer', 'down') })).toBe('caught unreachable at 1000')
  })

  test('that nobody catches rejects the whole', async () => {
    const { ports } = setUp()
    await expect(drive(call('x'), ports, async () => { throw new Error('down') })).rejects.toThrow('down')
  })

  test('before the first effect rejects too', async () => {
    const { ports, perform } = setUp()
    function * saga (): Saga<string, Call> { throw new Error('early') }
    await expect(drive(saga(), ports, perform)).rejects.toThrow('early')
  })
})

describe('gather', () => {
  test('runs all at once and gives each result in its place', async () => {
    const { ports, pending, perform } = setUp()
    const all = drive(gather([call('a'), call('b'), call('c')]), ports, perform)
    expect([...pending.keys()]).toEqual(['a', 'b', 'c'])
    pending.get('c')?.resolve('C')
    pending.get('b')?.reject(new Error('no'))
    pending.get('a')?.resolve('A')
    expect(await all).toEqual([{ state: 'done', value: 'A' }, { state: 'failed', error: new Error('no') }, { state: 'done', value: 'C' }])
  })

  test('of nothing gives nothing', async () => {
    const { ports, perform } = setUp()
    expect(await drive(gather<string, Call>([]), ports, perform)).toEqual([])
  })

  test('stops as soon as there is enough; the rest runs on unheard', async () => {
    const { ports, pending, perform } = setUp()
    let late = ''
    function * slow (): Saga<string, Call> {
      late = yield * call('slow')
      return late
    }
    const done = (results: ReadonlyArray<Settled<string>>): boolean => results.some(result => result.state === 'done')
    const some = drive(gather([call('fails'), call('quick'), slow()], done), ports, perform)
    pending.get('fails')?.reject(new Error('no'))
    await settled()
    pending.get('quick')?.resolve('Q')
    const results = await some
    expect(results.map(result => result.state)).toEqual(['failed', 'done', 'running'])
    pending.get('slow')?.resolve('S')
    await settled()
    expect(late).toBe('S')
    expect(results[2].state).toBe('running')
  })

  test('rejects when enough itself fails', async () => {
    const { ports, pending, perform } = setUp()
    const some = drive(gather([call('a'), call('b')], () => { throw new Error('defect') }), ports, perform)
    pending.get('a')?.resolve('A')
    await expect(some).rejects.toThrow('defect')
  })

  test('nests', async () => {
    const { ports, pending, perform } = setUp()
    const both: Saga<Array<Settled<string>>, Call> = gather([call('a'), call('b')])
    const one: Saga<Array<Settled<string>>, Call> = gather([call('c')])
    const all = drive(gather([both, one]), ports, perform)
    for (const name of ['c', 'b', 'a']) pending.get(name)?.resolve(name)
    const values = (await all).map(outer => outer.state === 'done' ? outer.value.map(inner => inner.state === 'done' && inner.value) : null)
    expect(values).toEqual([['a', 'b'], ['c']])
  })
})

test('an error of no known kind becomes one of ours, with its cause', () => {
  const known = new MixmintError('bad-coin', 'peer', 'no')
  expect(asMixmintError(known)).toBe(known)
  const cause = new TypeError('oops')
  expect(asMixmintError(cause)).toMatchObject({ code: 'internal', fault: 'us', cause })
  expect(asMixmintError('text')).toMatchObject({ code: 'internal', message: 'text' })
})
