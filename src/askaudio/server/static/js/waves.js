// Waveforms: fetched when a row comes into sight, drawn on a canvas.

import { ask, clipUrl } from "./api.js";
import { $ } from "./dom.js";
import { on } from "./events.js";
import { player } from "./player.js";
import { view } from "./state.js";
import { isDark } from "./theme.js";

const peaksKept = new Map(); // address -> promise of peaks
const waiting = [];
let fetching = 0;

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) showWave(Number(entry.target.dataset.place));
}, { rootMargin: "300px" });

/** The stretch that a row shows: all of a clip, or of a long recording a minute around the match. */
function stretchOf(hit) {
  const length = hit.metadata.duration_s ?? hit.end_s;
  if (!(length > 120)) return [0, length];
  const middle = (hit.start_s + hit.end_s) / 2;
  const half = Math.max(30, (hit.end_s - hit.start_s) / 2 + 10);
  const from = Math.max(0, Math.min(middle - half, length - 2 * half));
  return [Math.floor(from), Math.ceil(Math.min(length, from + 2 * half))];
}

function peaksOf(hit) {
  const [from, to] = stretchOf(hit);
  const part = (hit.metadata.duration_s ?? 0) > 120 ? `&start_s=${from}&end_s=${to}` : "";
  const address = clipUrl(hit.clip_id, `/peaks?points=400${part}`);
  if (!peaksKept.has(address)) {
    if (peaksKept.size > 600) peaksKept.delete(peaksKept.keys().next().value);
    const peaks = new Promise((done, failed) => waiting.push({ address, done, failed }));
    peaks.catch(() => peaksKept.delete(address));
    peaksKept.set(address, peaks);
    fetchNext();
  }
  return peaksKept.get(address);
}

async function fetchNext() {
  if (fetching >= 4 || !waiting.length) return;
  fetching += 1;
  const { address, done, failed } = waiting.pop(); // the newest first: it is in sight
  try {
    done(await ask(address));
  } catch (error) {
    failed(error);
  } finally {
    fetching -= 1;
    fetchNext();
  }
}

const rowAt = (place) => $("results").children[place];

/** Watch the rows of a new list; those in sight get their waveform. */
export function watchWaves(rows) {
  watcher.disconnect();
  for (const row of rows) watcher.observe(row);
}

async function showWave(place) {
  const hit = view.hits[place];
  const wave = rowAt(place)?.querySelector(".wave");
  if (!hit || !wave || hit.peaks) return;
  try {
    hit.peaks = await peaksOf(hit);
    draw(place);
  } catch {
    wave.classList.add("none");
  }
}

function draw(place) {
  const hit = view.hits[place];
  const canvas = rowAt(place)?.querySelector("canvas");
  if (!hit?.peaks || !canvas?.clientWidth) return;
  const { low, high, start_s: from, end_s: to } = hit.peaks;
  const scale = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const style = getComputedStyle(canvas);
  const color = (name) => style.getPropertyValue(name);
  const loudest = Math.max(8, ...high, ...low.map((x) => -x));
  const gain = Math.min(127 / loudest, 5) / 127; // quiet sounds are drawn larger, silence is not
  const played = player.place === place ? player.now() : -1;
  const isMatch = (second) => hit.segments.some((spot) => second >= spot.start_s && second <= spot.end_s);
  const bars = Math.max(1, Math.floor((width + 1) / 3));
  const [idle, matching, done] = ["--wave", "--wave-match", "--accent"].map((name) => resolve(canvas, color(name)));
  for (let bar = 0; bar < bars; bar++) {
    const first = Math.floor((bar * low.length) / bars);
    const last = Math.max(first + 1, Math.floor(((bar + 1) * low.length) / bars));
    const top = Math.max(...high.slice(first, last)) * gain;
    const bottom = Math.min(...low.slice(first, last)) * gain;
    const second = from + ((bar + 0.5) / bars) * (to - from);
    pen.fillStyle = second <= played ? done : isMatch(second) ? matching : idle;
    const middle = height / 2;
    const y = middle - Math.max(top, 0.012) * (middle - 1);
    pen.fillRect(bar * 3, y, 2, Math.max(1.5, middle - Math.min(bottom, -0.012) * (middle - 1) - y));
  }
  if (played >= from && played <= to) {
    pen.fillStyle = done;
    pen.fillRect(((played - from) / (to - from)) * width - 0.75, 0, 1.5, height);
  }
}

/** The value of light-dark(a, b) for an element, since a canvas does not support that function. */
function resolve(element, value) {
  const pair = value.match(/light-dark\(\s*([^,]+),\s*([^)]+)\)/);
  if (!pair) return value.trim();
  return isDark() ? pair[2].trim() : pair[1].trim();
}

const drawAll = () => view.hits.forEach((_, place) => draw(place));

export function seekByPointer(event, place) {
  if (event.button !== 0) return;
  const hit = view.hits[place];
  const box = event.currentTarget.getBoundingClientRect();
  const [from, to] = hit.peaks ? [hit.peaks.start_s, hit.peaks.end_s] : stretchOf(hit);
  player.play(place, from + ((event.clientX - box.left) / box.width) * (to - from));
  view.focused = place;
}

let drawnAt = -1; // place of the row in which the position was drawn last

function drawPosition() {
  if (drawnAt >= 0 && drawnAt !== player.place) draw(drawnAt);
  drawnAt = player.place;
  draw(drawnAt);
}

on("time", drawPosition);
on("playing", drawPosition);
on("theme", drawAll);
new ResizeObserver(drawAll).observe($("results"));
