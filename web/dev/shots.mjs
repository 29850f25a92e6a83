// Takes pictures of every page of the pretend server, in both themes and at
// phone width, and says what the browser complained about.
//   node dev/shots.mjs [page ...]     pictures go to web/shots
import { mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const base = process.env.REEVE_WEB ?? 'http://127.0.0.1:7499/'
const paths = {
  overview: '', incidents: 'incidents', incident: 'incidents/inc_full', finding: 'findings/fnd_full', resources: 'resources', host: 'resources/res_h0',
  filesystem: 'resources/res_0f1?range=7d', hosts: 'hosts', add: 'hosts?add=1', 'host-held': 'hosts/ember', 'host-conflict': 'hosts/garnet', 'host-pending': 'hosts/lumen', workloads: 'workloads', declare: 'workloads?declare=1', workload: 'workloads/wl_0_0', 'workload-busy': 'workloads/wl_0_1', 'workload-gone': 'workloads/wl_2_0', actions: 'actions', action: 'actions/act_done', 'action-failed': 'actions/act_fail', checks: 'checks', channels: 'channels', settings: 'settings', users: 'settings/people', system: 'system', audit: 'audit',
}
const looks = [
  { name: 'light', viewport: { width: 1440, height: 900 }, colorScheme: 'light' },
  { name: 'dark', viewport: { width: 1440, height: 900 }, colorScheme: 'dark' },
  { name: 'phone', viewport: { width: 390, height: 844 }, colorScheme: 'light', deviceScaleFactor: 2, isMobile: true, hasTouch: true },
]
const chosen = process.argv.slice(2).filter((a) => !a.startsWith('-'))
const only = process.argv.find((a) => a.startsWith('--look='))?.slice(7)
const out = new URL('../shots/', import.meta.url).pathname
mkdirSync(out, { recursive: true })

const profile = mkdtempSync(join(tmpdir(), 'reeve-shots-'))
const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args, headless: true, env: { ...process.env, HOME: profile } })
for (const { name, ...look } of looks) {
  if (only && only !== name) continue
  const context = await browser.newContext(look)
  const page = await context.newPage()
  page.on('console', (m) => ['error', 'warning'].includes(m.type()) && console.log(name, m.type(), m.text()))
  page.on('pageerror', (e) => console.log(name, 'threw', e.message, e.stack))
  for (const [title, path] of Object.entries(paths)) {
    if (chosen.length && !chosen.includes(title)) continue
    await page.goto(base + path)
    await page.waitForTimeout(900)
    if (title === 'overview' && name === 'phone') {
      await page.getByRole('button', { name: 'More' }).click()
      await page.waitForTimeout(300)
      await page.screenshot({ path: join(out, 'drawer-phone.png') })
      await page.mouse.click(370, 100)
      await page.waitForTimeout(300)
    }
    await page.screenshot({ path: join(out, `${title}-${name}.png`), fullPage: process.argv.includes('--full') && title !== 'resources' })
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    if (wide > 1) console.log(name, title, 'is too wide by', wide)
  }
  await context.close()
}
await browser.close()
