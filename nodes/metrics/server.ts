/**
 * What is asked of a daemon over HTTP, where [metrics] says so: a page of its state, metrics, /healthz (the process answers),
 * /readyz (it does its work). docs/reference/http.md has all of it.
 */
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import { serveHttp, text, type Answer, type HttpServer, type Place } from '../http.ts'
import { asset } from '../pages/assets.ts'
import type { NodeState } from '../pages/node-state.ts'
import type { Readiness } from './readiness.ts'

interface Watched {
  readonly metrics: () => { readonly type: string, readonly text: string }
  readonly readiness: Readiness
  readonly state: () => Promise<NodeState>
}

/** @throws metrics-listen (operator) */
export async function serveMetrics (watched: Watched, place: Place, lifetime?: Millis): Promise<HttpServer> {
  try {
    return await serveHttp(async path => await answer(watched, path), place, lifetime)
  } catch (cause) {
    throw new MixmintError('metrics-listen', 'operator', `metrics cannot be served on ${place.host}:${place.port}: ${(cause as Error).message}; give this node another [metrics] listen`, { cause })
  }
}

async function answer ({ metrics, readiness, state }: Watched, path: string): Promise<Answer | null> {
  switch (path) {
    case '/': return await asset('node.html')
    case '/state.json': return { status: 200, type: 'application/json', body: JSON.stringify(await state()) }
    case '/metrics': {
      const { type, text: body } = metrics()
      return { status: 200, type, body }
    }
    case '/healthz': return text(200, 'alive\n')
    case '/readyz': {
      const { missing } = await readiness.check()
      return missing.length === 0 ? text(200, 'ready\n') : text(503, `not ready: ${missing.join(' ')}\n`)
    }
    default: return await asset(path.slice(1), 'node')
  }
}
