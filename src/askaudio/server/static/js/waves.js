// Waveforms: shown when a row comes into sight, drawn on a canvas.

import { peaksOf, stretchOf } from "./peaks.js";
import { player } from "./player.js";
import { view } from "./state.js";
import { isDark } from "./theme.js";

const rowAt = (place) => document.querySelector(`#results > li[data-place="${place}"]`);

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) showWave(Number(entry.target.dataset.place));
}, { rootMargin: "200px" });

/** Fetch and draw the waveform of a row when it comes into sight. */
export const watchWave = (row) => watcher.observe(row);

async function showWave(place) {
  const hit = view.hits[place];
  const wave = rowAt(place)?.querySelector(".wave");
  if (!hit || !wave) return;
  try {
    hit.peaks ??= await peaksOf(hit);
    draw(place);
  } catch {
    wave.classList.add("none");
  }
}

export function draw(place) {
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
  const loudest = Math.max(8, ...high, ...low.map((x) => -x));
  const gain = Math.min(127 / loudest, 5) / 127; // quiet sounds are drawn larger, silence is not
  const played = player.place === place ? player.now() : -1;
  const isMatch = (second) => hit.segments.some((spot) => second >= spot.start_s && second <= spot.end_s);
  const bars = Math.max(1, Math.floor((width + 1) / 3));
  const [idle, matching, done] = ["--wave", "--wave-match", "--accent"].map((name) => resolveColor(canvas, name));
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

/** A color of page.css by its name; the value of light-dark(a, b), since a canvas does not support that function. */
export function resolveColor(element, name) {
  const value = getComputedStyle(element).getPropertyValue(name);
  const pair = value.match(/light-dark\(\s*([^,]+),\s*([^)]+)\)/);
  if (!pair) return value.trim();
  return isDark() ? pair[2].trim() : pair[1].trim();
}

/** Draw all waveforms in sight. */
export const drawAll = () => document.querySelectorAll("#results > li").forEach((li) => draw(Number(li.dataset.place)));

export function seekByPointer(event, place) {
  if (event.button !== 0) return;
  const hit = view.hits[place];
  const box = event.currentTarget.getBoundingClientRect();
  const [from, to] = hit.peaks ? [hit.peaks.start_s, hit.peaks.end_s] : stretchOf(hit);
  player.play(place, from + ((event.clientX - box.left) / box.width) * (to - from));
  view.focused = place;
}
