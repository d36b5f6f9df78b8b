/** The machine: Node, open files, disk, memory. */
import { readFileSync, statfsSync } from 'node:fs'
import { availableParallelism, freemem, totalmem } from 'node:os'
import { fail, ok, warn, type Finding } from './finding.ts'

const MiB = 1 << 20
const GiB = 1 << 30
/** A connection takes one; a gateway has hundreds of wallets. */
const FILES = { fail: 512, warn: 4096 }
const DISK = { fail: 256 * MiB, warn: 2 * GiB }
/** A daemon takes 100 to 200 MiB, a bank that signs more. */
const MEMORY = { fail: 96 * MiB, warn: 384 * MiB }

export interface Machine {
  readonly node: string
  /** Soft and hard limit of open files; null where the system does not say. */
  readonly files: { readonly soft: number, readonly hard: number } | null
  readonly disk: { readonly free: number, readonly total: number }
  /** Bytes that a process could still take, within the limit of its control group. */
  readonly memory: { readonly available: number, readonly total: number }
  readonly cores: number
}

/** @param dir where the node's data is @param pid the running daemon, whose limits count; else ours */
export function lookAtMachine (dir: string, pid: number | 'self'): Machine {
  const { bavail, bsize, blocks } = statfsSync(dir)
  const limit = process.constrainedMemory()
  return {
    node: process.versions.node,
    files: openFiles(pid),
    disk: { free: bavail * bsize, total: blocks * bsize },
    memory: { available: Math.min(freemem(), process.availableMemory()), total: limit > 0 && limit < totalmem() ? limit : totalmem() },
    cores: availableParallelism()
  }
}

function openFiles (pid: number | 'self'): Machine['files'] {
  try {
    const [, soft, hard] = /^Max open files +(\d+|unlimited) +(\d+|unlimited)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8')) ?? []
    const number = (text: string | undefined): number => text === undefined ? NaN : text === 'unlimited' ? Infinity : Number(text)
    return Number.isNaN(number(soft)) ? null : { soft: number(soft), hard: number(hard) }
  } catch {
    return null
  }
}

export function machineFindings ({ node, files, disk, memory, cores }: Machine): Finding[] {
  const [major, minor] = node.split('.').map(Number)
  const size = (bytes: number): string => bytes >= GiB ? `${(bytes / GiB).toFixed(1)} GiB` : `${Math.round(bytes / MiB)} MiB`
  const graded = (check: string, value: number, bounds: { readonly fail: number, readonly warn: number }, what: string, advice: string): Finding =>
    value < bounds.fail ? fail(check, what, advice) : value < bounds.warn ? warn(check, what, advice) : ok(check, what)
  return [
    major > 22 || (major === 22 && minor >= 18) ? ok('node', `Node ${node}, ${cores} cores`) : fail('node', `Node ${node}`, 'install Node 22.18 or newer'),
    files === null
      ? warn('files', 'how many files may be open is not known here', `see to it that it is ${FILES.warn} or more`)
      : graded('files', files.soft, FILES, `${files.soft === Infinity ? 'any number of' : files.soft} open files allowed${files.hard > files.soft ? ` (hard limit ${files.hard === Infinity ? 'none' : files.hard})` : ''}`, `raise it: LimitNOFILE=65536 in the unit, or \`ulimit -n ${FILES.warn}\` before the start`),
    graded('disk', disk.free, DISK, `${size(disk.free)} free of ${size(disk.total)}`, 'free some space, or move the folder to a larger disk: a node whose disk is full refuses its work'),
    graded('memory', memory.available, MEMORY, `${size(memory.available)} available of ${size(memory.total)}`, 'end something else, or give the machine more')
  ]
}
