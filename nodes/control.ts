/**
 * The control socket: how `mixmint bank …`, `mixmint merchant …` and `mixmint up` speak with a running daemon of the same
 * machine. HTTP with JSON bodies over a Unix socket that only its owner may open: POST /<operation>.
 */
import { chmodSync, closeSync, existsSync, openSync, rmSync } from 'node:fs'
import { createServer, request as httpRequest, type Server } from 'node:http'
import { join, resolve } from 'node:path'
import { MixmintError, type Fault } from '@mixmint/core/kit/errors'
import { asMixmintError } from '@mixmint/core/kit/saga'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
export type JsonObject = { readonly [key: string]: Json }
export type Operations = Record<string, (input: JsonObject) => Promise<Json>>

const LONGEST_BODY = 8 << 20
/** sun_path holds 108 bytes. */
const LONGEST_PATH = 100

/**
 * The socket inside a node's folder, under a name that is short enough: where the folder's own is not, by way of its open
 * descriptor, so that whoever names the folder, and only who may enter it, finds the socket.
 */
function openControlPath (dir: string): { path: string, close: () => void } {
  const inside = join(resolve(dir), 'control.sock')
  if (Buffer.byteLength(inside) <= LONGEST_PATH) return { path: inside, close: () => {} }
  const fd = openSync(dir, 'r')
  return { path: `/proc/self/fd/${fd}/control.sock`, close: () => { closeSync(fd) } }
}

/** @throws bad-argument (caller) */
function parseInput (body: string): JsonObject {
  let input: Json
  try {
    input = body === '' ? {} : JSON.parse(body) as Json
  } catch (cause) {
    throw new MixmintError('bad-argument', 'caller', 'the body is no JSON', { cause })
  }
  if (typeof input !== 'object' || input === null || Array.isArray(input)) throw new MixmintError('bad-argument', 'caller', 'a JSON object is wanted')
  return input as JsonObject
}

/**
 * Serve operations until closed; which there are may change meanwhile. The caller holds the lock of `dir`, so a socket left
 * behind may be removed.
 * @param state what the daemon is at; but for `serving`, an operation that is not there may come, or was
 */
export async function serveControl (dir: string, operations: Operations, state: () => string): Promise<{ close: () => Promise<void> }> {
  const { path, close } = openControlPath(dir)
  rmSync(path, { force: true })
  const server: Server = createServer((request, response) => {
    const answer = (status: number, body: Json): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    const name = (request.url ?? '/').slice(1)
    const operation = Object.hasOwn(operations, name) ? operations[name] : undefined
    if (request.method === 'POST' && operation === undefined && state() !== 'serving') {
      answer(422, { error: { code: 'daemon-not-serving', fault: 'operator', retry: true, message: `the daemon is ${state()}: \`mixmint status\` tells when it serves` } })
      return
    }
    if (request.method !== 'POST' || operation === undefined) {
      answer(404, { error: { code: 'unknown-operation', fault: 'caller', message: `this daemon knows ${Object.keys(operations).join(', ')}` } })
      return
    }
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > LONGEST_BODY) request.destroy()
      else chunks.push(chunk)
    })
    request.on('end', () => {
      void (async () => {
        try {
          answer(200, await operation(parseInput(Buffer.concat(chunks).toString('utf8'))))
        } catch (error) {
          const { code, fault, message, retry } = asMixmintError(error)
          answer(fault === 'us' ? 500 : 422, { error: { code, fault, message, retry } })
        }
      })()
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  chmodSync(path, 0o600)
  return {
    close: async () => {
      await new Promise<void>(resolve => {
        server.close(() => { resolve() })
        server.closeAllConnections()
      })
      close()
    }
  }
}

/**
 * One operation of the daemon whose folder this is.
 * @throws daemon-not-running (operator, retry), or whatever the operation refused with
 */
export async function callControl (dir: string, name: string, input: JsonObject = {}, timeout = 120_000): Promise<Json> {
  const socket = openSocket(dir)
  const { status, body } = await new Promise<{ status: number, body: string }>((resolve, reject) => {
    const request = httpRequest({ socketPath: socket.path, agent: false, method: 'POST', path: `/${name}`, timeout }, response => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => { resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }) })
      response.on('error', reject)
    })
    request.on('timeout', () => { request.destroy(new MixmintError('daemon-silent', 'operator', `the daemon in ${dir} did not answer in ${timeout / 1000} s`, { retry: true })) })
    request.on('error', error => {
      const code = (error as NodeJS.ErrnoException).code
      reject(code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ECONNRESET' || code === 'EPIPE'
        ? notRunning(dir, error)
        : error)
    })
    request.end(JSON.stringify(input))
  }).finally(socket.close)
  const parsed = JSON.parse(body) as { error?: { code: string, fault: Fault, message: string, retry?: boolean } }
  if (status !== 200) {
    const error = parsed.error ?? { code: 'internal', fault: 'us' as const, message: `status ${status}` }
    throw new MixmintError(error.code, error.fault, error.message, { retry: error.retry })
  }
  return parsed as unknown as Json
}

/** @throws daemon-not-running when there is no such folder */
function openSocket (dir: string): ReturnType<typeof openControlPath> {
  try {
    return openControlPath(dir)
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ENOENT' ? notRunning(dir, error) : error
  }
}

function notRunning (dir: string, cause: unknown): MixmintError {
  return new MixmintError('daemon-not-running', 'operator', `no daemon runs in ${dir}: ${existsSync(join(dir, 'config.toml')) ? `start it with \`mixmint run --dir ${dir}\` (or the whole network with \`mixmint up\`)` : 'nor is there a node in that folder'}`, { cause })
}
