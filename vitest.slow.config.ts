import { defineConfig } from 'vitest/config'

/** Between processes, with kill -9 and strace. Most of the time most of them wait: for an epoch to pass, for a packet that is delayed. */
export default defineConfig({
  test: { env: { MIXMINT_STRICT: '1' }, include: ['test/slow/**/*.test.ts'], testTimeout: 240_000, hookTimeout: 240_000, maxWorkers: 3 }
})
