/** When a command that runs for long is to end: at SIGINT, SIGTERM or SIGHUP, and when the npm that started it is gone. */

const LOOK_EVERY = 500

/** Resolves, once, when this process is told to stop. */
export function interruption (): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => { resolve(undefined) })
  // npm passes signals to a shell between it and us, which dies of them alone.
  if (process.env.npm_execpath !== undefined) {
    const parent = process.ppid
    const watch = setInterval(() => {
      if (process.ppid === parent) return
      clearInterval(watch)
      resolve(undefined)
    }, LOOK_EVERY)
    watch.unref()
  }
  return promise
}
