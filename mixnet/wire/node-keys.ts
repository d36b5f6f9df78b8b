/**
 * Brings the mix keys of a node, as they are made and destroyed, into its mixer, and the beginning of epochs. Keys are made
 * epochs ahead: one whose tags cannot be kept now, for want of disk, is tried again until it is needed.
 */
import { asMixmintError } from '@mixmint/core/kit/saga'
import type { Clock, Log } from '@mixmint/core/kit/ports'
import type { MixKey, Rotation } from '../directory/keys.ts'
import type { DirectoryView } from '../directory/view.ts'
import type { MixNode } from './mix-node.ts'
import type { SeenLog } from './seen-log.ts'

export interface NodeKeysOptions {
  readonly clock: Clock
  readonly log: Log
  /** Where the mixer keeps the tags seen under its keys; null: nowhere, as suits keys that do not outlive the process. */
  readonly seenLog: SeenLog | null
}

export class NodeKeys {
  readonly #options: NodeKeysOptions
  /** Not in the mixer yet. */
  #toInstall: MixKey[] = []
  readonly #first = Promise.withResolvers<undefined>()
  #node: MixNode | null = null

  constructor (options: NodeKeysOptions) {
    this.#options = options
  }

  /** Resolves when there are keys at all. */
  get some (): Promise<void> {
    return this.#first.promise
  }

  /** The hook for `NodePart.onKeys`. */
  onKeys = ({ added, destroyed }: Rotation): void => {
    for (const { epoch } of destroyed) {
      this.#toInstall = this.#toInstall.filter(key => key.epoch !== epoch)
      this.#attempt(epoch, () => {
        if (this.#node === null) this.#options.seenLog?.remove(epoch)
        else this.#node.retire(epoch)
      })
    }
    this.#toInstall.push(...added)
    this.#install()
    this.#first.resolve(undefined)
  }

  /** A document has come into force. */
  onDocument = (view: DirectoryView): void => {
    this.#install()
    this.#node?.setEpoch(view.epoch, view.parameters)
  }

  /** From now on this mixer gets them. */
  attach (node: MixNode, view: DirectoryView): void {
    this.#node = node
    this.onDocument(view)
  }

  #install (): void {
    const { clock, seenLog } = this.#options
    const now = clock.now()
    for (const key of [...this.#toInstall]) {
      const { epoch, secret, from, until, isNew } = key
      this.#attempt(epoch, () => {
        // Of a key that was in use before, the file must be there.
        if (isNew || now < from) seenLog?.create(epoch, secret)
        if (this.#node === null) return
        this.#node.install({ epoch, privateKey: secret, from, until })
        this.#toInstall = this.#toInstall.filter(other => other !== key)
      })
    }
  }

  #attempt (epoch: number, work: () => void): void {
    try {
      work()
    } catch (error) {
      const { code, message } = asMixmintError(error)
      this.#options.log.error(message, { code, epoch })
    }
  }
}
