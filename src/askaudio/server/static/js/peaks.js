// Waveform and level of sounds, fetched a few at a time, the newest first.

import { ask, clipUrl } from "./api.js";

const MOST_WAITING = 60; // of a list that is scrolled quickly, only the last rows are fetched
const peaksKept = new Map(); // address -> promise of peaks
const waiting = [];
let fetching = 0;

/** The stretch that a row shows: all of a clip, or of a long recording a minute around the match. */
export function stretchOf(hit) {
  const length = hit.metadata.duration_s ?? hit.end_s;
  if (!(length > 120)) return [0, length];
  const middle = (hit.start_s + hit.end_s) / 2;
  const half = Math.max(30, (hit.end_s - hit.start_s) / 2 + 10);
  const from = Math.max(0, Math.min(middle - half, length - 2 * half));
  return [Math.floor(from), Math.ceil(Math.min(length, from + 2 * half))];
}

/** Waveform and level of a sound, fetched once. */
export function peaksOf(hit) {
  const [from, to] = stretchOf(hit);
  const part = (hit.metadata.duration_s ?? 0) > 120 ? `&start_s=${from}&end_s=${to}` : "";
  const address = clipUrl(hit.clip_id, `/peaks?points=400${part}`);
  if (!peaksKept.has(address)) {
    if (peaksKept.size > 600) peaksKept.delete(peaksKept.keys().next().value);
    const peaks = new Promise((done, failed) => waiting.push({ address, done, failed }));
    while (waiting.length > MOST_WAITING) waiting.shift().failed(new Error("scrolled away"));
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
