/**
 * A machine: a disk, a clock that may be wrong, and sagas that run on it effect by effect, among those of all other
 * machines. It may stop at any effect, before or after it; then what ran is never resumed, and what is on the disk stays.
 */
import { MixmintError } from '@mixmint/core/kit/errors'
import type { BatchResult, Millis, Op } from '@mixmint/core/kit/ports'
import type { BaseEffect, Saga, Settled } from '@mixmint/core/kit/saga'
import { Disk } from './disk.ts'
import type { Schedule } from './schedule.ts'

export type Outcome<T> = { readonly value: T } | { readonly error: unknown }
type Resume = (outcome: Outcome<unknown>) => void
type Sickness = 'full' | 'failing'

/** How long a disk takes at most. */
const WRITE: Millis = 4

export abstract class Machine<E extends { readonly do: string }> {
  readonly name: string
  readonly schedule: Schedule
  disk = new Disk()
  isUp = true
  /** Can it be reached, and reach others? */
  isCutOff = false
  /** How far its clock is ahead. */
  skew: Millis = 0
  /** Its disk fails; null: it is well. */
  sickness: Sickness | null = null
  /** Called when a batch was written, or not. */
  onWritten: () => void = () => {}
  #life = 0
  #fuse: { left: number, readonly when: 'before' | 'after', readonly then: () => void } | null = null

  constructor (name: string, schedule: Schedule) {
    this.name = name
    this.schedule = schedule
  }

  /** Changes when it stops: what belongs to another life is not heard of any more. */
  get life (): number { return this.#life }

  /** Everything in memory is gone. */
  stop (): void {
    this.#life += 1
    this.#fuse = null
    this.isUp = false
  }

  start (): void {
    if (this.isUp) return
    this.isUp = true
    this.boot()
  }

  /** Stop for so long, before or after the effect that is so many away. */
  stopAt (effect: number, when: 'before' | 'after', down: Millis): void {
    this.failAt(effect, when, () => { this.stopFor(down) })
  }

  protected failAt (effect: number, when: 'before' | 'after', fail: () => void): void {
    this.#fuse = { left: effect, when, then: fail }
  }

  stopFor (down: Millis): void {
    this.stop()
    const life = this.#life
    this.schedule.after(down, () => { if (this.#life === life) this.start() })
  }

  /** Nothing is amiss any more; it still has to be started. */
  heal (): void {
    this.#fuse = null
    this.skew = 0
    this.isCutOff = false
    this.sickness = null
  }

  /** A new engine on what the disk holds, and what it does first. */
  protected abstract boot (): void

  /** Carry out an effect of the engine's own; `done` may never be called. */
  protected abstract perform (effect: E, done: Resume): void

  /** Run a saga; `done` is not called if the machine stops first. */
  run<T> (saga: Saga<T, E>, done: (outcome: Outcome<T>) => void = () => {}): void {
    if (!this.isUp) return
    const life = this.#life
    const go = (outcome: Outcome<unknown> | null): void => {
      let next = outcome
      for (;;) {
        let step: IteratorResult<BaseEffect | E, T>
        try {
          step = next === null || 'value' in next ? saga.next(next?.value) : saga.throw(next.error)
        } catch (error) {
          done({ error })
          return
        }
        if (step.done === true) {
          done({ value: step.value })
          return
        }
        const effect = step.value as BaseEffect
        // Neither takes time, nor can anything come between.
        if (effect.do === 'now') next = { value: this.schedule.now + this.skew }
        else if (effect.do === 'random') next = { value: this.schedule.rng.bytes(effect.length) }
        else {
          if (this.#burns('before')) return
          this.#carryOut(step.value, result => { if (this.#life === life && !this.#burns('after')) go(result) })
          return
        }
      }
    }
    go(null)
  }

  /** Run a saga at once, as if nothing else happened: to look at what the disk holds. */
  look<T> (saga: Saga<T, E>): T {
    let step = saga.next()
    while (step.done !== true) {
      const effect = step.value as BaseEffect
      let result: unknown
      switch (effect.do) {
        case 'now': result = this.schedule.now + this.skew; break
        case 'random': result = this.schedule.rng.bytes(effect.length); break
        case 'get': result = this.disk.get(effect.key); break
        case 'scan': result = this.disk.scan(effect.range); break
        case 'batch': result = this.disk.batch(effect.ops); break
        default: throw new Error(`looking does nothing: ${(effect as { do: string }).do}`)
      }
      step = saga.next(result)
    }
    return step.value
  }

  #burns (when: 'before' | 'after'): boolean {
    const fuse = this.#fuse
    if (fuse?.when !== when || fuse.left-- > 0) return false
    fuse.then()
    return true
  }

  #carryOut (effect: BaseEffect | E, done: Resume): void {
    const base = effect as BaseEffect
    const life = this.#life
    const soon = (act: () => Outcome<unknown>): void => {
      this.schedule.after(this.schedule.between(0, WRITE), () => { if (this.#life === life) done(act()) })
    }
    switch (base.do) {
      case 'get': soon(() => ({ value: this.disk.get(base.key) })); break
      case 'scan': soon(() => ({ value: this.disk.scan(base.range) })); break
      case 'batch': this.#write(base.ops, done); break
      case 'wait': this.schedule.after(Math.max(0, base.ms), () => { done({ value: undefined }) }); break
      case 'gather': this.#gather(base.sagas as unknown as ReadonlyArray<Saga<unknown, E>>, base.enough, done); break
      default: this.perform(effect as E, done)
    }
  }

  /** It is on the disk some time before its caller hears of it; in between the machine may stop. */
  #write (ops: readonly Op[], done: Resume): void {
    const life = this.#life
    const { schedule } = this
    schedule.after(schedule.between(0, WRITE), () => {
      if (this.#life !== life) return
      let outcome: Outcome<BatchResult>
      try {
        outcome = { value: this.#writeNow(ops) }
      } catch (error) {
        outcome = { error }
      }
      this.onWritten()
      schedule.after(schedule.between(0, WRITE), () => { if (this.#life === life) done(outcome) })
    })
  }

  #writeNow (ops: readonly Op[]): BatchResult {
    if (this.sickness === 'full') throw new MixmintError('store-full', 'operator', 'this disk is full')
    if (this.sickness === 'failing') {
      // Nobody knows whether it was written.
      if (this.schedule.chance(0.5)) this.disk.batch(ops)
      throw new MixmintError('store-failed', 'operator', 'this disk fails')
    }
    return this.disk.batch(ops)
  }

  #gather (sagas: ReadonlyArray<Saga<unknown, E>>, enough: ((results: ReadonlyArray<Settled<unknown>>) => boolean) | undefined, done: Resume): void {
    const results: Array<Settled<unknown>> = sagas.map(() => ({ state: 'running' }))
    let left = sagas.length
    let isOver = false
    const end = (outcome: Outcome<unknown>): void => {
      if (isOver) return
      isOver = true
      // In a turn of its own, so that whoever gathers goes on after all have begun.
      this.schedule.after(0, () => { done(outcome) })
    }
    if (left === 0) end({ value: results })
    for (const [i, saga] of sagas.entries()) {
      this.run(saga, outcome => {
        results[i] = 'value' in outcome ? { state: 'done', value: outcome.value } : { state: 'failed', error: outcome.error }
        left -= 1
        try {
          if (left === 0 || enough?.(results) === true) end({ value: results.slice() })
        } catch (error) {
          end({ error })
        }
      })
    }
  }
}
