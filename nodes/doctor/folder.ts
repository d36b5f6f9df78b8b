/** A node's folder: configuration, permissions, keys, store. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { equal } from '@mixmint/core/kit/bytes'
import type { Suite } from '@mixmint/core/crypto/suite'
import type { NodeConfig } from '../config.ts'
import { callControl, type JsonObject } from '../control.ts'
import { missingKeyFiles, readKeys } from '../node-folder.ts'
import { isLocked, type Passphrase } from '../passphrase.ts'
import { keyFiles } from '../passphrase-source.ts'
import { readRing } from '../ring-file.ts'
import { readSecret } from '../secrets.ts'
import { checkStore } from '../store/check.ts'
import { openLmdb } from '../store/lmdb.ts'
import { fail, failed, ok, warn, type Finding } from './finding.ts'

/** Who may read what. @param config with its network, which was read already */
export function keyFindings (suite: Suite, config: NodeConfig, passphrase: Passphrase | null): Finding[] {
  const { dir, role } = config
  const found: Finding[] = []
  const { mode, uid } = statSync(dir)
  found.push((mode & 0o077) === 0 ? ok('folder', `${dir} is open to its owner only`) : fail('folder', `${dir} is open to others (mode ${(mode & 0o777).toString(8)})`, `chmod 700 ${dir}`))
  const files = keyFiles(dir)
  const missing = missingKeyFiles(dir, role)
  if (missing.length > 0) return [...found, fail('keys', `${missing.join(' and ')} is not there`, 'restore it from a backup; a new node is made by `mixmint init`')]
  const open = files.filter(file => (statSync(file).mode & 0o077) !== 0)
  const others = files.filter(file => statSync(file).uid !== uid)
  if (open.length > 0) found.push(fail('keys', `others can read ${open.map(file => basename(file)).join(', ')}`, `chmod 600 ${open.join(' ')}, and replace what they may have read`))
  if (others.length > 0) found.push(fail('keys', `${others.map(file => basename(file)).join(', ')} belong to another user than the folder`, `chown them to the user that runs the node: chown --reference=${dir} ${others.join(' ')}`))
  if (open.length > 0) return found
  const locked = files.filter(file => isLocked(readFileSync(file, 'utf8')))
  if (locked.length > 0 && passphrase === null) return [...found, warn('keys', `${locked.length} of ${files.length} are locked, and were not read`, 'name the file of the passphrase in MIXMINT_PASSPHRASE_FILE')]
  try {
    for (const file of files) readSecret(file, passphrase)
    const { key } = readKeys(suite, dir, role, passphrase)
    found.push(ok('keys', `${files.length} key files, for their owner only${locked.length === 0 ? '' : `; ${locked.length} locked with a passphrase`}`))
    if (role === 'authority' && !config.network.authorities.some(authority => key !== null && equal(authority.key, key))) {
      found.push(fail('network file', 'it does not list the key of this authority', 'get the network.toml that all founders have, or hand your entry to them: `mixmint directory entry`'))
    }
  } catch (error) {
    found.push(failed('keys', error))
  }
  return found
}

/** Of a bank: the ring of its next keyset. */
export function ringFindings ({ role, ringFile }: NodeConfig): Finding[] {
  if (role !== 'bank') return []
  try {
    const { centers, replicas, quorum } = readRing(ringFile)
    return [ok('ring', `${centers.length} centers, ${replicas} keepers a coin of which ${quorum} must vote`)]
  } catch (error) {
    return [failed('ring', error)]
  }
}

/** A running daemon is asked, for it has the store locked; else the store is opened and read. */
export async function storeFindings ({ dir, postgresFile }: NodeConfig, isRunning: boolean): Promise<Finding[]> {
  const found: Finding[] = []
  try {
    if (isRunning) {
      const { milliseconds } = await callControl(dir, 'check', {}, 10_000) as JsonObject
      found.push(ok('store', `the daemon reads its store, in ${String(milliseconds)} ms`))
    } else if (!existsSync(join(dir, 'store'))) found.push(ok('store', 'none yet: it is made at the first start'))
    else {
      const store = await openLmdb(join(dir, 'store'))
      const { milliseconds } = await checkStore(store).finally(async () => { await store.close() })
      found.push(ok('store', `opens and is read, in ${milliseconds} ms`))
    }
  } catch (error) {
    found.push(failed('store', error))
  }
  if (postgresFile !== '') found.push(await postgresFinding(postgresFile))
  return found
}

/** Changes nothing there: tables are made, and brought to a new format, by the daemon. */
async function postgresFinding (file: string): Promise<Finding> {
  const check = 'postgresql'
  let connectionString: string
  try {
    connectionString = readSecret(file)?.trim() ?? ''
  } catch (error) {
    return failed(check, error)
  }
  if (connectionString === '') return fail(check, `${file} does not hold a connection string`, 'write one such as postgres://user:password@host/database into it, mode 600')
  const { Client } = (await import('pg')).default
  const client = new Client({ connectionString, connectionTimeoutMillis: 5_000, query_timeout: 5_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows: [row] } = await client.query<Record<'version' | 'fsync' | 'pages' | 'commit', string> & { tables: string | null }>(
      'select current_setting(\'server_version\') as version, current_setting(\'fsync\') as fsync, current_setting(\'full_page_writes\') as pages, current_setting(\'synchronous_commit\') as commit, to_regclass(\'mixmint_store\')::text as tables')
    if (row.fsync !== 'on' || row.pages !== 'on' || row.commit === 'off') {
      return fail(check, `fsync is ${row.fsync}, full_page_writes ${row.pages}, synchronous_commit ${row.commit}: what it says is written can be lost`, 'set all three to on')
    }
    return ok(check, `PostgreSQL ${row.version} answers; ${row.tables === null ? 'tables are made at the first start' : 'its tables are there'}`)
  } catch (error) {
    // Its messages may have the connection string in them; its codes have not.
    return fail(check, `PostgreSQL is not to be had (${String((error as { code?: unknown }).code ?? 'no code')})`, `is the server up, and is ${file} right?`)
  } finally {
    await client.end().catch(() => {})
  }
}
