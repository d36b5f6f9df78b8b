/**
 * Who gives way when all seats are taken and one more comes. Seats are grouped by network address, and whoever brings a
 * crowd pays for it: a newcomer displaces one of the most crowded group, and never one of a group smaller than its own.
 * So an attacker needs as many addresses as there are seats to keep others out, not as many connections.
 */
import type { Millis } from '@mixmint/core/kit/ports'

export interface Seat<T> {
  readonly who: T
  readonly group: string
  /** Has it shown that it is of use, and is it there? Others go first. */
  readonly engaged: boolean
  /** When it was last heard of. */
  readonly heard: Millis
}

/** Null: nobody, the newcomer is to be refused. */
export function giveWay<T> (seats: readonly Seat<T>[], newcomer: string): T | null {
  const crowds = new Map<string, number>()
  for (const { group } of seats) crowds.set(group, (crowds.get(group) ?? 0) + 1)
  const crowd = (group: string): number => crowds.get(group) ?? 0
  const own = crowd(newcomer)
  const mayGo = ({ group, engaged }: Seat<T>): boolean => engaged ? crowd(group) > own + 1 : crowd(group) >= own
  let first: Seat<T> | null = null
  for (const seat of seats) {
    if (mayGo(seat) && (first === null || goesBefore(seat, first, crowd))) first = seat
  }
  return first?.who ?? null
}

function goesBefore<T> (a: Seat<T>, b: Seat<T>, crowd: (group: string) => number): boolean {
  if (a.engaged !== b.engaged) return !a.engaged
  if (crowd(a.group) !== crowd(b.group)) return crowd(a.group) > crowd(b.group)
  return a.heard < b.heard
}
