/** The import layers (ARCHITECTURE.md, "The map"): fails on a violation, and also when it has not seen the house at all. */
import { cruise } from 'dependency-cruiser'
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config'
import configuration from '../.dependency-cruiser.mjs'

const ROOMS = ['src', 'mixnet', 'nodes', 'lab', 'test', 'bench']
const { output } = await cruise(ROOMS, { ruleSet: { forbidden: configuration.forbidden }, validate: true, ...configuration.options }, undefined,
  { tsConfig: extractTSConfig('./tsconfig.json') })
const { violations, totalCruised } = output.summary
for (const { rule, from, to, cycle } of violations) {
  process.stderr.write(`${rule.name}: ${from} → ${cycle === undefined ? to : cycle.map(step => step.name).join(' → ')}\n`)
}
const unseen = ROOMS.filter(room => output.modules.filter(({ source }) => source.startsWith(`${room}/`)).length < 5)
if (unseen.length > 0) process.stderr.write(`too few modules seen in ${unseen.join(', ')}: the check does not work\n`)
process.stdout.write(`${totalCruised} modules, ${violations.length} violations\n`)
process.exitCode = violations.length > 0 || unseen.length > 0 ? 1 : 0
