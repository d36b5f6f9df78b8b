/** The browser that tests drive: Chromium as Debian and its like install it, or as CHROMIUM names one. */
import { existsSync } from 'node:fs'
import { chromium, type Browser } from 'playwright-core'

export const CHROMIUM = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(path => path !== undefined && existsSync(path))
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

if (CHROMIUM === undefined) process.stderr.write('skipped: no chromium is installed (apt install chromium), or CHROMIUM does not name one\n')

export async function openBrowser (...flags: readonly string[]): Promise<Browser> {
  return await chromium.launch({ executablePath: CHROMIUM, headless: true, args: [...FLAGS, ...flags] })
}
