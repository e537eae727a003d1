// Moments of hits: fetched after the list is shown, for rows in sight; their curve over the waveform; played by keys.

import { ask } from "./api.js";
import { $, element, say } from "./dom.js";
import { on } from "./events.js";
import { addKeys } from "./keys.js";
import { stretchOf } from "./peaks.js";
import { player } from "./player.js";
import { asksSomething, sounds, splitWords, state, view } from "./state.js";
import { preciseClock } from "./text.js";
import { resolveColor } from "./waves.js";

const ROWS = 10; // rows from the top whose moments are fetched without a request of the user
const kept = new Map(); // key of query, clip and length -> promise of moments
const waiting = [];
let fetching = 0;
let stretch = null; // what is played: {hit, start_s, end_s}

/** Moments of a hit for the query of the page: {moments, curve, examined}. */
export function momentsOf(hit, longest = 14) {
  const { words } = splitWords(state.q);
  const key = JSON.stringify([words, state.like, state.sound, state.collection, hit.clip_id, longest]);
  if (!kept.has(key)) {
    if (kept.size > 300) kept.delete(kept.keys().next().value);
    const found = new Promise((done, failed) => waiting.push({ request: request(words, hit, longest), done, failed }));
    found.catch(() => kept.delete(key));
    kept.set(key, found);
    fetchNext();
  }
  return kept.get(key);
}

function request(words, hit, longest) {
  const fields = [["clip_id", hit.clip_id], ["longest_s", longest], ...state.like.map((id) => ["like", id])];
  if (words) fields.push(["q", words]);
  if (!state.sound) return ["moments?" + new URLSearchParams(fields), {}];
  const body = new FormData();
  for (const [name, value] of fields) body.append(name, value);
  body.append("sound", sounds.get(state.sound));
  return ["moments/audio", { method: "POST", body }];
}

/** One request at a time: the list and its waveforms come first. */
async function fetchNext() {
  if (fetching || !waiting.length) return;
  fetching = 1;
  const { request, done, failed } = waiting.shift();
  try {
    done((await ask(...request)).clips[0]);
  } catch (error) {
    failed(error);
  } finally {
    fetching = 0;
    fetchNext();
  }
}

on("hits", () => {
  for (const { failed } of waiting.splice(0)) failed(new Error("another list")); // rows of a list that is gone
});
on("row", async ({ li, hit, place }) => {
  if (place >= ROWS || hit.takeOf || !asksSomething()) return;
  try {
    hit.found = await momentsOf(hit);
  } catch {
    return; // the row stays as it is
  }
  if (li.isConnected) showInRow(li, hit);
});

function showInRow(li, hit) {
  const canvas = element("canvas", { className: "curve" });
  canvas.setAttribute("aria-hidden", "true");
  li.querySelector(".wave").append(canvas);
  drawCurve(canvas, hit.found, hit.peaks ? [hit.peaks.start_s, hit.peaks.end_s] : stretchOf(hit));
  const spots = li.querySelector(".spots");
  const inOrder = hit.found.moments.slice(0, 3).sort((a, b) => a.start_s - b.start_s);
  if (!inOrder.length) return;
  spots.replaceChildren(...inOrder.map((moment) => momentButton(hit, moment)));
}

export function momentButton(hit, moment) {
  const text = `${preciseClock(moment.start_s)}–${preciseClock(moment.end_s)}`;
  const button = element("button", { type: "button", textContent: text, onclick: () => playStretch(hit, moment) });
  button.setAttribute("aria-label", `Play the moment ${text}`);
  return button;
}

/** Draw the curve of the match, and a bar below each moment, between two times. */
export function drawCurve(canvas, found, [from, to]) {
  const scale = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width || !found) return;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const x = (second) => ((second - from) / (to - from)) * width;
  pen.strokeStyle = pen.fillStyle = resolveColor(canvas, "--accent");
  const { times_s: times, scores } = found.curve;
  const [low, high] = [Math.min(...scores), Math.max(...scores, Math.min(...scores) + 0.1)];
  pen.lineWidth = 1.5;
  pen.beginPath();
  times.forEach((second, n) => {
    const y = height - 4 - ((scores[n] - low) / (high - low)) * (height - 8);
    if (n === 0 || second - times[n - 1] > 2) pen.moveTo(x(second), y); // a new stretch of the recording
    else pen.lineTo(x(second), y);
  });
  pen.stroke();
  for (const moment of found.moments) pen.fillRect(x(moment.start_s), height - 3, Math.max(2, x(moment.end_s) - x(moment.start_s)), 3);
}

/** Play a stretch and stop at its end; with the loop switched on, play it again and again. */
export function playStretch(hit, { start_s, end_s }) {
  player.playHit(hit, start_s);
  stretch = { hit, start_s, end_s };
  seen = null;
}

let seen = null; // position of the player at the last look, and when that was; null until it has reached the stretch
const loops = () => $("loop").getAttribute("aria-pressed") === "true";

function watchEnd() {
  if (!stretch) return;
  const [now, ms] = [player.now(), performance.now()];
  if (player.hit !== stretch.hit) return (stretch = null);
  seen ??= now >= stretch.start_s - 0.3 ? { at: stretch.start_s, ms } : null; // a new file begins at 0
  if (!seen) return;
  const most = ((ms - seen.ms) / 1000) * Math.max(1, $("audio").playbackRate) + 0.5; // what playing alone can explain
  const jumped = now < Math.min(seen.at, stretch.start_s) - 0.3 || now - seen.at > most;
  seen = { at: now, ms };
  if (jumped) return (stretch = null); // somebody went elsewhere
  if (now < stretch.end_s || !(player.isPlaying() || $("audio").ended)) return;
  if (loops()) return playStretch(stretch.hit, stretch);
  stretch = null;
  if (player.isPlaying()) player.pause();
}

on("time", watchEnd);
$("audio").addEventListener("timeupdate", watchEnd); // in a tab in the background nothing is drawn

/** Play the next moment of the current sound, or the one before. */
async function step(by) {
  const hit = view.hits[view.focused] ?? player.hit ?? view.hits[0];
  if (!hit || !asksSomething()) return say("Moments need a query.");
  try {
    hit.found ??= await momentsOf(hit);
  } catch (error) {
    return say(error.message);
  }
  const inOrder = [...hit.found.moments].sort((a, b) => a.start_s - b.start_s);
  if (!inOrder.length) return say(hit.found.reason || "No moment stands out in this sound.");
  const now = player.hit === hit ? (stretch?.start_s ?? player.now()) : -1;
  const ahead = by > 0 ? inOrder.find((m) => m.start_s > now + 0.05) : inOrder.findLast((m) => m.start_s < now - 0.05);
  const moment = ahead ?? inOrder.at(by > 0 ? 0 : -1);
  playStretch(hit, moment);
  say(`Moment ${inOrder.indexOf(moment) + 1} of ${inOrder.length}, at ${preciseClock(moment.start_s)}`);
}

addKeys({ "]": () => step(1), "[": () => step(-1) });
