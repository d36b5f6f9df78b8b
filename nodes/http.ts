/**
 * A small HTTP server for this machine's operator: metrics, health, pages. It answers GET and HEAD of what it knows, to requests
 * that name this machine as their host, so that no page of some other site, under a name that it points here, can read it;
 * and nothing to what a page of another site asks. A connection carries one request and lives for seconds.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Millis } from '@mixmint/core/kit/ports'
import type { MetricsConfig } from './config.ts'

export interface Answer { readonly status: number, readonly type: string, readonly body: string }
/** By path; null: there is nothing. */
export type Answerer = (path: string) => Promise<Answer | null>
export type Place = Pick<MetricsConfig, 'host' | 'port' | 'hosts'>
export interface HttpServer { readonly port: number, readonly close: () => Promise<void> }

const MOST_CONNECTIONS = 32
/** From the connection to the end of the answer, ms. */
const LIFETIME: Millis = 10_000
const LONGEST_HEADERS = 8 << 10
const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']
const TEXT = 'text/plain; charset=utf-8'

/** A page takes scripts and styles from its own server only, none that stand in the page, and stands in no frame. */
const HEADERS = {
  'content-security-policy': 'default-src \'none\'; script-src \'self\'; style-src \'self\'; img-src \'self\'; connect-src \'self\'; base-uri \'none\'; form-action \'none\'; frame-ancestors \'none\'',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
  connection: 'close'
} as const

export function text (status: number, body: string): Answer {
  return { status, type: TEXT, body }
}

/** @throws what listening failed with */
export async function serveHttp (answer: Answerer, { host, port, hosts }: Place, lifetime = LIFETIME): Promise<HttpServer> {
  const known = [...LOOPBACK, ...hosts]
  const server = createServer({ maxHeaderSize: LONGEST_HEADERS, keepAlive: false }, (request, response) => { void respond(answer, known, request, response) })
  server.maxConnections = MOST_CONNECTIONS
  server.on('connection', socket => {
    const timer = setTimeout(() => { socket.destroy() }, lifetime)
    socket.once('close', () => { clearTimeout(timer) })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      await new Promise<void>(resolve => {
        server.close(() => { resolve() })
        server.closeAllConnections()
      })
    }
  }
}

async function respond (answer: Answerer, hosts: readonly string[], request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { status, type, body } = refusalOf(hosts, request) ?? await answer(request.url ?? '/').catch(() => text(500, 'a defect; see the log\n')) ?? text(404, 'there is nothing here\n')
  response.writeHead(status, { ...HEADERS, 'content-type': type, 'content-length': Buffer.byteLength(body), ...status === 405 ? { allow: 'GET, HEAD' } : {} })
  response.end(request.method === 'HEAD' ? '' : body)
}

function refusalOf (hosts: readonly string[], { method, headers }: IncomingMessage): Answer | null {
  const host = (headers.host ?? '').toLowerCase()
  if (!hosts.includes(host.replace(/:\d+$/, ''))) return text(421, 'this is not a host name of this node: see [metrics] hosts\n')
  if (method !== 'GET' && method !== 'HEAD') return text(405, 'GET\n')
  return isForeign(host, headers) ? text(403, 'pages of other sites are not answered\n') : null
}

/** Does a page of another origin ask? That somebody follows a link to here is not that. */
function isForeign (host: string, { origin, 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': destination }: IncomingMessage['headers']): boolean {
  if (origin !== undefined && !['http', 'https'].some(scheme => origin.toLowerCase() === `${scheme}://${host}`)) return true
  return site !== undefined && site !== 'same-origin' && site !== 'none' && !(mode === 'navigate' && destination === 'document')
}
