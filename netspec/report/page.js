'use strict';
// What the page does beyond being read: the theme, the diagram's views, its zoom, the table, and what belongs together.

const find = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const data = JSON.parse(find('#data').textContent);
const canvas = find('#canvas');
const table = find('#table');

document.documentElement.classList.add('script-on');
all('.script').forEach((part) => { part.hidden = false; });

function say(text) {
  const status = find('#status');
  if (status) status.textContent = text;
}

// ------------------------------------------------------------------------------------------------------------- theme
function setUpTheme() {
  const themes = ['system', 'light', 'dark'];
  let chosen = 0;
  find('#theme').addEventListener('click', (event) => {
    chosen = (chosen + 1) % themes.length;
    if (chosen) document.documentElement.dataset.theme = themes[chosen];
    else delete document.documentElement.dataset.theme;
    event.currentTarget.textContent = `Theme: ${themes[chosen]}`;
  });
}

// ---------------------------------------------------------------------------------------------------- views of a diagram
// A view is {title, svg, boxes, groups}; boxes and groups are [number, key, view it leads to or -1, name, rows].
const kept = new Map();
let view = null;
let number = 0;

async function unpack(index) {
  if (kept.has(index)) return kept.get(index);
  const bytes = Uint8Array.from(atob(find(`#view-${index}`).textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  const found = JSON.parse(await new Response(stream).text());
  kept.set(index, found);
  return found;
}

async function show(index, key = '', words = '') {
  const next = await unpack(index);
  const picture = new DOMParser().parseFromString(next.svg, 'image/svg+xml').documentElement;
  canvas.replaceChildren(document.importNode(picture, true));
  number = index;
  prepare(next);
  resize(zoom);
  find('#shown').textContent = next.title;
  say(words || `The diagram shows: ${next.title}.`);
  const again = key && find(`[data-key="${CSS.escape(key)}"]`, canvas);
  if (again) {
    again.focus({ preventScroll: true });
    reveal(again);
  }
}

// A box, or the title of an open block, which may stand apart from its frame.
function element(kind, index) {
  return find(`#${kind}-${index}-label`, canvas) ?? find(`#${kind}-${index}`, canvas);
}

// Makes buttons of what folds and unfolds, and lets every box be found by its rows.
function prepare(next) {
  view = next;
  const svg = find('svg', canvas);
  svg.setAttribute('role', 'group');
  for (const [kind, spots, expanded] of [['group', next.groups, true], ['box', next.boxes, false]]) {
    for (const [index, key, target, name, rows] of spots) {
      const part = element(kind, index);
      if (!part) continue;
      part.dataset.key = key;
      part.dataset.kind = kind;
      part.dataset.target = target;
      part.dataset.rows = rows;
      part.dataset.name = name;
      if (target < 0) continue;
      part.setAttribute('role', 'button');
      part.setAttribute('tabindex', '0');
      part.setAttribute('aria-expanded', expanded);
      part.setAttribute('aria-label', name);
    }
  }
  find('#shallower').disabled = data.depths.indexOf(number) === 0;
  find('#deeper').disabled = data.depths.indexOf(number) === data.depths.length - 1;
  filter();
  light(lit, null);
}

function toggle(part) {
  const open = part.dataset.kind === 'group';
  const verb = open ? 'folded' : 'opened';
  show(Number(part.dataset.target), part.dataset.key, `${part.dataset.name} ${verb}.`);
}

function byDepth(step) {
  const at = data.depths.indexOf(number);
  const place = at < 0 ? (step > 0 ? Math.min(1, data.depths.length - 1) : 0) : at + step;
  if (data.depths[place] !== undefined) show(data.depths[place]);
}

// -------------------------------------------------------------------------------------------------------- zoom and pan
let zoom = 'fit';

function scaleOf(wanted, svg) {
  const own = svg.viewBox.baseVal.width * 4 / 3;
  const room = canvas.clientWidth - parseFloat(getComputedStyle(canvas).paddingLeft) * 2;
  return wanted === 'fit' ? Math.min(1, room / own) : wanted;
}

function resize(wanted) {
  const svg = find('svg', canvas);
  if (!svg) return;
  zoom = wanted === 'fit' ? wanted : Math.min(6, Math.max(0.1, wanted));
  const scale = scaleOf(zoom, svg);
  svg.style.width = `${svg.viewBox.baseVal.width * 4 / 3 * scale}px`;
  svg.style.height = 'auto';
  find('#scale').textContent = `${Math.round(scale * 100)} %`;
}

// Zooms so that what is at a point of the canvas stays there.
function zoomAt(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const before = scaleOf(zoom, find('svg', canvas));
  const left = canvas.scrollLeft + x;
  const top = canvas.scrollTop + y;
  resize(before * factor);
  const grown = scaleOf(zoom, find('svg', canvas)) / before;
  canvas.scrollLeft = left * grown - x;
  canvas.scrollTop = top * grown - y;
}

// Scrolls the canvas, and nothing else, until a part of the picture is seen.
function reveal(part) {
  const own = part.getBoundingClientRect();
  const room = canvas.getBoundingClientRect();
  if (own.top < room.top || own.bottom > room.bottom) canvas.scrollTop += own.top - room.top - Math.max(20, (room.height - own.height) / 3);
  if (own.left < room.left || own.right > room.right) canvas.scrollLeft += own.left - room.left - Math.max(20, (room.width - own.width) / 2);
}

function setUpPan() {
  let from = null;
  canvas.addEventListener('pointerdown', (event) => {
    if (event.button === 0 && event.pointerType === 'mouse') from = [event.clientX, event.clientY, canvas.scrollLeft, canvas.scrollTop];
  });
  addEventListener('pointermove', (event) => {
    if (!from) return;
    const [dx, dy] = [event.clientX - from[0], event.clientY - from[1]];
    if (Math.abs(dx) + Math.abs(dy) > 4) canvas.classList.add('dragging');
    if (canvas.classList.contains('dragging')) canvas.scrollTo({ left: from[2] - dx, top: from[3] - dy, behavior: 'instant' });
  });
  addEventListener('pointerup', () => {
    from = null;
    setTimeout(() => canvas.classList.remove('dragging'));
  });
}

function setUpDiagram() {
  prepare(data.first);
  resize('fit');
  setUpPan();
  addEventListener('resize', () => zoom === 'fit' && resize('fit'));
  canvas.addEventListener('click', (event) => {
    if (canvas.classList.contains('dragging')) return;
    const part = event.target.closest('[data-key]');
    if (!part) return;
    const title = part.dataset.kind === 'box' || part.id.endsWith('-label') || event.target.closest('text, a');
    if (Number(part.dataset.target) >= 0 && title) toggle(part);
    else if (title) pick(rowsOf(part), part.dataset.name, 'diagram');
  });
  canvas.addEventListener('keydown', (event) => {
    const part = event.target.closest('[role="button"]');
    if (part && (event.key === 'Enter' || event.key === ' ')) toggle(part);
    else if (event.key === '+' || event.key === '=') zoomAt(1.25);
    else if (event.key === '-') zoomAt(0.8);
    else if (event.key === '0') resize('fit');
    else if (event.key === '1') resize(1);
    else return;
    event.preventDefault();
  });
  canvas.addEventListener('wheel', (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const room = canvas.getBoundingClientRect();
    zoomAt(Math.exp(-event.deltaY / 400), event.clientX - room.left, event.clientY - room.top);
  }, { passive: false });
  const actions = {
    shallower: () => byDepth(-1), deeper: () => byDepth(1), default: () => show(data.start),
    smaller: () => zoomAt(0.8), larger: () => zoomAt(1.25), fit: () => resize('fit'), actual: () => resize(1),
  };
  for (const [id, action] of Object.entries(actions)) find(`#${id}`).addEventListener('click', action);
  find('#wide')?.addEventListener('click', (event) => {
    const across = find('main').classList.toggle('across');
    event.currentTarget.setAttribute('aria-pressed', across);
    resize(zoom);
  });
}

// ------------------------------------------------------------------------------------------------- what belongs together
let lit = new Set();

function rowsOf(part) {
  const found = new Set();
  for (const run of part.dataset.rows.split(' ').filter(Boolean)) {
    const [first, last = first] = run.split('-').map(Number);
    for (let row = first; row <= last; row += 1) found.add(row);
  }
  return found;
}

// Lights the rows, the boxes that show them, their bars, and the lines on which they stand.
function light(rows, from) {
  lit = rows;
  all('.lit').forEach((part) => part.classList.remove('lit'));
  let first = null;
  for (const row of rows) {
    const line = find(`tr[data-n="${row}"]`);
    if (line) {
      line.classList.add('lit');
      first ??= line;
      const link = find('a', line);
      if (link) document.getElementById(link.hash.slice(1))?.classList.add('lit');
    }
    all(`.chart [data-n="${row}"]`).forEach((bar) => bar.classList.add('lit'));
  }
  const boxes = canvas ? all('[data-kind="box"][data-rows]', canvas).filter((box) => [...rowsOf(box)].some((row) => rows.has(row))) : [];
  boxes.forEach((box) => box.classList.add('lit'));
  if (from && from !== 'diagram' && boxes.length) reveal(boxes[0]);
  if (from && from !== 'table' && first) {
    const frame = first.closest('.scroll');
    frame.scrollTop = first.offsetTop - frame.clientHeight / 3;
  }
  return first;
}

// What was clicked: lights it everywhere, and says below the diagram what it is.
function pick(rows, name, from) {
  const first = light(rows, from);
  const told = find('#picked');
  if (!told || !rows.size) return;
  told.hidden = false;
  told.textContent = name;
  if (first) {
    const cells = first.cells;
    if (rows.size === 1) told.textContent = `${cells[1].textContent}: ${cells[2].textContent}, ${cells[3].textContent}`;
    for (const [text, hash] of [[rows.size === 1 ? 'row' : `${rows.size} rows`, '#layers'], ['source', find('a', first)?.hash]]) {
      if (!hash) continue;
      const link = document.createElement('a');
      link.href = hash;
      link.textContent = text;
      told.append(' · ', link);
    }
  }
  say(`${told.textContent} marked.`);
}

// ------------------------------------------------------------------------------------------------------------- table
function valueOf(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.v ?? cell.textContent;
  if (text === '') return -Infinity;
  const value = Number(text.replaceAll(',', '').replace('inf', 'Infinity'));
  return Number.isNaN(value) ? text : value;
}

function compare(a, b) {
  return typeof a === 'string' && typeof b === 'string' ? a.localeCompare(b, 'en', { numeric: true }) : a < b ? -1 : a > b ? 1 : 0;
}

// Ascending, descending, and then the order of the network again.
function sort(heading) {
  const now = heading.getAttribute('aria-sort');
  const next = now === 'ascending' ? 'descending' : now ? '' : 'ascending';
  all('th', table.tHead).forEach((other) => other.removeAttribute('aria-sort'));
  if (next) heading.setAttribute('aria-sort', next);
  const column = next ? heading.cellIndex : 0;
  const sign = next === 'descending' ? -1 : 1;
  const body = table.tBodies[0];
  const keys = new Map([...body.rows].map((row) => [row, [valueOf(row, column), Number(row.dataset.n)]]));
  body.append(...[...body.rows].sort((a, b) => {
    const [one, two] = [keys.get(a), keys.get(b)];
    return sign * compare(one[0], two[0]) || one[1] - two[1];
  }));
}

function filter() {
  if (!table) return;
  const text = find('#search').value.trim().toLowerCase();
  const families = new Set(all('[name="family"]:checked').map((box) => box.value));
  const folded = new Set();
  if (find('#unfolded')?.checked) {
    all('[data-kind="box"][aria-expanded]', canvas).forEach((box) => rowsOf(box).forEach((row) => folded.add(row)));
  }
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const words = `${row.cells[1].textContent} ${row.cells[2].textContent} ${row.cells[3].textContent}`.toLowerCase();
    row.hidden = !(words.includes(text) && families.has(row.dataset.f) && !folded.has(Number(row.dataset.n)));
    shown += !row.hidden;
  }
  find('#matches').textContent = `${shown} of ${table.tBodies[0].rows.length}`;
  rove(all('tbody tr:not([hidden])', table)[0]);
}

// One row at a time is on the way of the Tab key; the arrows go from row to row.
function rove(row) {
  all('tbody tr[tabindex="0"]', table).forEach((other) => {
    other.tabIndex = -1;
    all('a', other).forEach((link) => { link.tabIndex = -1; });
  });
  if (!row) return;
  row.tabIndex = 0;
  all('a', row).forEach((link) => { link.tabIndex = 0; });
}

function pickRow(row, from) {
  pick(new Set([Number(row.dataset.n)]), row.cells[1].textContent, from);
  all('[aria-current]', table).forEach((other) => other.removeAttribute('aria-current'));
  row.setAttribute('aria-current', 'true');
}

function setUpTable() {
  for (const heading of all('th', table.tHead)) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener('click', () => sort(heading));
  }
  all('tbody tr', table).forEach((row) => {
    row.tabIndex = -1;
    all('a', row).forEach((link) => { link.tabIndex = -1; });
  });
  table.tBodies[0].addEventListener('click', (event) => {
    const row = event.target.closest('tr');
    if (!row || String(getSelection()).length) return;
    rove(row);
    pickRow(row, 'table');
  });
  table.tBodies[0].addEventListener('keydown', (event) => {
    const row = event.target.closest('tr');
    if (event.target !== row) return;
    const rows = all('tbody tr:not([hidden])', table);
    const at = rows.indexOf(row);
    const places = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 };
    if (event.key === 'Enter' || event.key === ' ') pickRow(row, 'table');
    else if (event.key in places) {
      const next = rows[Math.min(rows.length - 1, Math.max(0, places[event.key]))];
      rove(next);
      next.focus();
    } else return;
    event.preventDefault();
  });
  find('.filters').addEventListener('submit', (event) => event.preventDefault());
  find('.filters').addEventListener('input', filter);
  find('#plots').addEventListener('click', (event) => {
    const bar = event.target.closest('[data-n]');
    const row = bar && find(`tr[data-n="${bar.dataset.n}"]`);
    if (row) pickRow(row, 'plot');
  });
  find('#source').addEventListener('click', (event) => {
    const line = event.target.closest('li');
    if (!line) return;
    const rows = all(`tbody a[href="#${CSS.escape(line.id)}"]`, table).map((link) => Number(link.closest('tr').dataset.n));
    if (rows.length) pick(new Set(rows), `line ${line.id.slice(1)}`, 'source');
  });
  filter();
}

setUpTheme();
if (table) setUpTable();
if (canvas) setUpDiagram();
