/** A progress bar on standard error, with the time left, drawn only on a terminal. */
const WIDTH = 24
/** What is left is told by the pace so far, once that says something. */
const SOON_MS = 2000

export class ProgressBar {
  readonly #what: string
  #total: number
  readonly #quiet: boolean
  #done = 0
  readonly #began = Date.now()

  constructor (what: string, total: number, quiet = false) {
    this.#what = what
    this.#total = total
    this.#quiet = quiet || !process.stderr.isTTY
    this.#draw('')
  }

  /** @param done how many more of the total are done */
  tick (name: string, done = 1): void {
    this.#done = Math.min(this.#total, this.#done + done)
    this.#draw(name)
  }

  set (done: number, total: number): void {
    this.#done = done
    this.#total = Math.max(1, total)
    this.#draw('')
  }

  end (): void {
    if (!this.#quiet) process.stderr.write('\r\u001b[K')
  }

  #draw (name: string): void {
    if (this.#quiet) return
    const full = this.#total === 0 ? WIDTH : Math.round(WIDTH * this.#done / this.#total)
    process.stderr.write(`\r\u001b[K${this.#what} [${'#'.repeat(full)}${'.'.repeat(WIDTH - full)}] ${this.#done}/${this.#total} ${name}${this.#left()}`)
  }

  #left (): string {
    const passed = Date.now() - this.#began
    if (this.#done === 0 || this.#done >= this.#total || passed < SOON_MS) return ''
    const seconds = Math.ceil(passed / 1000 * (this.#total - this.#done) / this.#done)
    return seconds < 120 ? ` ${seconds} s left` : ` ${Math.ceil(seconds / 60)} min left`
  }
}
