/** What both pages have in common: they ask for their state again and again, and show it unless paused. */
import { clock, duration, fill, h, type Child } from './dom.ts'

/** At least so often it is asked whether there is somebody still, ms. */
const LOOK_EVERY = 10_000
/** After the state was to be taken anew, ms. */
const AFTER = 400
const LONGEST = 120
/** Parts of what is kept that can be shown. */
const PARTS = [1 / 4, 1 / 2, 1]

interface Timed { readonly next: number, readonly every: number }

export interface Live {
  /** Shows how much of the past, ms. */
  readonly window: () => number
  readonly controls: HTMLElement
}

/**
 * @param url of the state, seen from the page
 * @param show is called with each new state, and again when the window is changed
 * @param time when the figures of a state were taken, ms since 1970
 */
export function live<T extends Timed> (url: string, show: (state: T) => void, time: (state: T) => number): Live {
  const alarm = document.getElementById('alarm') as HTMLElement
  const age = h('span')
  const choice = h('fieldset', { class: 'choice' })
  const pause = h('button', { type: 'button', 'aria-pressed': 'false' }, 'Pause')
  let part = PARTS.length - 1
  let every = 0
  let state: T | null = null
  let shown: T | null = null
  let due = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  let lost: number | null = null

  const isPaused = (): boolean => pause.getAttribute('aria-pressed') === 'true'
  const tell = (): void => {
    if (shown === null) return
    const seconds = Math.max(0, Math.round((due - Date.now()) / 1000))
    age.textContent = isPaused() ? `paused at ${clock(time(shown))}` : `as of ${clock(time(shown))}, next in ${seconds} s`
  }
  const draw = (): void => {
    if (state === null || isPaused()) return
    shown = state
    show(shown)
    tell()
  }
  const choose = (): void => {
    fill(choice, h('legend', {}, 'Time shown'), ...PARTS.map((each, i) => {
      const radio = h('input', { type: 'radio', name: 'window', value: i, checked: i === part })
      radio.addEventListener('change', () => {
        part = i
        if (shown !== null) show(shown)
      })
      return h('label', {}, radio, h('span', {}, duration(each * LONGEST * every / 1000)))
    }))
  }
  const ask = async (): Promise<void> => {
    clearTimeout(timer)
    try {
      const answer = await fetch(url, { cache: 'no-store', signal: AbortSignal.timeout(8_000) })
      if (!answer.ok) throw new Error(String(answer.status))
      state = await answer.json() as T
      lost = null
      alarm.hidden = true
      due = Date.now() + state.next + AFTER
      if (every !== state.every) {
        every = state.every
        choose()
      }
      draw()
    } catch {
      lost ??= Date.now()
      alarm.hidden = false
      alarm.textContent = `No answer since ${clock(lost)}: what is shown is of before.`
      due = Date.now() + 2_000
    }
    timer = setTimeout(() => { void ask() }, Math.max(500, Math.min(LOOK_EVERY, due - Date.now())))
  }

  pause.addEventListener('click', () => {
    pause.setAttribute('aria-pressed', String(!isPaused()))
    pause.textContent = isPaused() ? 'Go on' : 'Pause'
    draw()
    tell()
  })
  document.addEventListener('visibilitychange', () => { if (!document.hidden) void ask() })
  setInterval(tell, 1000)
  void ask()
  return { window: () => PARTS[part] * LONGEST * every, controls: h('div', { class: 'controls' }, age, choice, pause) }
}

export interface TileView { readonly label: string, readonly value: string, readonly unit?: string, readonly tone?: 'good' | 'bad' | 'warn' | undefined, readonly note?: string }

export function showTiles (list: HTMLElement, views: readonly TileView[]): void {
  fill(list, ...views.map(({ label, value, unit, tone, note = '' }) => h('div', { class: 'tile' },
    h('dt', {}, label), h('dd', { class: tone }, value, unit === undefined ? null : h('span', { class: 'unit' }, unit)), h('dd', { class: 'note' }, note))))
}

export type Fact = readonly [name: string, value: string | null, tone?: 'good' | 'bad' | 'warn']

/** What is not known is left out; a section with nothing is not there. */
export function showFacts (list: HTMLElement, facts: readonly Fact[]): void {
  if (list.parentElement !== null) list.parentElement.hidden = facts.every(([, value]) => value === null)
  fill(list, ...facts.flatMap(([name, value, tone]): Child[] => value === null ? [] : [h('div', {}, h('dt', {}, name), h('dd', { class: tone }, value))]))
}

export function pill (text: string, tone: 'good' | 'bad' | 'warn' | ''): HTMLElement {
  return h('span', { class: `pill ${tone}` }, text)
}

/** Index of the first moment of the last `ms`. */
export function firstOf (times: readonly number[], ms: number): number {
  const end = times.at(-1) ?? 0
  return Math.max(0, times.findIndex(time => time >= end - ms - 1000))
}

export const MISSING: Readonly<Record<string, string>> = {
  starting: 'starting', stopping: 'stopping', 'no-directory': 'no document of the directory is in force', 'not-listed': 'the directory does not list this node',
  'store-full': 'the store is full', 'store-failed': 'the store failed', 'store-unreachable': 'the store cannot be reached', 'store-silent': 'the store does not answer'
}
