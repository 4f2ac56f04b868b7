'use strict';
(async () => {
const data = JSON.parse(document.getElementById('data').textContent);
const $ = id => document.getElementById(id);
const NO_DATA = 255;
const [rows, cols] = data.page;       // of what this page holds
const [height, width] = data.scene;   // of the scene

// Numbers that were deflated (zlib) and written in base64.
async function inflated(text) {
  const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function picture(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

const codes = await inflated(data.codes);
const photo = data.image ? await picture(data.image) : null;
const likely = data.probabilities ? await inflated(data.probabilities.percent) : null;

const shown = new Set(data.classes.filter(c => c.code !== 0).map(c => c.code));
const layers = [photo && 'true colour', 'mask only'].filter(Boolean);
if (likely) layers.push(...data.classes.map(c => `probability of ${c.name}`));
const state = { fitted: true, base: 0, opacity: photo ? 0.6 : 1, swipe: 0, hidden: false, scale: 1, x: 0, y: 0 };

// The mask as a picture: what is not shown is transparent, no data hatched.
const mask = Object.assign(document.createElement('canvas'), { width: cols, height: rows });
function paintMask() {
  const colours = new Map(data.classes.map(c => [c.code, c.colour]));
  const context = mask.getContext('2d');
  const picture = context.createImageData(cols, rows);
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i], to = 4 * i;
    if (shown.has(code)) picture.data.set([...colours.get(code), 255], to);
    else if (code === NO_DATA) {
      const grey = (((i % cols) + Math.floor(i / cols)) >> 2) % 2 ? 70 : 95;
      picture.data.set([grey, grey, grey, 255], to);
    }
  }
  context.putImageData(picture, 0, 0);
}

// A probability in per cent from dark blue to yellow.
const heat = {};
function heatOf(index) {
  if (heat[index]) return heat[index];
  const { page: [h, w] } = data.probabilities;
  const canvas = Object.assign(document.createElement('canvas'), { width: w, height: h });
  const context = canvas.getContext('2d'), picture = context.createImageData(w, h);
  const stops = [[13, 8, 65], [84, 15, 109], [187, 55, 84], [249, 142, 9], [252, 255, 164]];
  for (let i = 0; i < h * w; i++) {
    const percent = likely[index * h * w + i];
    const at = Math.min(percent, 100) / 25, low = Math.min(Math.floor(at), 3);
    const mixed = [0, 1, 2].map(k => stops[low][k] + (at - low) * (stops[low + 1][k] - stops[low][k]));
    picture.data.set(percent > 100 ? [70, 70, 70, 255] : [...mixed, 255], 4 * i);
  }
  context.putImageData(picture, 0, 0);
  return heat[index] = canvas;
}

const map = $('map'), pen = map.getContext('2d');
const density = () => window.devicePixelRatio || 1;
// CSS pixels of a page pixel at which the whole scene is seen.
const least = () => Math.min(map.clientWidth / cols, map.clientHeight / rows) || 1;

function whole() {
  state.fitted = true;
  state.scale = least();
  state.x = (map.clientWidth - cols * state.scale) / 2;
  state.y = (map.clientHeight - rows * state.scale) / 2;
  draw();
}

function zoom(factor, [x, y] = [map.clientWidth / 2, map.clientHeight / 2]) {
  const scale = Math.min(Math.max(state.scale * factor, least() / 2), 64);
  state.x = x - (x - state.x) * scale / state.scale;
  state.y = y - (y - state.y) * scale / state.scale;
  state.scale = scale;
  state.fitted = false;
  draw();
}

function move(x, y) {
  state.x += x;
  state.y += y;
  state.fitted = false;
  draw();
}

function draw() {
  const d = density();
  const [w, h] = [Math.round(map.clientWidth * d), Math.round(map.clientHeight * d)];
  if (map.width !== w || map.height !== h) [map.width, map.height] = [w, h];
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, w, h);
  pen.setTransform(state.scale * d, 0, 0, state.scale * d, state.x * d, state.y * d);
  pen.imageSmoothingEnabled = state.scale < 1;
  const name = layers[state.base];
  const probability = likely ? state.base - layers.length + data.classes.length : -1;
  if (name === 'true colour') pen.drawImage(photo, 0, 0, cols, rows);
  else if (probability >= 0) pen.drawImage(heatOf(probability), 0, 0, cols, rows);
  else { pen.fillStyle = '#000'; pen.fillRect(0, 0, cols, rows); }
  const split = state.swipe * map.clientWidth;
  if (!state.hidden) {
    pen.save();
    pen.beginPath();
    const from = (split - state.x) / state.scale;
    pen.rect(from, -state.y / state.scale, cols - from + map.clientWidth, map.clientHeight / state.scale);
    pen.clip();
    pen.globalAlpha = name === 'mask only' ? 1 : state.opacity;
    pen.drawImage(mask, 0, 0);
    pen.restore();
  }
  if (state.swipe > 0 && !state.hidden) {
    pen.setTransform(d, 0, 0, d, 0, 0);
    pen.fillStyle = '#fff';
    pen.fillRect(split - 1, 0, 2, map.clientHeight);
  }
  drawScale();
}

function drawScale() {
  if (!data.metres) return void ($('scale').hidden = true);
  const perPixel = data.metres * (width / cols) / state.scale;
  const rough = 110 * perPixel, power = 10 ** Math.floor(Math.log10(rough));
  const length = [5, 2, 1].map(n => n * power).find(n => n <= rough);
  $('bar').style.width = `${length / perPixel}px`;
  $('length').textContent = length >= 1000 ? `${length / 1000} km` : `${length} m`;
}

// What is known of a place, in page pixels.
function at(x, y) {
  const [col, row] = [Math.floor(x), Math.floor(y)];
  if (!(col >= 0 && row >= 0 && col < cols && row < rows)) return null;
  const place = { row: Math.floor(row * height / rows), col: Math.floor(col * width / cols) };
  place.code = codes[row * cols + col];
  if (likely) {
    const { page: [h, w] } = data.probabilities;
    const i = Math.min(Math.floor(row * h / rows), h - 1) * w + Math.min(Math.floor(col * w / cols), w - 1);
    const percents = data.classes.map((_, k) => likely[k * h * w + i]);
    if (percents[0] <= 100) place.percents = percents;
  }
  if (data.transform) {
    const [t0, t1, t2, t3, t4, t5] = data.transform, [c, r] = [place.col + 0.5, place.row + 0.5];
    place.map = [t0 + c * t1 + r * t2, t3 + c * t4 + r * t5];
  }
  return place;
}

function tell(place) {
  if (!place) return void ($('readout').textContent = 'Point at the image to read the mask.');
  const found = data.classes.find(c => c.code === place.code);
  const lines = [found ? found.name : 'no data', `row ${place.row}, column ${place.col}`];
  if (place.percents) lines.push(...data.classes.map((c, k) => `${c.name} ${place.percents[k]} %`));
  if (place.map) {
    const digits = Math.abs(data.transform[1]) < 0.01 ? 5 : 0;
    lines.push(`${data.crs ?? 'map'}: ${place.map.map(v => v.toFixed(digits)).join(', ')}`);
  }
  $('readout').textContent = lines.join('\n');
}

// Words, classes, layers, record.
document.title = `${data.title} – nephos`;
$('title').textContent = data.title;
$('summary').textContent = data.summary + (height === rows && width === cols ? ''
  : ` Shown at ${cols} × ${rows} of ${width} × ${height} pixels.`);
map.setAttribute('aria-label', `Mask of ${data.title}. ${data.summary}`);
data.classes.forEach((c, k) => {
  const label = document.createElement('label');
  const box = Object.assign(document.createElement('input'), { type: 'checkbox', checked: shown.has(c.code), id: `class-${c.code}` });
  const swatch = Object.assign(document.createElement('span'), { className: 'swatch' });
  swatch.style.background = `rgb(${c.colour})`;
  const share = Object.assign(document.createElement('span'), { className: 'share' });
  share.textContent = c.percent === null ? '' : `${c.percent.toFixed(1)} %`;
  label.append(box, swatch, c.name, share);
  box.addEventListener('change', () => {
    box.checked ? shown.add(c.code) : shown.delete(c.code);
    paintMask();
    draw();
  });
  $('classes').append(label);
});
layers.forEach((name, k) => {
  const label = document.createElement('label');
  const button = Object.assign(document.createElement('input'), { type: 'radio', name: 'layer', checked: k === 0, id: `layer-${k}` });
  button.addEventListener('change', () => { state.base = k; draw(); });
  label.append(button, name);
  $('layers').append(label);
});
for (const [key, value] of data.record) {
  const row = $('record').insertRow();
  row.append(Object.assign(document.createElement('th'), { textContent: key, scope: 'row' }));
  row.insertCell().textContent = value;
}
if (data.north === null) $('north').hidden = true;
else $('north').style.transform = `rotate(${data.north}deg)`;

function setSwipe(share) {
  state.swipe = Math.min(Math.max(share, 0), 1);
  $('swipe').value = Math.round(1000 * state.swipe);
  draw();
}
function setOpacity(share) {
  state.opacity = share;
  $('opacity').value = Math.round(100 * share);
  $('percent').textContent = `${Math.round(100 * share)} %`;
  draw();
}
$('swipe').addEventListener('input', () => setSwipe($('swipe').value / 1000));
$('opacity').addEventListener('input', () => setOpacity($('opacity').value / 100));
$('closer').addEventListener('click', () => zoom(1.5));
$('farther').addEventListener('click', () => zoom(1 / 1.5));
$('whole').addEventListener('click', whole);

// Pointers: one moves, two pinch; a mouse that only points reads.
const pointers = new Map();
const place = event => {
  const box = map.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};
const read = ([x, y]) => tell(at((x - state.x) / state.scale, (y - state.y) / state.scale));
map.addEventListener('pointerdown', event => {
  map.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, place(event));
  read(place(event));
});
map.addEventListener('pointermove', event => {
  const now = place(event), before = pointers.get(event.pointerId);
  read(now);
  if (!before) return;
  const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
  pointers.set(event.pointerId, now);
  if (other) {
    const apart = point => Math.hypot(point[0] - other[0], point[1] - other[1]) || 1;
    zoom(apart(now) / apart(before), [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
  } else {
    move(now[0] - before[0], now[1] - before[1]);
  }
});
for (const end of ['pointerup', 'pointercancel'])
  map.addEventListener(end, event => pointers.delete(event.pointerId));
map.addEventListener('pointerleave', () => pointers.size || tell(null));
map.addEventListener('wheel', event => {
  event.preventDefault();
  zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), place(event));
}, { passive: false });

document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  const moves = { arrowleft: [60, 0], arrowright: [-60, 0], arrowup: [0, 60], arrowdown: [0, -60] };
  const onMap = document.activeElement === map || document.activeElement === document.body;
  if (moves[key] && onMap) move(...moves[key]);
  else if (key === '+' || key === '=') zoom(1.5);
  else if (key === '-') zoom(1 / 1.5);
  else if (key === '0') whole();
  else if (key === 'a') setSwipe(state.swipe - 0.05);
  else if (key === 'd') setSwipe(state.swipe + 0.05);
  else if (key === 'm') { state.hidden = !state.hidden; draw(); }
  else if (/^[1-9]$/.test(key) && data.classes[key - 1]) $(`class-${data.classes[key - 1].code}`).click();
  else return;
  if (moves[key] && onMap) event.preventDefault();
});

paintMask();
tell(null);
setOpacity(state.opacity);
whole();
new ResizeObserver(() => state.fitted ? whole() : draw()).observe(map);
document.documentElement.dataset.ready = 'true';
})();
