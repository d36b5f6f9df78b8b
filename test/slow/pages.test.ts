/**
 * The pages of a network that runs, in Chromium: they are live, work by keyboard, in dark and light and on a phone's width, ask
 * no other host, and are read by no page of another origin. `SHOTS=DIR` keeps the screenshots.
 */
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { servePage, startNetwork, type NetworkPage } from '../../nodes/cli/up.ts'
import { Stage } from '../../nodes/demo/stage.ts'
import { createNetwork, freePorts, nodeNames, SMALL_NETWORK } from '../../nodes/layout.ts'
import { CHROMIUM, openBrowser } from './browser.ts'
import { until } from './probe.ts'

const PLAN = { ...SMALL_NETWORK, authorities: 1, gateways: 1, mixesPerLayer: 1, centers: 4, denominations: 10 }
/** A node of each role. */
const NODES = ['authority-1', 'gateway-1', 'mix-2-1', 'center-1', 'bank', 'merchant']
const WIDE = 1280
const PHONE = 360
/** Ours, to which every other name leads: whoever asks another host, asks it. */
const REBOUND = 'rebound.example'

interface Seen { readonly errors: string[], readonly hosts: Set<string> }

describe.skipIf(CHROMIUM === undefined)('the pages', () => {
  let stage: Stage
  let network: NetworkPage
  let browser: Browser
  let elsewhere: Server
  let shots: string
  const ports = new Map<string, number>()
  const names = Object.values(nodeNames(PLAN)).flat()

  /** Of a node, where its metrics are; of all, where `mixmint up` says. */
  const addressOf = (name: string): string => name === 'network' ? network.address : `http://127.0.0.1:${ports.get(name)}/`

  async function open (address: string, options: Parameters<Browser['newContext']>[0] = {}): Promise<{ page: Page, seen: Seen, context: BrowserContext }> {
    const context = await browser.newContext({ viewport: { width: WIDE, height: 900 }, ...options })
    const page = await context.newPage()
    const seen: Seen = { errors: [], hosts: new Set() }
    page.on('pageerror', error => { seen.errors.push(String(error)) })
    page.on('console', message => { if (message.type() !== 'info') seen.errors.push(message.text()) })
    context.on('request', request => { seen.hosts.add(new URL(request.url()).host) })
    await page.goto(address)
    return { page, seen, context }
  }

  beforeAll(async () => {
    const dir = mkdtempSync(join(tmpdir(), 'mixmint-test-'))
    shots = process.env.SHOTS ?? join(dir, 'shots')
    mkdirSync(shots, { recursive: true })
    await createNetwork(await defaultSuite(), dir, PLAN)
    const free = await freePorts(names.length)
    names.forEach((name, i) => {
      ports.set(name, free[i])
      appendFileSync(join(dir, name, 'config.toml'), `\n[metrics]\nlisten = "${free[i]}"\nevery = 1\n`)
    })
    stage = new Stage(dir, PLAN)
    network = await servePage(dir, PLAN, stage.supervisor, 0)
    await startNetwork(stage.supervisor, PLAN, true)
    elsewhere = createServer((_, response) => { response.setHeader('content-type', 'text/html').end('<!doctype html><link rel="icon" href="data:,"><title>elsewhere</title>') })
    await new Promise<void>(resolve => { elsewhere.listen(0, '127.0.0.1', resolve) })
    browser = await openBrowser(`--host-resolver-rules=MAP ${REBOUND} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1`)
    await stage.command('wallet', 'init')
    const { account } = await stage.command('wallet', 'account')
    await stage.command('bank', 'credit', String(account), '900', '--reference', 'test')
    await stage.command('wallet', 'withdraw', '700')
    for (const [what, how] of [['newspaper', 'token'], ['song', 'coins']]) await stage.command('wallet', 'buy', what, '--with', how)
  })

  afterAll(async () => {
    await browser?.close()
    await network?.close()
    elsewhere?.close()
    await stage?.stop()
    if (stage !== undefined) rmSync(stage.dir, { recursive: true, force: true })
  })

  test.each(['network', ...NODES])('of %s is live, asks its own host only, and has no error', async name => {
    const { page, seen, context } = await open(addressOf(name))
    await page.waitForSelector('.tile')
    await page.waitForSelector('.plot svg')
    expect(await page.title()).toMatch(/mixmint/)
    expect(await page.locator('h1 .pill').textContent()).toMatch(/^(all )?ready$/)
    const asOf = async (): Promise<string> => /as of ([\d:]+)/.exec(await page.locator('.controls').innerText())?.[1] ?? ''
    const first = await asOf()
    expect(first).not.toBe('')
    await until(async () => await asOf() > first)
    const host = new URL(addressOf(name)).host
    expect([...seen.hosts]).toEqual([host])
    expect(seen.errors).toEqual([])
    await context.close()
  })

  test.each(['network', ...NODES])('of %s fits a phone, and can be read in dark and in light', async name => {
    const grounds: string[] = []
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const width of [WIDE, PHONE]) {
        const { page, seen, context } = await open(addressOf(name), { colorScheme, viewport: { width, height: 800 }, reducedMotion: 'reduce' })
        await page.waitForSelector('.plot svg')
        const unfold = async (open: boolean): Promise<void> => { await page.evaluate(`for (const details of document.querySelectorAll('details')) details.open = ${open}`) }
        await unfold(true)
        await page.waitForSelector('details table')
        expect(await page.evaluate('document.documentElement.scrollWidth'), `${name} ${colorScheme} ${width}`).toBeLessThanOrEqual(width)
        expect(await page.evaluate(FAINT), `${name} ${colorScheme} ${width}`).toEqual([])
        await unfold(false)
        const file = join(shots, `${name}-${colorScheme}-${width}.png`)
        await page.screenshot({ path: file, fullPage: true })
        expect(statSync(file).size).toBeGreaterThan(10_000)
        if (width === WIDE) grounds.push(String(await page.evaluate('getComputedStyle(document.body).backgroundColor')))
        expect(seen.errors).toEqual([])
        await context.close()
      }
    }
    expect(new Set(grounds).size).toBe(2)
  })

  test.each(['network', ...NODES])('of %s is gone through by keyboard: in the order in which one reads, and what has the focus shows it', async name => {
    const skipping = await open(addressOf(name))
    await skipping.page.waitForSelector('.plot[tabindex="0"] svg')
    await skipping.page.keyboard.press('Tab')
    expect(await skipping.page.evaluate(FOCUSED)).toMatchObject({ is: 'a', text: 'Skip to the figures', visible: true })
    await skipping.page.keyboard.press('Enter')
    expect(await skipping.page.evaluate('document.activeElement.id')).toBe('main')
    await skipping.context.close()
    const { page, context } = await open(addressOf(name))
    await page.waitForSelector('.plot[tabindex="0"] svg')
    const order: Focused[] = []
    for (let i = 0; i < 80; i++) {
      await page.keyboard.press('Tab')
      const focused = await page.evaluate(FOCUSED) as Focused
      if (focused.is === 'body') break
      order.push(focused)
    }
    expect(order.slice(0, 3).map(({ is, text }) => `${is} ${text}`)).toEqual(['a Skip to the figures', 'input ', 'button Pause'])
    expect(order.filter(({ visible }) => !visible)).toEqual([])
    const plots = await page.locator('.plot[tabindex="0"]').count()
    expect(plots).toBeGreaterThan(0)
    expect(order.filter(({ is }) => is === 'div').length).toBeGreaterThanOrEqual(plots)
    expect(order.filter(({ is }) => is === 'summary').length).toBeGreaterThanOrEqual(plots)
    // From top to bottom, and in a row from left to right.
    const rest = order.slice(3)
    for (const [i, at] of rest.entries()) if (i > 0) expect(at.y > rest[i - 1].y - 40 || at.x > rest[i - 1].x, `${rest[i - 1].text} before ${at.text}`).toBe(true)
    await context.close()
  })

  test('are read by keyboard: a plot moment by moment and as a table, so many minutes of it, and halted', async () => {
    const { page, context } = await open(addressOf('gateway-1'))
    await page.waitForSelector('.plot[tabindex="0"] svg')
    const plot = page.locator('.plot[role=slider][tabindex="0"]').first()
    await plot.focus()
    const said = async (): Promise<string> => await plot.getAttribute('aria-valuetext') ?? ''
    await page.keyboard.press('Home')
    const early = await said()
    await until(async () => {
      await page.keyboard.press('ArrowRight')
      return await said() !== early
    })
    await page.keyboard.press('Home')
    expect(await page.locator('.legend .moment').first().textContent()).toBe(`at ${(await said()).slice(0, 8)}`)
    await page.keyboard.press('Escape')
    expect(await page.locator('.legend .moment').count()).toBe(0)

    const details = page.locator('details').filter({ has: page.locator('summary:text-is("As a table")') }).first()
    await details.locator('summary').focus()
    await page.keyboard.press('Enter')
    await until(async () => await details.locator('table tbody tr').count() > 1)

    const radio = page.locator('input[name=window]:checked')
    await radio.focus()
    await page.keyboard.press('ArrowLeft')
    expect(await page.locator('input[name=window]:checked').getAttribute('value')).toBe('1')
    const pause = page.locator('.controls button')
    await pause.focus()
    await page.keyboard.press('Space')
    expect([await pause.textContent(), await pause.getAttribute('aria-pressed'), await page.locator('.controls').innerText()]).toEqual(['Go on', 'true', expect.stringContaining('paused at')])
    await page.keyboard.press('Space')
    await until(async () => (await page.locator('.controls').innerText()).includes('as of'))
    await context.close()
  })

  test('of the network shows its layers, its ring and its money, as the bank\'s books have it', async () => {
    const { page, context } = await open(network.address)
    const tile = (label: string): ReturnType<Page['locator']> => page.locator('.tile').filter({ has: page.locator(`dt:text-is("${label}")`) }).locator('dd').first()
    const { outstanding } = await stage.command('bank', 'books')
    await until(async () => (await tile('In circulation').textContent() ?? '').replace(/\D/g, '') === String(outstanding))
    expect(await tile('Books').textContent()).toBe('balanced')
    expect(await page.locator('.place h4').allTextContents()).toEqual(['Wallets', 'Gateways', 'Layer 1', 'Layer 2', 'Layer 3', 'Services'])
    expect((await page.locator('.place a').allTextContents()).map(text => /^[a-z]+(-\d)*/.exec(text)?.[0])).toEqual(['gateway-1', 'mix-1-1', 'mix-2-1', 'mix-3-1', 'bank', 'merchant'])
    await until(async () => (await page.locator('.flow .arrow b').allTextContents()).slice(2, 5).every(rate => Number(rate) > 0))
    await until(async () => await page.locator('.ring svg path.share').count() === PLAN.centers)
    const shares = (await page.locator('.ring + div tbody tr').allInnerTexts()).map(row => /([\d.]+) %/.exec(row)?.[1])
    expect(shares.reduce((sum, share) => sum + Number(share), 0)).toBeCloseTo(100, 0)
    // A page for each node, from the same server.
    await page.locator('.place a').first().click()
    await page.waitForURL(/\/node\/gateway-1\/$/)
    await page.waitForSelector('.tile')
    expect(await page.locator('h1').textContent()).toContain('mixmint gateway')
    await page.locator('header a').click()
    await page.waitForURL(network.address)
    await context.close()
  })

  test('say which process is away, and that it is back; and a page whose node is gone says that', async () => {
    const { page, context } = await open(network.address)
    const own = await open(addressOf('mix-1-1'))
    await own.page.waitForSelector('.tile')
    const state = async (): Promise<string> => await page.locator('tbody tr').filter({ has: page.locator('a:text-is("mix-1-1")') }).locator('.pill').first().textContent({ timeout: 20_000 }) ?? ''
    await until(async () => await state() === 'ready')
    await stage.supervisor.kill('mix-1-1')
    await until(async () => await state() === 'ended')
    expect(await page.locator('h1 .pill').textContent()).toBe(`${names.length - 1} of ${names.length} ready`)
    await until(async () => await own.page.locator('#alarm').isVisible())
    expect(await own.page.locator('#alarm').textContent()).toMatch(/^No answer since \d\d:/)
    await stage.supervisor.start('mix-1-1')
    await until(async () => await state() === 'ready')
    await until(async () => !await own.page.locator('#alarm').isVisible())
    await context.close()
    await own.context.close()
  })

  test('cannot be read by a page of another origin, nor under another name', async () => {
    const { page, context } = await open(`http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/`)
    for (const address of [`${addressOf('bank')}state.json`, `${addressOf('bank')}metrics`, `${network.address}network.json`]) {
      const read = (mode: string): string => `fetch(${JSON.stringify(address)}, { mode: '${mode}' }).then(answer => answer.type + ' ' + answer.status, () => 'refused')`
      expect(await page.evaluate(read('cors')), address).toBe('refused')
      expect(await page.evaluate(read('no-cors')), address).toBe('refused')
    }
    const framed = await page.evaluate(`new Promise(resolve => {
      const frame = document.createElement('iframe')
      frame.onload = () => { let is = 'another'; try { is = frame.contentDocument === null ? 'another' : 'readable' } catch {} resolve(is) }
      frame.src = ${JSON.stringify(addressOf('bank'))}
      document.body.append(frame)
    })`)
    expect(framed).toBe('another')
    await context.close()
    const rebound = await open(`http://${REBOUND}:${ports.get('bank')}/`)
    expect(await rebound.page.locator('body').innerText()).toContain('not a host name of this node')
    expect((await rebound.page.request.get(`${addressOf('bank')}state.json`, { headers: { host: REBOUND } })).status()).toBe(421)
    await rebound.context.close()
  })
})

interface Focused { readonly is: string, readonly text: string, readonly visible: boolean, readonly x: number, readonly y: number }

/** What has the focus, where it is, and whether an outline shows it (of a radio, that of its label). */
const FOCUSED = `(() => {
  const element = document.activeElement
  const shown = element.tagName === 'INPUT' ? element.nextElementSibling : element
  const { outlineStyle, outlineWidth } = getComputedStyle(shown)
  const { x, y } = shown.getBoundingClientRect()
  return { is: element.tagName.toLowerCase(), text: element.tagName === 'INPUT' ? '' : element.textContent.slice(0, 30), visible: outlineStyle !== 'none' && outlineWidth !== '0px', x: x + scrollX, y: y + scrollY }
})()`

/** Texts whose contrast with what is behind them is below 4.5. */
const FAINT = `(() => {
  const parse = color => color.match(/[\\d.]+/g).map(Number)
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0)
  const behind = element => {
    for (let at = element; at !== null; at = at.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(at).backgroundColor)
      if (a === 1) return [r, g, b]
    }
    return [255, 255, 255]
  }
  const found = new Set()
  for (const element of document.querySelectorAll('body *')) {
    if (![...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim() !== '') || element.closest('.ring svg') !== null || element.getClientRects().length === 0) continue
    const style = getComputedStyle(element)
    const ink = parse(element instanceof SVGElement ? style.fill : style.color)
    const [a, b] = [light(ink), light(behind(element))].sort((x, y) => y - x)
    const contrast = (a + 0.05) / (b + 0.05)
    if (contrast < 4.5) found.add(element.tagName + '.' + (element.getAttribute('class') ?? '') + ' ' + element.textContent.slice(0, 20) + ' ' + contrast.toFixed(2))
  }
  return [...found]
})()`
