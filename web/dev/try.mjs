// Walks through the page of a pretend server of its own as a person would,
// and fails where it does not do what it should.
//   node dev/try.mjs
import { spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { chromium } from 'playwright-core'

const port = 7601
const base = `http://127.0.0.1:${port}/`
const here = new URL('.', import.meta.url).pathname
const serve = async () => {
  const child = spawn('node', [join(here, 'fake.mjs'), '--port', String(port), '--signed-out'], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((ready) => child.stdout.once('data', ready))
  return child
}
let server = await serve()
const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args, env: { ...process.env, HOME: mkdtempSync(join(tmpdir(), 'reeve-try-')) } })
const page = await browser.newPage({ viewport: { width: 1440, height: 900 } })
const complaints = []
page.on('console', (m) => m.type() === 'error' && !/Failed to load resource|ERR_CONNECTION/.test(m.text()) && complaints.push(m.text()))
page.on('pageerror', (e) => complaints.push(e.stack))
let failed = 0
const step = async (name, f) => {
  try {
    const note = await f()
    console.log('ok  ', name, note ?? '')
  } catch (err) {
    failed++
    console.log('FAIL', name, err.message.split('\n')[0])
    await page.screenshot({ path: join(here, '../shots', `failed-${failed}.png`) }).catch(() => {})
  }
}
const id = (name) => page.getByTestId(name)
const expect = (truth, what) => {
  if (!truth) throw new Error(what)
}

await step('shows the door', async () => {
  await page.goto(base + 'incidents')
  await id('signin-form').waitFor()
})
await step('a wrong password is told', async () => {
  await page.getByLabel('Name').fill('ada')
  await page.getByLabel('Password').fill('wrong')
  await page.keyboard.press('Enter')
  await page.getByText('The name or the password is wrong.').waitFor()
})
await step('the one-time link signs in, asks for a password, leaves no token', async () => {
  await page.goto(base + 'signin?token=abc')
  await id('password-form').waitFor()
  expect(!page.url().includes('token'), page.url())
  await page.getByLabel('New password').fill('correct horse')
  await page.getByLabel('The same again').fill('correct horse')
  await page.getByRole('button', { name: 'Set password' }).click()
  await id('incident-row').first().waitFor()
})
await step('is live', async () => void (await page.waitForSelector('[data-testid=live-state][data-state=live]')))
await step('a acknowledges the focused row, without reload', async () => {
  await page.keyboard.press('j')
  const before = await id('incident-row').filter({ has: page.locator('text=/^critical/') }).count()
  await page.keyboard.press('a')
  await page.getByText('Acknowledged', { exact: true }).waitFor()
  await page.waitForFunction((n) => document.querySelectorAll('[data-testid=incident-row][data-state=open]').length < n + 1, before)
})
await step('another tab acknowledges: it arrives', async () => {
  const open = await page.locator('[data-testid=incident-row][data-state=open]').count()
  await page.evaluate(() => fetch('/api/v1/incidents/inc_full/ack', { method: 'POST', body: '{}' }))
  await page.waitForFunction((n) => document.querySelectorAll('[data-testid=incident-row][data-state=open]').length < n, open)
})
await step('g i, j, enter open an incident with its chart', async () => {
  await page.keyboard.press('g')
  await page.keyboard.press('i')
  await page.waitForURL('**/incidents')
  await page.goto(base + 'incidents/inc_full')
  await page.locator('[data-testid=chart] canvas').first().waitFor()
  await id('explain-what').waitFor()
})
await step('suppresses with a reason and an end', async () => {
  await id('suppress-button').click()
  await page.getByLabel('Reason').fill('Disk is on order')
  await page.screenshot({ path: join(here, '../shots/suppress.png') })
  await page.locator('dialog').getByRole('button', { name: 'Suppress', exact: true }).click()
  await page.getByText('Suppressed 4 findings').waitFor()
  await page.getByRole('button', { name: 'End suppression' }).waitFor()
})
await step('help opens and esc closes it', async () => {
  await page.keyboard.press('?')
  await page.getByRole('dialog', { name: 'Keyboard' }).waitFor()
  await page.screenshot({ path: join(here, '../shots/help.png') })
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
})
await step('dragging over a chart looks closer; charts share a cursor', async () => {
  await page.goto(base + 'resources/res_h0')
  await page.locator('[data-testid=chart] canvas').nth(3).waitFor()
  const box = await page.locator('.u-over').first().boundingBox()
  await page.mouse.move(box.x + 100, box.y + 50)
  await wait(200)
  await page.screenshot({ path: join(here, '../shots/cursor.png') })
  await page.mouse.down()
  await page.mouse.move(box.x + 260, box.y + 60, { steps: 5 })
  await page.mouse.up()
  await page.waitForURL('**from=**')
  await page.getByRole('button', { name: 'Back to now' }).click()
  await page.waitForURL((u) => !u.search.includes('from'))
})
await step('10,000 rows stay fluid', async () => {
  await page.goto(base + 'resources')
  await id('resource-row').first().waitFor()
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('Performance.enable')
  const work = async () => {
    const { metrics } = await cdp.send('Performance.getMetrics')
    return metrics.filter((m) => ['ScriptDuration', 'LayoutDuration', 'RecalcStyleDuration'].includes(m.name)).reduce((sum, m) => sum + m.value, 0)
  }
  const before = await work()
  const result = await page.evaluate(async () => {
    const box = document.querySelector('.box')
    const frames = []
    let last = performance.now()
    let end = 0
    for (let i = 0; i < 900; i++) {
      box.scrollTop += 700
      await new Promise(requestAnimationFrame)
      frames.push(performance.now() - last)
      last = performance.now()
      if (box.scrollTop + box.clientHeight >= box.scrollHeight - 2 && ++end > 30) break
    }
    frames.sort((a, b) => a - b)
    return { frames: frames.length, median: frames[frames.length >> 1], p95: frames[Math.floor(frames.length * 0.95)], max: frames.at(-1), height: box.scrollHeight, rows: document.querySelectorAll('[data-testid=resource-row]').length }
  })
  // What the page itself spends on a frame: the pace of frames also tells of the machine.
  result.workMS = ((await work()) - before) * 1000 / result.frames
  expect(result.workMS < 16 && result.median < 34, JSON.stringify(result))
  expect(result.height >= 9990 * 44, 'not every row was read: ' + JSON.stringify(result))
  expect(result.rows < 80, 'too many rows exist: ' + result.rows)
  return JSON.stringify(result)
})
await step('j walks the long list; search and label filter it', async () => {
  await page.keyboard.press('/')
  await page.keyboard.type('gitea project=gitea')
  await page.waitForURL('**label=project**')
  await page.waitForFunction(() => document.querySelector('[data-testid=resource-row]')?.textContent.includes('gitea'))
  await page.keyboard.press('Escape')
  await page.keyboard.press('j')
  await page.keyboard.press('j')
  await page.keyboard.press('Enter')
  await page.waitForURL('**/resources/res_c*')
})
await step('back restores the filter', async () => {
  await page.goBack()
  await page.waitForURL('**label=project**')
  await page.waitForFunction(() => document.querySelector('input[type=search]')?.value.includes('project=gitea'))
})
await step('adds a check, is told of a bad one', async () => {
  await page.goto(base + 'checks')
  await id('add-check').click()
  await page.getByLabel('Name').fill('shop')
  await page.getByLabel('Target').fill('bad')
  await page.locator('dialog').getByRole('button', { name: 'Add', exact: true }).click()
  await page.getByText('This is no address.').waitFor()
  await page.screenshot({ path: join(here, '../shots/check.png') })
  await page.getByLabel('Target').fill('https://shop.example/health')
  await page.locator('dialog').getByRole('button', { name: 'Add', exact: true }).click()
  await page.getByText('shop.example/health').waitFor()
})
await step('a channel that refuses says why', async () => {
  await page.goto(base + 'channels')
  await id('test-channel').nth(1).click()
  await page.getByText('reserved topic.', { exact: false }).last().waitFor()
})
await step('the theme stays', async () => {
  await id('theme-toggle').click()
  await page.reload()
  expect((await page.locator('html').getAttribute('data-theme')) === 'dark', 'no theme')
})
await step('a lost server is told, and the page comes back by itself', async () => {
  await page.goto(base)
  await page.waitForSelector('[data-testid=live-state][data-state=live]')
  server.kill()
  await page.waitForSelector('[data-testid=live-state][data-state=stale]')
  await page.getByText('The live connection is lost.').waitFor()
  await page.screenshot({ path: join(here, '../shots/stale.png') })
  server = await serve()
  await fetch(base + 'api/v1/session', { method: 'POST', body: '{"name":"ada","password":"x"}' })
  await page.waitForSelector('[data-testid=live-state][data-state=live], [data-testid=signin-form]', { timeout: 20000 })
})
await step('signs out', async () => {
  await page.goto(base)
  await fetch(base + 'api/v1/session', { method: 'POST', body: '{"name":"ada","password":"x"}' })
  await page.reload()
  await id('signout-button').click()
  await id('signin-form').waitFor()
  await page.screenshot({ path: join(here, '../shots/signin.png') })
})
await step('the browser complained of nothing', () => expect(!complaints.length, complaints.join('\n')))
await browser.close()
server.kill()
process.exit(failed ? 1 : 0)
