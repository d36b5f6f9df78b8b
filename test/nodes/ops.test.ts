/** What operators are given beside the program: dashboards and alert rules, of metrics that there are. */
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { COUNTERS, countersOf } from '../../nodes/metrics/counter-table.ts'
import { FIGURES } from '../../nodes/metrics/figure-table.ts'
import { HISTOGRAMS } from '../../nodes/metrics/readings.ts'
import type { Role } from '../../nodes/settings.ts'
// @ts-expect-error -- plain JavaScript
import { dashboards } from '../../ops/make-dashboards.mjs'

const known = new Set([
  ...Object.keys(COUNTERS).map(name => `mixmint_${name}_total`), ...Object.keys(FIGURES).map(name => `mixmint_${name}`),
  ...Object.values(HISTOGRAMS).flatMap(({ name }) => ['bucket', 'sum', 'count'].map(part => `mixmint_${name}_${part}`))
])

test('the dashboards are those that their maker makes', () => {
  const made = dashboards as Record<string, string>
  expect(readdirSync('ops/dashboards').sort()).toEqual(Object.keys(made).map(role => `${role}.json`).sort())
  for (const [role, text] of Object.entries(made)) expect(readFileSync(`ops/dashboards/${role}.json`, 'utf8'), role).toBe(text)
})

test('dashboards and alerts ask for metrics that there are', () => {
  const texts = ['ops/alerts.yml', ...readdirSync('ops/dashboards').map(name => `ops/dashboards/${name}`)].map(file => readFileSync(file, 'utf8'))
  const asked = new Set(texts.flatMap(text => [...text.matchAll(/\bmixmint_[a-z0-9_]+[a-z0-9]/g)].map(([name]) => name)))
  expect(asked.size).toBeGreaterThan(70)
  // One rule names several by a pattern.
  expect([...asked].filter(name => !known.has(name))).toEqual([])
})

test('the dashboard of a role asks for no counter that this role does not tell', () => {
  for (const [role, text] of Object.entries(dashboards as Record<string, string>)) {
    const told = new Set(countersOf(role as Role).map(name => `mixmint_${name}_total`))
    const asked = [...text.matchAll(/\bmixmint_[a-z0-9_]+_total\b/g)].map(([name]) => name).filter(name => Object.hasOwn(COUNTERS, name.slice('mixmint_'.length, -'_total'.length)))
    expect(asked.filter(name => !told.has(name)), role).toEqual([])
  }
})

test('each alert is explained, and tested', () => {
  const names = [...readFileSync('ops/alerts.yml', 'utf8').matchAll(/- alert: (\w+)/g)].map(([, name]) => name)
  expect(names.length).toBeGreaterThan(30)
  const page = readFileSync('docs/incidents.md', 'utf8')
  const tests = readFileSync('ops/alerts.test.yml', 'utf8')
  for (const name of names) {
    expect(page, name).toContain(`**${name}**`)
    expect(tests, name).toContain(`- name: ${name}\n`)
  }
})
