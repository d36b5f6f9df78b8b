/** The next turn of the event loop, in Node and in browsers, whose timers are held back by milliseconds. */

/** Call this after everything that is due now. */
export function nextTurn (call: () => void): void {
  if (typeof setImmediate === 'function') setImmediate(call)
  else inBrowser(call)
}

const waiting: Array<() => void> = []
let channel: InstanceType<typeof MessageChannel> | undefined

function inBrowser (call: () => void): void {
  if (channel === undefined) {
    channel = new MessageChannel()
    channel.port1.addEventListener('message', () => { waiting.shift()?.() })
    channel.port1.start()
  }
  waiting.push(call)
  channel.port2.postMessage(null)
}
