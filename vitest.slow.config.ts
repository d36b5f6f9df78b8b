import { defineConfig } from 'vitest/config'

/** Between processes, with kill -9 and strace: one file at a time, since they share the machine. */
export default defineConfig({
  test: { include: ['test/slow/**/*.test.ts'], testTimeout: 240_000, hookTimeout: 240_000, fileParallelism: false }
})
