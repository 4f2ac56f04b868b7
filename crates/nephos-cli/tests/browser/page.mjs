// Holds a page of `nephos predict --with html` to what it should show, in Chromium:
//
//   node page.mjs PAGE EXPECTED [SCREENSHOT]
//
// EXPECTED is JSON: `codes` (class codes by rows), `names` (of the classes), `colours` and
// `percents` (of the classes at the pixels in `places`). NEPHOS_NODE_MODULES is a folder with
// playwright-core, NEPHOS_BROWSER the browser (`chromium`). Prints the number of checks.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const require = createRequire(join(resolve(process.env.NEPHOS_NODE_MODULES ?? 'node_modules'), 'x.js'));
const { chromium } = require('playwright-core');
const [path, expected, screenshot] = process.argv.slice(2);
const { codes, names, colours, places } = JSON.parse(readFileSync(expected, 'utf8'));
const [rows, cols] = [codes.length, codes[0].length];
const which = name => execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
const executablePath = process.env.NEPHOS_BROWSER ?? which('chromium');
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
let checks = 0;
const equal = (found, wanted, what) => { assert.deepEqual(found, wanted, what); checks++; };

try {
  const page = await browser.newPage({ viewport: { width: 1200, height: 820 } });
  const said = [];
  page.on('console', message => said.push(message.text()));
  page.on('pageerror', error => said.push(error.message));
  page.on('request', request => /^(file|data|blob):/.test(request.url()) || said.push(request.url()));
  await page.goto(pathToFileURL(path).href);
  await page.waitForSelector('html[data-ready=true]');

  // The whole scene is shown, in the middle.
  const box = await page.locator('#map').boundingBox();
  const scale = Math.min(box.width / cols, box.height / rows);
  const left = box.x + (box.width - cols * scale) / 2, top = box.y + (box.height - rows * scale) / 2;
  const centre = (row, col) => [left + (col + 0.5) * scale, top + (row + 0.5) * scale];
  const pixel = (row, col) => page.evaluate(([x, y]) => {
    const map = document.getElementById('map'), box = map.getBoundingClientRect();
    const d = map.width / box.width;
    const one = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d');
    one.drawImage(map, -Math.floor((x - box.left) * d), -Math.floor((y - box.top) * d));
    return [...one.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  }, centre(row, col));

  // The value under the cursor is the mask's.
  for (const { row, col, percents } of places) {
    await page.mouse.move(...centre(row, col));
    const lines = (await page.textContent('#readout')).split('\n');
    const code = codes[row][col];
    equal(lines.slice(0, 2), [names[code] ?? 'no data', `row ${row}, column ${col}`], `${row}, ${col}`);
    if (percents) equal(lines.slice(2, 2 + names.length), names.map((name, k) => `${name} ${percents[k]} %`));
  }

  // At full opacity a class has its colour; without its box, the image's.
  const cloud = places.find(({ row, col }) => codes[row][col] === 1) ?? places.find(({ row, col }) => codes[row][col] === 2);
  const code = codes[cloud.row][cloud.col];
  const [row, col] = [cloud.row, cloud.col];
  await page.fill('#opacity', '0');
  const image = await pixel(row, col);
  await page.fill('#opacity', '100');
  equal(await pixel(row, col), colours[code], 'full opacity');
  await page.uncheck(`#class-${code}`);
  equal(await pixel(row, col), image, 'a class that is not shown');
  await page.check(`#class-${code}`);

  // Left of the swipe there is no mask.
  const share = (centre(row, col)[0] - box.x) / box.width;
  await page.fill('#swipe', String(Math.min(1000, Math.round(1000 * share) + 15)));
  equal(await pixel(row, col), image, 'left of the swipe');
  await page.fill('#swipe', String(Math.max(0, Math.round(1000 * share) - 15)));
  equal(await pixel(row, col), colours[code], 'right of the swipe');
  await page.fill('#swipe', '0');

  // Keys: zoomed in around the middle, moved, and back.
  await page.focus('#map');
  await page.keyboard.press('m');
  equal(await pixel(row, col), image, 'the mask hidden');
  await page.keyboard.press('m');
  await page.keyboard.press('+');
  await page.keyboard.press('ArrowLeft');
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  const [, moved] = (await page.textContent('#readout')).split('\n');
  const middle = Math.floor((cols / 2) - 60 / (1.5 * scale));
  equal(moved, `row ${Math.floor(rows / 2)}, column ${middle}`, 'zoomed and moved');
  await page.keyboard.press('0');
  equal(await pixel(row, col), colours[code], 'the whole scene again');

  if (screenshot) {
    await page.fill('#opacity', '60');
    await page.screenshot({ path: screenshot });
  }
  // Narrow and dark: all is there, nothing overflows.
  const phone = await browser.newPage({ viewport: { width: 390, height: 800 }, colorScheme: 'dark' });
  phone.on('pageerror', error => said.push(error.message));
  await phone.goto(pathToFileURL(path).href);
  await phone.waitForSelector('html[data-ready=true]');
  equal(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'a narrow page');
  equal(said, [], 'no message, no request');
  console.log(`${checks} checks`);
} finally {
  await browser.close();
}
