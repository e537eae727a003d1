// The panel with the waveform of one sound: curve of the match, ruler, whole file as a strip, and a stretch to choose.

import { addAction } from "./actions.js";
import { apiUrl, ask, clipUrl } from "./api.js";
import { element, say } from "./dom.js";
import { on } from "./events.js";
import { addKeys } from "./keys.js";
import { drawCurve, momentButton, momentsOf, playStretch } from "./moments.js";
import { addPanel, openPanel, openedPanel } from "./panels.js";
import { stretchOf } from "./peaks.js";
import { player } from "./player.js";
import { remember } from "./chips.js";
import { asksSomething, change, view } from "./state.js";
import { nameOf, preciseClock } from "./text.js";
import { resolveColor } from "./waves.js";

const STEP_S = 0.1;
const SHORTEST_S = 0.05;
const FIRST_S = 120; // seconds that are examined when the panel is opened
const MOST_S = 600; // and when all of a recording is to be examined
let parts = null; // the elements of the open panel
let shown = null; // {hit, length, from, to, peaks, strip, found, choice: [start, end] or null}

async function show(hit) {
  if (!parts) return;
  const length = hit?.metadata.duration_s ?? hit?.end_s ?? 0;
  shown = null;
  parts.tools.hidden = parts.view.hidden = !length;
  parts.name.textContent = hit ? nameOf(hit.path).filter(Boolean).join(".") : "Choose a sound in the list.";
  parts.list.replaceChildren();
  if (!length) return;
  const [from, to] = stretchOf(hit);
  const mine = (shown = { hit, length, from: Math.max(0, from), to: Math.min(length, to), peaks: null, strip: null, found: null, choice: null });
  showChoice();
  ask(clipUrl(hit.clip_id, "/peaks?points=300")).then((strip) => shown === mine && ((mine.strip = strip), draw())).catch(() => {});
  await Promise.all([loadPeaks(), loadMoments()]);
}

async function loadPeaks() {
  const mine = shown;
  const { from, to, hit } = mine;
  try {
    const peaks = await ask(clipUrl(hit.clip_id, `/peaks?points=800&start_s=${from.toFixed(2)}&end_s=${to.toFixed(2)}`));
    if (shown !== mine || mine.from !== from || mine.to !== to) return;
    mine.peaks = peaks;
    draw();
  } catch (error) {
    say(error.message);
  }
}

async function loadMoments(longest = FIRST_S) {
  const mine = shown;
  if (!asksSomething()) return;
  parts.list.replaceChildren(element("li", { className: "quiet", textContent: "Looking for moments …" }));
  try {
    const found = await momentsOf(mine.hit, longest);
    if (shown !== mine) return;
    mine.found = found;
    const best = found.moments[0];
    if (best && !mine.choice) choose(best.start_s, best.end_s);
    showList(longest);
    draw();
  } catch (error) {
    if (shown === mine) parts.list.replaceChildren(element("li", { className: "quiet", textContent: error.message }));
  }
}

function showList(longest) {
  const { found, hit, length } = shown;
  const rows = [...found.moments].sort((a, b) => a.start_s - b.start_s).map((moment) => {
    const button = momentButton(hit, moment);
    button.addEventListener("click", () => choose(moment.start_s, moment.end_s, true));
    return element("li", {}, button);
  });
  if (!rows.length) rows.push(element("li", { className: "quiet", textContent: found.reason || "No moment stands out." }));
  const seconds = found.examined.reduce((sum, [start, end]) => sum + end - start, 0);
  if (seconds < length - 1 && longest < MOST_S) {
    const all = Math.min(MOST_S, Math.ceil(length));
    rows.push(element("li", {}, element("button", { type: "button", className: "button", textContent: "Look in the whole recording", onclick: () => loadMoments(all) })));
  }
  parts.list.replaceChildren(...rows);
}

// --- the stretch ---------------------------------------------------------------------------------------------------

function choose(start, end, reveal = false) {
  const { length } = shown;
  const first = Math.max(0, Math.min(start, end, length - SHORTEST_S));
  const last = Math.min(length, Math.max(start, end, first + SHORTEST_S));
  shown.choice = [first, last];
  if (reveal && (first < shown.from || last > shown.to)) look((first + last) / 2, Math.max(shown.to - shown.from, (last - first) * 1.5));
  showChoice();
  draw();
}

function showChoice() {
  const { hit, choice } = shown;
  for (const control of [parts.play, parts.like, parts.start, parts.end]) control.disabled = !choice;
  parts.save.hidden = !choice;
  parts.start.value = choice ? choice[0].toFixed(2) : "";
  parts.end.value = choice ? choice[1].toFixed(2) : "";
  parts.text.textContent = choice ? `${preciseClock(choice[0])} to ${preciseClock(choice[1])}, ${(choice[1] - choice[0]).toFixed(2)} s` : "Drag over the waveform to choose a stretch.";
  parts.view.setAttribute("aria-valuetext", parts.text.textContent);
  if (!choice) return;
  parts.save.href = apiUrl(clipUrl(hit.clip_id, `/audio?start_s=${choice[0].toFixed(3)}&end_s=${choice[1].toFixed(3)}&download=true`));
}

const play = () => shown?.choice && playStretch(shown.hit, { start_s: shown.choice[0], end_s: shown.choice[1] });

function useAsQuery() {
  const { hit, choice } = shown;
  remember(hit);
  view.focused = 0;
  change({ q: "", sound: "", like: [`${hit.clip_id}@${choice[0].toFixed(2)}-${choice[1].toFixed(2)}`], unlike: [] });
}

function dragOut(event) {
  const { hit, choice } = shown;
  const name = `${nameOf(hit.path)[0]} ${choice[0].toFixed(2)}-${choice[1].toFixed(2)} s.wav`;
  event.dataTransfer.setData("DownloadURL", `audio/wav:${name}:${new URL(parts.save.href, location.href)}`);
  event.dataTransfer.setData("text/uri-list", parts.save.href);
  event.dataTransfer.effectAllowed = "copy";
}

/** Show another part of the recording. */
function look(middle, width) {
  const { length } = shown;
  const wide = Math.max(0.5, Math.min(length, width));
  shown.from = Math.max(0, Math.min(middle - wide / 2, length - wide));
  shown.to = shown.from + wide;
  shown.peaks = null;
  draw();
  loadPeaks();
}

const zoom = (factor) => shown && look(shown.choice ? (shown.choice[0] + shown.choice[1]) / 2 : (shown.from + shown.to) / 2, (shown.to - shown.from) * factor);

// --- drawing -------------------------------------------------------------------------------------------------------

function ready(canvas) {
  const scale = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  return [pen, width, height];
}

function drawWave(pen, width, height, peaks, color) {
  if (!peaks) return;
  const loudest = Math.max(8, ...peaks.high, ...peaks.low.map((x) => -x));
  const gain = Math.min(127 / loudest, 5) / 127;
  const middle = height / 2;
  pen.fillStyle = color;
  for (let x = 0; x < width; x++) {
    const first = Math.floor((x * peaks.low.length) / width);
    const last = Math.max(first + 1, Math.floor(((x + 1) * peaks.low.length) / width));
    const top = Math.max(...peaks.high.slice(first, last)) * gain * (middle - 1);
    const bottom = Math.min(...peaks.low.slice(first, last)) * gain * (middle - 1);
    pen.fillRect(x, middle - top, 1, Math.max(1, top - bottom));
  }
}

function draw() {
  if (!parts || !shown) return;
  const { from, to, length, choice, found } = shown;
  const [pen, width, height] = ready(parts.wave);
  const x = (second) => ((second - from) / (to - from)) * width;
  if (choice) {
    pen.fillStyle = resolveColor(parts.wave, "--tint");
    pen.fillRect(x(choice[0]), 0, Math.max(1, x(choice[1]) - x(choice[0])), height);
  }
  drawWave(pen, width, height, shown.peaks, resolveColor(parts.wave, "--wave"));
  const line = resolveColor(parts.wave, "--accent");
  pen.fillStyle = line;
  if (choice) for (const edge of choice) pen.fillRect(x(edge) - 0.5, 0, 1, height);
  if (player.hit?.clip_id === shown.hit.clip_id) pen.fillRect(x(player.now()) - 0.75, 0, 1.5, height);
  drawCurve(parts.curve, found, [from, to]);
  drawRuler(from, to);
  drawStrip(length, from, to, found);
}

function drawRuler(from, to) {
  const [pen, width] = ready(parts.ruler);
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600].find((s) => ((to - from) / s) * 56 <= width) ?? 7200;
  pen.fillStyle = resolveColor(parts.ruler, "--soft");
  pen.font = "11px system-ui, sans-serif";
  for (let second = Math.ceil(from / step) * step; second <= to; second += step) {
    const x = ((second - from) / (to - from)) * width;
    pen.fillRect(x, 0, 1, 4);
    pen.fillText(step < 1 ? preciseClock(second) : preciseClock(second).replace(/\.\d$/, ""), x + 3, 12);
  }
}

function drawStrip(length, from, to, found) {
  const [pen, width, height] = ready(parts.strip);
  const x = (second) => (second / length) * width;
  pen.fillStyle = resolveColor(parts.strip, "--tint");
  pen.fillRect(x(from), 0, Math.max(2, x(to) - x(from)), height);
  drawWave(pen, width, height, shown.strip, resolveColor(parts.strip, "--wave"));
  pen.fillStyle = resolveColor(parts.strip, "--accent");
  for (const moment of found?.moments ?? []) pen.fillRect(x(moment.start_s), height - 4, Math.max(2, x(moment.end_s) - x(moment.start_s)), 4);
}

// --- mouse and keys ------------------------------------------------------------------------------------------------

function secondAt(event) {
  const box = parts.wave.getBoundingClientRect();
  return shown.from + (Math.min(1, Math.max(0, (event.clientX - box.left) / box.width))) * (shown.to - shown.from);
}

function startChoice(event) {
  if (event.button !== 0 || !shown) return;
  event.preventDefault();
  parts.view.focus({ preventScroll: true });
  parts.view.setPointerCapture(event.pointerId);
  const begin = secondAt(event);
  const edge = event.shiftKey && shown.choice ? shown.choice[Math.abs(begin - shown.choice[0]) < Math.abs(begin - shown.choice[1]) ? 1 : 0] : begin;
  let moved = event.shiftKey;
  parts.view.onpointermove = (move) => {
    moved ||= Math.abs(move.clientX - event.clientX) > 3;
    if (moved) choose(edge, secondAt(move));
  };
  parts.view.onpointerup = () => {
    parts.view.onpointermove = parts.view.onpointerup = null;
    if (moved && event.shiftKey) choose(edge, begin);
    if (!moved) player.playHit(shown.hit, begin); // a click plays from there
  };
}

function moveByStrip(event) {
  if (event.button !== 0 || !shown) return;
  const box = parts.strip.getBoundingClientRect();
  look(((event.clientX - box.left) / box.width) * shown.length, shown.to - shown.from);
}

function key(event) {
  if (!shown) return;
  const by = { ArrowLeft: -STEP_S, ArrowRight: STEP_S }[event.key];
  const [start, end] = shown.choice ?? [shown.from, Math.min(shown.to, shown.from + 1)];
  if (by && event.shiftKey) choose(start, Math.max(start + SHORTEST_S, end + by), true);
  else if (by) choose(start + by, end + by, true);
  else if (event.key === "+") zoom(0.5);
  else if (event.key === "-") zoom(2);
  else if (event.key === " " || event.key === "Enter") player.isPlaying() ? player.pause() : play();
  else return;
  event.preventDefault();
  event.stopPropagation();
}

function build(body) {
  const button = (text, run) => element("button", { type: "button", className: "button", textContent: text, onclick: run });
  const time = (label, place) => {
    const input = element("input", { type: "number", step: STEP_S, min: 0 });
    input.setAttribute("aria-label", label);
    input.onchange = () => shown?.choice && choose(...shown.choice.with(place, Number(input.value)), true);
    return input;
  };
  const canvas = (className) => {
    const made = element("canvas", { className });
    made.setAttribute("aria-hidden", "true");
    return made;
  };
  parts = {
    name: element("h3"), text: element("p", { className: "quiet" }), list: element("ol", { className: "spots moments-list" }),
    wave: canvas("stretch-wave"), curve: canvas("curve"), ruler: canvas("stretch-ruler"), strip: canvas("stretch-strip"),
    play: button("Play the stretch", play), like: button("Search by it", useAsQuery),
    save: element("a", { className: "button", textContent: "Download WAV", download: "", draggable: true, ondragstart: dragOut, title: "Or drag it into another program" }),
    start: time("Start in seconds", 0), end: time("End in seconds", 1),
  };
  parts.view = element("div", { className: "stretch-view", tabIndex: 0, onpointerdown: startChoice, onkeydown: key }, parts.wave, parts.curve);
  for (const [name, value] of [["role", "slider"], ["aria-label", "Stretch of the sound"], ["aria-valuenow", "0"]]) parts.view.setAttribute(name, value);
  parts.strip.onpointerdown = moveByStrip;
  parts.tools = element("div", { className: "stretch-tools" },
    element("p", { className: "stretch-times" }, parts.start, "–", parts.end, " s", button("+", () => zoom(0.5)), button("−", () => zoom(2))),
    element("p", { className: "buttons" }, parts.play, parts.like, parts.save));
  parts.tools.querySelectorAll(".stretch-times button").forEach((one, n) => one.setAttribute("aria-label", ["Zoom in", "Zoom out"][n]));
  body.append(parts.name, parts.view, parts.ruler, parts.strip, parts.text, parts.tools, element("h4", { textContent: "Moments" }), parts.list);
  new ResizeObserver(draw).observe(parts.view);
}

let wanted = null; // the hit for which the panel is opened

export function openStretch(hit) {
  wanted = hit;
  if (openedPanel() === "stretch") return show(hit);
  return openPanel("stretch");
}

addPanel({
  id: "stretch",
  title: "Moments",
  styles: "css/stretch.css",
  show: (body) => (build(body), show(wanted ?? view.hits[view.focused] ?? view.hits[0])),
  hide: () => (parts = shown = wanted = null),
});
addAction({ label: "Moments and stretches", when: (hits) => hits.length === 1, run: ([hit]) => openStretch(hit) });
addKeys({ w: () => view.hits[view.focused] && openStretch(view.hits[view.focused]) });
on("focus", (hit) => openedPanel() === "stretch" && hit && hit !== shown?.hit && show(hit));
on("hits", () => openedPanel() === "stretch" && view.hits[0] && show(view.hits[0]));
on("time", draw);
on("theme", draw);
