import tseslint from 'typescript-eslint'

const ambient = [
  { object: 'Date', property: 'now', message: 'Time comes in through a port.' },
  { object: 'Math', property: 'random', message: 'Chance comes in through a port.' },
  { object: 'performance', property: 'now', message: 'Time comes in through a port.' },
  { object: 'crypto', property: 'getRandomValues', message: 'Chance comes in through a port.' }
]
const timers = ['setTimeout', 'setInterval', 'setImmediate', 'fetch', 'process', 'Buffer']

export default tseslint.config(
  { ignores: ['**/node_modules/**', '**/dist/**', '**/*.mjs'] },
  ...tseslint.configs.recommended,
  {
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      'no-restricted-syntax': ['error', { selector: 'ExportDefaultDeclaration', message: 'Named exports only.' }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', caughtErrors: 'none' }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error'
    }
  },
  {
    // The engines: no ambient clock, chance, timer, disk or socket (ARCHITECTURE.md, "Engines and shells").
    files: ['src/**/*.ts', 'mixnet/**/*.ts'],
    ignores: ['mixnet/wire/**', 'mixnet/service/**', 'mixnet/examples/**', 'src/crypto/native.ts'],
    rules: {
      'no-restricted-properties': ['error', ...ambient],
      'no-restricted-globals': ['error', ...timers],
      'no-restricted-syntax': ['error',
        { selector: 'ExportDefaultDeclaration', message: 'Named exports only.' },
        { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: 'Time comes in through a port.' }],
      'no-restricted-imports': ['error', { patterns: [{ group: ['node:*'], message: 'I/O lives in nodes/, mixnet/wire/ and mixnet/service/.' }] }]
    }
  },
  {
    // What the lab finds depends on scenario and seed alone.
    files: ['lab/**/*.ts'],
    ignores: ['lab/cli/**', 'lab/live/**'],
    rules: { 'no-restricted-properties': ['error', ...ambient] }
  },
  { files: ['*.config.ts'], rules: { 'no-restricted-syntax': 'off' } },
  { files: ['nodes/cli/**/*.ts', 'nodes/demo/**/*.ts', 'mixnet/examples/**/*.ts', 'bench/**/*.ts'], rules: { 'no-console': 'off' } }
)
