/** The page of a network on this machine, and one for each of its nodes: served by `mixmint up` on loopback. */
import { MixmintError } from '@mixmint/core/kit/errors'
import { serveHttp, type Answer, type HttpServer } from '../http.ts'
import { asset } from './assets.ts'
import type { NetworkWatch } from './network-watch.ts'

/** @param port of 127.0.0.1; 0: one that is free @throws page-listen (operator) */
export async function serveNetwork (watch: NetworkWatch, port: number): Promise<HttpServer> {
  try {
    return await serveHttp(async path => await answer(watch, path), { host: '127.0.0.1', port, hosts: [] })
  } catch (cause) {
    throw new MixmintError('page-listen', 'operator', `the page of the network cannot be served on port ${port}: ${(cause as Error).message}; give another with --page, or --no-page`, { cause })
  }
}

async function answer (watch: NetworkWatch, path: string): Promise<Answer | null> {
  if (path === '/') return await asset('network.html')
  if (path === '/network.json') return json(watch.state())
  const [, name, part] = /^\/node\/([a-z0-9-]+)\/([a-z.]*)$/.exec(path) ?? []
  if (name === undefined) return await asset(path.slice(1), 'network')
  const node = watch.node(name)
  if (part === 'state.json') return node === null ? null : json(node)
  if (!watch.names.includes(name)) return null
  return part === '' ? await asset('node.html') : await asset(part, 'node')
}

function json (value: unknown): Answer {
  return { status: 200, type: 'application/json', body: JSON.stringify(value) }
}
