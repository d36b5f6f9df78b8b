/**
 * What an observer of links knows of where a message went: the method of Danezis ("The traffic analysis of continuous-time
 * mixes", PET 2004) as MiXiM simulates it (Ben Guirat, Gosain, Diaz, PETS 2022). Of some messages, the *targets*, he saw the
 * first packet. Of every packet that he sees, and of every place whose inside he does not see, it is known with which
 * probability the target is it, or is in it; a packet that leaves such a place, a *cell*, takes an equal share of what is
 * held there: whatever came in, any of the n inside may be the one that leaves.
 *
 *   a mix that he does not own               a cell of its own
 *   mixes whose links he does not see        one cell together (of links between them he sees nothing)
 *   a mix that he owns                       no cell: he sees which packet is which
 *
 * What reaches receivers with these probabilities is the distribution whose entropy is the target's anonymity. The shares of
 * a batch that leaves in any order are the same, one after the other: m/n, then (m − m/n)/(n − 1), …
 */
import type { Millis } from '@mixmint/core/kit/ports'

/** A target is at its end when this much of it, or less, is still under way: of the entropy less than 10^-4 bit. */
const REST = 1e-6

export interface Anonymity {
  /** When the target was sent, ms. */
  readonly sent: Millis
  /** Of the distribution over the messages that were received, in bits. */
  readonly entropy: number
  /** −log2 of the most probable one. */
  readonly minEntropy: number
  /** The probability that the observer gave to the right one. */
  readonly right: number
  /** Received messages that may be it. */
  readonly candidates: number
  /** How much of it was lost on the way, or ruled out, and so is in no received message. */
  readonly lost: number
}

interface Target {
  sent: Millis
  slot: number
  /** Sums over received messages: of p, of −p log2 p; and the largest p. */
  mass: number
  entropy: number
  most: number
  candidates: number
  right: number
  lost: number
  /** Its own packet has come to its end; that carries a share to the last, as it is one of those that are inside. */
  arrived: boolean
}

export class Shares {
  readonly #finished: (anonymity: Anonymity | null) => void
  /** By cell. */
  readonly #inside: Int32Array
  readonly #cellTargets: Int32Array
  readonly #cellMass: Float64Array
  /** By packet. */
  #targets = new Int32Array(0)
  #mass = new Float64Array(0)
  /** The cell that it is in, or −1. */
  #cell = new Int32Array(0)
  readonly #followed: Array<Target | null>
  /** Followed at a time at most. */
  readonly #width: number

  /**
   * @param cells numbered from 0
   * @param width targets followed at a time at most, up to 31: one bit each
   * @param finished is told of each target when it has come to its end; null: it was lost, in all its shares
   */
  constructor (cells: number, width: number, finished: (anonymity: Anonymity | null) => void) {
    this.#width = width
    this.#finished = finished
    this.#inside = new Int32Array(cells)
    this.#cellTargets = new Int32Array(cells)
    this.#cellMass = new Float64Array(cells * width)
    this.#followed = Array.from({ length: width }, () => null)
  }

  /** Room for so many packets. */
  resize (capacity: number): void {
    const [targets, mass, cell] = [new Int32Array(capacity), new Float64Array(capacity * this.#width), new Int32Array(capacity).fill(-1)]
    targets.set(this.#targets)
    mass.set(this.#mass)
    cell.set(this.#cell)
    this.#cell = cell
    this.#targets = targets
    this.#mass = mass
  }

  /** A packet that nobody has seen before. */
  begin (slot: number): void {
    this.#targets[slot] = 0
    this.#cell[slot] = -1
  }

  /** Follow this packet, seen as it leaves its sender. @returns false: too many are followed */
  follow (slot: number, now: Millis): boolean {
    const k = this.#followed.indexOf(null)
    if (k < 0) return false
    this.#followed[k] = { sent: now, slot, mass: 0, entropy: 0, most: 0, candidates: 0, right: 0, lost: 0, arrived: false }
    this.#targets[slot] |= 1 << k
    this.#mass[slot * this.#width + k] = 1
    return true
  }

  /** It goes into a cell; one that it is in already has it. */
  enter (cell: number, slot: number): void {
    if (this.#cell[slot] === cell) return
    this.#cell[slot] = cell
    this.#inside[cell] += 1
    const targets = this.#targets[slot]
    if (targets === 0) return
    const width = this.#width
    for (let left = targets; left !== 0; left &= left - 1) {
      const k = 31 - Math.clz32(left & -left)
      const at = cell * width + k
      this.#cellMass[at] = ((this.#cellTargets[cell] & (1 << k)) === 0 ? 0 : this.#cellMass[at]) + this.#mass[slot * width + k]
      this.#cellTargets[cell] |= 1 << k
    }
    this.#targets[slot] = 0
  }

  /** It comes out of the cell that it is in, seen by the observer. */
  leave (slot: number): void {
    const cell = this.#cell[slot]
    this.#cell[slot] = -1
    const inside = this.#inside[cell]--
    const targets = this.#cellTargets[cell]
    this.#targets[slot] = targets
    if (targets === 0) return
    const width = this.#width
    for (let left = targets; left !== 0; left &= left - 1) {
      const k = 31 - Math.clz32(left & -left)
      const at = cell * width + k
      const share = this.#cellMass[at] / inside
      this.#mass[slot * width + k] = share
      this.#cellMass[at] -= share
    }
    if (inside === 1) this.#cellTargets[cell] = 0
  }

  /** A packet has come to its end, where the observer sees it. */
  received (slot: number): void {
    this.#end(slot, true)
  }

  /** A packet was dropped; the observer is told. */
  lost (slot: number): void {
    if (this.#cell[slot] >= 0) this.leave(slot)
    this.#end(slot, false)
  }

  /** The observer knows of a packet outside of all cells that it is no target. */
  ruleOut (slot: number): void {
    this.#end(slot, false)
  }

  #end (slot: number, isReceived: boolean): void {
    for (let left = this.#targets[slot]; left !== 0; left &= left - 1) {
      const k = 31 - Math.clz32(left & -left)
      const target = this.#followed[k] as Target
      const p = this.#mass[slot * this.#width + k]
      if (isReceived) {
        target.mass += p
        target.candidates += 1
        if (p > 0) target.entropy -= p * Math.log2(p)
        if (p > target.most) target.most = p
      } else {
        target.lost += p
      }
      if (slot === target.slot && !target.arrived) {
        target.arrived = true
        target.right = isReceived ? p : 0
      }
      if (target.arrived && target.mass + target.lost > 1 - REST) this.#finish(k, target)
    }
    this.#targets[slot] = 0
  }

  #finish (k: number, { sent, mass, entropy, most, right, candidates, lost }: Target): void {
    this.#followed[k] = null
    const not = ~(1 << k)
    for (let slot = 0; slot < this.#targets.length; slot++) this.#targets[slot] &= not
    for (let cell = 0; cell < this.#cellTargets.length; cell++) this.#cellTargets[cell] &= not
    if (mass === 0) return this.#finished(null)
    // H of p/mass is H(p)/mass + log2 mass.
    this.#finished({
      sent, candidates, lost, right: right / mass,
      entropy: entropy / mass + Math.log2(mass), minEntropy: Math.log2(mass / most)
    })
  }
}
