/** Counters of the service in the metrics of its node: a group for each name, a member for each combination of labels. */
import type { CounterGroup, Metrics } from '@libp2p/interface'
import type { Meter } from '@mixmint/core/kit/ports'

export function meterOf (metrics: Pick<Metrics, 'registerCounterGroup'> | undefined): Meter {
  const groups = new Map<string, CounterGroup>()
  return {
    count: (name, labels = {}, by = 1) => {
      if (metrics === undefined) return
      let group = groups.get(name)
      if (group === undefined) {
        group = metrics.registerCounterGroup(`mixmint_${name}_total`, { label: Object.keys(labels).join('_') || 'all' })
        groups.set(name, group)
      }
      group.increment({ [Object.values(labels).join(' ') || 'all']: by })
    }
  }
}
