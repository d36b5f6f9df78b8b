import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    env: { MIXMINT_STRICT: '1' },
    include: ['test/**/*.test.ts'],
    exclude: ['test/slow/**', 'node_modules/**'],
    // By default one core is left to whoever watches.
    maxWorkers: '100%',
    testTimeout: 240_000,
    hookTimeout: 60_000
  }
})
