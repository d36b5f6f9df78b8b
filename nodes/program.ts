/** Where the program is, for starting more processes of it. */
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))

/** bin/mixmint.js, whether this is a source or a part of the build (nodes/build.mjs). */
export const PROGRAM = join(basename(here) === 'dist' ? dirname(here) : here, 'bin', 'mixmint.js')

export const VERSION = '0.1.0'
