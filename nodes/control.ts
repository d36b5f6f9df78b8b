/**
 * The control socket: how `mixmint bank …`, `mixmint merchant …` and `mixmint up` speak with a running daemon of the same
 * machine. HTTP with JSON bodies over a Unix socket that only its owner may open: POST /<operation>.
 */
import { createHash } from 'node:crypto'
import { chmodSync, lstatSync, rmSync, statSync } from 'node:fs'
import { createServer, request as httpRequest, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { MixmintError, type Fault } from '@mixmint/core/kit/errors'
import { asMixmintError } from '@mixmint/core/kit/saga'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
export type JsonObject = { readonly [key: string]: Json }
export type Operations = Record<string, (input: JsonObject) => Promise<Json>>

const LONGEST_BODY = 8 << 20
/** sun_path holds 108 bytes. */
const LONGEST_PATH = 100

/** Where the socket of a node's folder is: inside it, or under the temporary folder when that path would be too long. */
function controlPath (dir: string): string {
  const inside = join(resolve(dir), 'control.sock')
  if (Buffer.byteLength(inside) <= LONGEST_PATH) return inside
  return join(tmpdir(), `mixmint-${createHash('sha256').update(inside).digest('hex').slice(0, 24)}.sock`)
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

/** Serve operations until closed. The caller holds the lock of `dir`, so a socket left behind may be removed. */
export async function serveControl (dir: string, operations: Operations): Promise<{ close: () => Promise<void> }> {
  const path = controlPath(dir)
  try {
    rmSync(path, { force: true })
  } catch (cause) {
    throw new MixmintError('control-taken', 'operator', `${path} belongs to somebody else: use a folder with a shorter path, so that the socket fits into it`, { cause })
  }
  const server: Server = createServer((request, response) => {
    const answer = (status: number, body: Json): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    const name = (request.url ?? '/').slice(1)
    const operation = Object.hasOwn(operations, name) ? operations[name] : undefined
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
    }
  }
}

/**
 * Under the temporary folder anybody could have put a socket of this name there first, and would be told everything and believed.
 * @throws control-taken (operator)
 */
function checkOwner (dir: string, path: string): void {
  const socket = lstatSync(path, { throwIfNoEntry: false })
  const folder = statSync(dir, { throwIfNoEntry: false })
  if (socket === undefined || socket.uid === folder?.uid) return
  throw new MixmintError('control-taken', 'operator', `${path} does not belong to the owner of ${dir}: nothing was asked; remove it, or use a folder with a shorter path`)
}

/**
 * One operation of the daemon whose folder this is.
 * @throws daemon-not-running (operator, retry), control-taken (operator), or whatever the operation refused with
 */
export async function callControl (dir: string, name: string, input: JsonObject = {}, timeout = 120_000): Promise<Json> {
  const path = controlPath(dir)
  checkOwner(dir, path)
  const { status, body } = await new Promise<{ status: number, body: string }>((resolve, reject) => {
    const request = httpRequest({ socketPath: path, method: 'POST', path: `/${name}`, timeout }, response => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => { resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }) })
      response.on('error', reject)
    })
    request.on('timeout', () => { request.destroy(new MixmintError('daemon-silent', 'operator', `the daemon in ${dir} did not answer in ${timeout / 1000} s`, { retry: true })) })
    request.on('error', error => {
      const code = (error as NodeJS.ErrnoException).code
      reject(code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ECONNRESET'
        ? new MixmintError('daemon-not-running', 'operator', `no daemon runs in ${dir}: start it with \`mixmint run --dir ${dir}\` (or the whole network with \`mixmint up\`)`, { retry: true, cause: error })
        : error)
    })
    request.end(JSON.stringify(input))
  })
  const parsed = JSON.parse(body) as { error?: { code: string, fault: Fault, message: string, retry?: boolean } }
  if (status !== 200) {
    const error = parsed.error ?? { code: 'internal', fault: 'us' as const, message: `status ${status}` }
    throw new MixmintError(error.code, error.fault, error.message, { retry: error.retry })
  }
  return parsed as unknown as Json
}
