#!/usr/bin/env node
// Plain JavaScript, so that an old Node says what to do instead of failing on syntax.
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(`mixmint-lab needs Node 22.18 or newer; this is ${process.versions.node}.\n` +
    'Inside the repository run it as `npx mixmint-lab …`: that uses the Node that `npm ci` installed.\n')
  process.exit(69)
}

const { main } = await import('../main.ts')
await main(process.argv)
