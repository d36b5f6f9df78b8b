/** A walk-through of docs/: the hosts of its table, and its blocks of commands with the hosts on which each is typed. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface Block { readonly section: string, readonly hosts: readonly string[], readonly commands: string }
export interface Page { readonly addresses: ReadonlyMap<string, string>, readonly blocks: readonly Block[] }

export function readPage (name: string): Page {
  const text = readFileSync(fileURLToPath(new URL(`../../../docs/${name}`, import.meta.url)), 'utf8')
  return {
    addresses: new Map([...text.matchAll(/^\| (\w+) \| (192\.0\.2\.\d+) \|/gm)].map(([, host, address]) => [host, address])),
    blocks: text.split(/^## /m).flatMap(section => [...section.matchAll(/^ *```sh hosts=(\S+)\n(.*?)^ *```$/gms)].map(([, hosts, commands]) => ({
      section: section.slice(0, section.indexOf('\n')), hosts: hosts.split(','), commands
    })))
  }
}

/** The same for more hosts of a kind: wherever the page names those that it has, so many are named. */
export function enlarged ({ addresses, blocks }: Page, sizes: Readonly<Record<string, number>>): Page {
  const members = (kind: string): string[] => Array.from({ length: sizes[kind] }, (_, i) => `${kind}${i + 1}`)
  const grown = (text: string, separator: string): string => Object.keys(sizes).reduce((grown, kind) => grown.replaceAll(
    new RegExp(`\\b${kind}1(\\.\\w+)?(?:[ ,]${kind}\\d+\\1)*`, 'g'), (_all, suffix = '') => members(kind).map(name => `${name}${String(suffix)}`).join(separator)), text)
  const first = (kind: string): string[] => (addresses.get(`${kind}1`) ?? '').split('.')
  return {
    addresses: new Map([...addresses, ...Object.keys(sizes).flatMap(kind => members(kind).map((name, i) => [name, [...first(kind).slice(0, 3), Number(first(kind)[3]) + i].join('.')] as const))]),
    blocks: blocks.map(({ section, hosts, commands }) => ({ section, hosts: grown(hosts.join(','), ',').split(','), commands: grown(commands, ' ') }))
  }
}
