// The map of the collection: a point for each sound. Zoom by wheel or keys, move by dragging; hovering plays.
//
// Points are written into the pixels of a canvas: 100,000 of them take 2 ms a frame. A grid of buckets finds the point
// under the pointer. The list beside the map has the same regions and sounds for the keyboard and for screen readers.

import { API, ask, clipUrl } from "./api.js";
import { element, reduced, say } from "./dom.js";
import { on } from "./events.js";
import { addPanel, closePanel } from "./panels.js";
import { moreLike } from "./results.js";
import { lengthText, nameOf, soundsText } from "./text.js";

const SIDE = 65536; // places are integers below
const GRID = 256; // buckets a side
const HOVER_MS = 120; // the pointer rests this long before a sound plays
const LISTED = 40;

let map = null; // {version, x, y, labels}
let buckets = null; // {start, rows}: rows of bucket b are rows[start[b]..start[b + 1])
let parts = {};
let look = { x: 0.5, y: 0.5, zoom: 1 }; // middle in 0..1
let over = -1; // row under the pointer
let resting = 0;
let frame = 0;
const clips = new Map(); // row -> clip
const sound = new Audio();
sound.preload = "auto";

addPanel({ id: "map", title: "Map", show, hide, styles: "css/map.css" });

async function show(body) {
  document.body.classList.add("with-map");
  const canvas = element("canvas", { tabIndex: 0 });
  canvas.setAttribute("role", "img");
  const tip = element("p", { className: "tip", hidden: true });
  const marks = element("div", { className: "marks" });
  marks.setAttribute("aria-hidden", "true");
  const list = element("div", { className: "regions" });
  parts = { canvas, tip, marks, list, box: element("div", { className: "map" }, canvas, marks, tip) };
  const zoom = (by, label, text) => {
    const button = element("button", { type: "button", className: "button", textContent: text, onclick: () => zoomBy(by) });
    button.setAttribute("aria-label", label);
    return button;
  };
  const hover = element("input", { type: "checkbox", checked: localStorage.getItem("map-hover") !== "off" });
  hover.onchange = () => localStorage.setItem("map-hover", hover.checked ? "on" : "off");
  parts.hover = hover;
  const tools = element("p", { className: "tools" }, zoom(1.6, "Zoom in", "+"), zoom(1 / 1.6, "Zoom out", "\u2212"), element("label", {}, hover, " Play on hover"));
  body.append(parts.box, tools, list);
  say("Making the map");
  try {
    const found = await ask("map");
    if (map?.version !== found.version) clips.clear();
    map = { ...found, x: Uint16Array.from(found.x), y: Uint16Array.from(found.y) };
  } catch (error) {
    return body.replaceChildren(element("p", { className: "wrong", textContent: error.message }));
  }
  say("");
  if (!map.x.length) return body.replaceChildren(element("p", { textContent: "This collection holds no sounds yet." }));
  fillBuckets();
  canvas.setAttribute("aria-label", `Map of ${soundsText(map.x.length)}. The list below has the same regions.`);
  listen(canvas);
  parts.size = new ResizeObserver(draw);
  parts.size.observe(parts.box);
  showRegions();
  draw();
}

function hide() {
  document.body.classList.remove("with-map");
  parts.size?.disconnect();
  clearTimeout(resting);
  sound.pause();
  parts = {};
}

// --- points ------------------------------------------------------------------------------------------------------

function fillBuckets() {
  const count = map.x.length;
  const bucketOf = (row) => ((map.y[row] * GRID) >> 16) * GRID + ((map.x[row] * GRID) >> 16);
  const start = new Uint32Array(GRID * GRID + 1);
  for (let row = 0; row < count; row++) start[bucketOf(row) + 1]++;
  for (let b = 0; b < GRID * GRID; b++) start[b + 1] += start[b];
  const next = start.slice();
  const rows = new Uint32Array(count);
  for (let row = 0; row < count; row++) rows[next[bucketOf(row)]++] = row;
  buckets = { start, rows };
}

/** The row nearest to a place (0..1) within a distance; -1 if there is none. */
function nearest(x, y, within) {
  const clamp = (v) => Math.max(0, Math.min(GRID - 1, Math.floor(v * GRID)));
  let best = -1;
  let least = within * within;
  for (let by = clamp(y - within); by <= clamp(y + within); by++) {
    for (let bx = clamp(x - within); bx <= clamp(x + within); bx++) {
      for (let k = buckets.start[by * GRID + bx]; k < buckets.start[by * GRID + bx + 1]; k++) {
        const row = buckets.rows[k];
        const away = (map.x[row] / SIDE - x) ** 2 + (map.y[row] / SIDE - y) ** 2;
        if (away < least) [least, best] = [away, row];
      }
    }
  }
  return best;
}

const scale = () => Math.min(parts.canvas.width, parts.canvas.height) * look.zoom;
const toMap = (px, py) => [look.x + (px - parts.canvas.width / 2) / scale(), look.y + (py - parts.canvas.height / 2) / scale()];
const toPixel = (x, y) => [(x - look.x) * scale() + parts.canvas.width / 2, (y - look.y) * scale() + parts.canvas.height / 2];

function draw() {
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(paint);
}

function paint() {
  if (!parts.canvas || !map) return;
  const { canvas, box } = parts;
  const ratio = devicePixelRatio || 1;
  const [width, height] = [Math.max(1, Math.round(box.clientWidth * ratio)), Math.max(1, Math.round(box.clientHeight * ratio))];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  if (parts.image?.width !== width || parts.image?.height !== height) {
    parts.image = context.createImageData(width, height);
    parts.pixels = new Uint32Array(parts.image.data.buffer);
  }
  const { pixels } = parts;
  pixels.fill(0);
  const color = colorOf(getComputedStyle(box).color);
  const unit = scale();
  const [left, top] = [width / 2 - look.x * unit, height / 2 - look.y * unit];
  const size = Math.max(2, Math.round(ratio * Math.min(6, 1.5 * Math.sqrt(look.zoom) + 1500 / (map.x.length + 500))));
  const factor = unit / SIDE;
  for (let row = 0; row < map.x.length; row++) {
    const px = (map.x[row] * factor + left) | 0;
    const py = (map.y[row] * factor + top) | 0;
    if (px < 0 || py < 0 || px + size > width || py + size > height) continue;
    for (let y = py * width + px, end = y + size * width; y < end; y += width) {
      for (let k = y; k < y + size; k++) pixels[k] = color; // fill() takes twenty times as long for so few
    }
  }
  context.putImageData(parts.image, 0, 0);
  if (over >= 0) {
    const [x, y] = toPixel(map.x[over] / SIDE, map.y[over] / SIDE);
    context.strokeStyle = getComputedStyle(document.body).color;
    context.lineWidth = 2 * ratio;
    context.beginPath();
    context.arc(x + size / 2, y + size / 2, size + 4 * ratio, 0, 7);
    context.stroke();
  }
  placeMarks(ratio);
}

/** "rgb(1, 2, 3)" as a pixel. */
function colorOf(text) {
  const [r, g, b] = text.match(/[\d.]+/g).map(Number);
  return (220 << 24) | (b << 16) | (g << 8) | r;
}

function placeMarks(ratio) {
  const made = map.labels.map(({ text, x, y }) => {
    const [px, py] = toPixel(x / SIDE, y / SIDE);
    const mark = element("span", { textContent: text });
    mark.style.transform = `translate(-50%, -140%) translate(${px / ratio}px, ${py / ratio}px)`;
    return mark;
  });
  parts.marks.replaceChildren(...made);
}

// --- pointer and keys --------------------------------------------------------------------------------------------

function listen(canvas) {
  let from = null; // of a drag
  let moved = false;
  const at = (event) => {
    const bounds = canvas.getBoundingClientRect();
    const ratio = canvas.width / bounds.width;
    return [(event.clientX - bounds.left) * ratio, (event.clientY - bounds.top) * ratio];
  };
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomBy(Math.exp(-event.deltaY / (event.deltaMode ? 20 : 400)), ...at(event));
  }, { passive: false });
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    from = at(event);
    moved = false;
  };
  canvas.onpointermove = (event) => {
    const [px, py] = at(event);
    if (from) {
      if (Math.hypot(px - from[0], py - from[1]) > 4) moved = true;
      look.x -= (px - from[0]) / scale();
      look.y -= (py - from[1]) / scale();
      from = [px, py];
      return draw();
    }
    point(nearest(...toMap(px, py), 14 / scale() * (devicePixelRatio || 1)));
  };
  canvas.onpointerup = (event) => {
    from = null;
    if (moved) return;
    point(nearest(...toMap(...at(event)), 20 / scale() * (devicePixelRatio || 1)));
    if (over >= 0) listAround(over);
  };
  canvas.onpointerleave = () => from || point(-1);
  canvas.onkeydown = (event) => {
    const step = 0.15 / look.zoom;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (moves) [look.x, look.y] = [look.x + moves[0], look.y + moves[1]];
    else if (event.key === "+" || event.key === "=") zoomBy(1.6);
    else if (event.key === "-") zoomBy(1 / 1.6);
    else if (event.key === "0") look = { x: 0.5, y: 0.5, zoom: 1 };
    else if (event.key === "Enter") listAround(nearest(look.x, look.y, 1));
    else return;
    event.preventDefault();
    event.stopPropagation();
    draw();
  };
}

function zoomBy(factor, px = parts.canvas.width / 2, py = parts.canvas.height / 2) {
  const [x, y] = toMap(px, py);
  look.zoom = Math.max(0.8, Math.min(400, look.zoom * factor));
  const [nx, ny] = toMap(px, py);
  look.x += x - nx;
  look.y += y - ny;
  draw();
}

function point(row) {
  if (row === over) return;
  over = row;
  clearTimeout(resting);
  parts.tip.hidden = row < 0;
  parts.canvas.style.cursor = row < 0 ? "grab" : "pointer";
  draw();
  if (row < 0) return sound.pause();
  parts.tip.textContent = "";
  resting = setTimeout(() => rest(row), HOVER_MS);
}

async function rest(row) {
  const [clip] = await clipsOf([row]);
  if (!clip || over !== row || !parts.tip) return;
  parts.tip.textContent = [nameOf(clip.path)[0], lengthText(clip.metadata.duration_s ?? 0)].join(" · ");
  if (parts.hover.checked) hear(clip);
}

function hear(clip) {
  sound.src = API + clipUrl(clip.clip_id, "/audio?as=wav");
  sound.volume = Number(document.getElementById("volume")?.value ?? 1);
  sound.play().catch(() => {}); // browsers refuse before the first click on a page
}

async function clipsOf(rows) {
  const unknown = rows.filter((row) => !clips.has(row));
  if (unknown.length) {
    const found = await ask(`map/clips?${new URLSearchParams(unknown.map((row) => ["row", row]))}`).catch(() => []);
    if (found.length === unknown.length) unknown.forEach((row, n) => clips.set(row, found[n]));
  }
  return rows.map((row) => clips.get(row)).filter(Boolean);
}

// --- the list ----------------------------------------------------------------------------------------------------

function showRegions() {
  const buttons = map.labels.map(({ text, x, y, rows }) => {
    const button = element("button", { type: "button", textContent: text });
    button.onclick = () => {
      look = { x: x / SIDE, y: y / SIDE, zoom: Math.max(look.zoom, 3) };
      draw();
      showList(text, rows.slice(0, LISTED));
    };
    return element("li", {}, button);
  });
  parts.sounds = element("div", { className: "sounds" });
  parts.list.replaceChildren(element("h3", { textContent: "Regions" }), element("ul", {}, ...buttons), parts.sounds);
}

function listAround(row) {
  if (row < 0) return;
  const [x, y] = [map.x[row], map.y[row]];
  const away = (other) => (map.x[other] - x) ** 2 + (map.y[other] - y) ** 2;
  const near = [...map.x.keys()].filter((other) => Math.abs(map.x[other] - x) < 6000 && Math.abs(map.y[other] - y) < 6000);
  showList("Around this sound", near.sort((a, b) => away(a) - away(b)).slice(0, LISTED));
}

async function showList(title, rows) {
  const found = await clipsOf(rows);
  if (!parts.sounds) return;
  const items = found.map((clip) => {
    const name = nameOf(clip.path)[0];
    const play = element("button", { type: "button", textContent: name, title: clip.path });
    play.setAttribute("aria-label", `Play ${name}`);
    play.onclick = () => hear(clip);
    const more = element("button", { type: "button", className: "more", textContent: "More like this" });
    more.onclick = () => (closePanel(), moreLike(clip));
    return element("li", {}, play, more);
  });
  const heading = element("h3", { textContent: title, tabIndex: -1 });
  parts.sounds.replaceChildren(heading, element("ul", {}, ...items));
  heading.focus({ preventScroll: true });
  heading.scrollIntoView({ block: "nearest", behavior: reduced.matches ? "auto" : "smooth" });
}

on("theme", draw);
