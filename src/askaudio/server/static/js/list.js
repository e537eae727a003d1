// The list: hits that are loaded, at their places, and how the others are fetched when they come into sight.

import { emit } from "./events.js";
import { view } from "./state.js";

const CHUNK = 60; // hits of one request
let load = null; // (offset, limit, signal) -> {hits, total} of the server's list
let left = 0; // hits at the head of the server's list that are not shown
let takes = []; // places of rows that were unfolded
let loading = new Set(); // offsets in flight
let stop = new AbortController();

/**
 * Show another list.
 *
 * hits: its first ones. total: length of the server's list. more: fetches the others; null if there are none.
 * omitted: how many of the server's first hits are not among `hits`; below zero if `hits` has more.
 */
export function setList(hits, total = hits.length, more = null, omitted = 0) {
  stop.abort();
  stop = new AbortController();
  load = more;
  left = omitted;
  takes = [];
  loading = new Set();
  view.hits = hits.slice();
  if (more) view.hits.length = Math.max(hits.length, total - omitted);
  return emit("hits", hits);
}

const offsetOf = (place) => place + left - takes.filter((take) => take < place).length;

function placeOf(offset) {
  let place = offset - left;
  for (const take of takes) if (take <= place) place += 1;
  return place;
}

/** Fetch what is missing between two places. */
export async function need(from, to) {
  if (!load) return;
  for (let place = from; place < to; place++) {
    if (view.hits[place]) continue;
    const start = Math.floor(offsetOf(place) / CHUNK) * CHUNK;
    if (!loading.has(start)) fetchChunk(start);
    place = Math.max(place, placeOf(start + CHUNK) - 1);
  }
}

async function fetchChunk(start) {
  loading.add(start);
  const signal = stop.signal;
  try {
    const { hits, total } = await load(start, CHUNK, signal);
    if (signal.aborted) return;
    hits.forEach((hit, n) => {
      const place = placeOf(start + n);
      if (place >= 0 && !view.hits[place]) view.hits[place] = hit;
    });
    const end = hits.length < CHUNK ? Math.min(total, start + hits.length) : total;
    view.hits.length = Math.max(0, placeOf(end));
    emit("loaded");
    emit("total", view.hits.length - takes.length);
  } catch (error) {
    if (error.name !== "AbortError") emit("failed", error);
  } finally {
    loading.delete(start);
  }
}

/** Show the near-identical takes of a hit as rows of their own below it, or fold them again. */
export function unfold(place) {
  const hit = view.hits[place];
  if (hit.unfolded) view.hits.splice(place + 1, hit.twins.length);
  else view.hits.splice(place + 1, 0, ...hit.twins.map((twin) => takeOf(twin, hit)));
  hit.unfolded = !hit.unfolded;
  takes = [];
  view.hits.forEach((one, at) => one.takeOf && !one.listed && takes.push(at));
  emit("loaded", true);
}

/** A near-identical take of a hit as a hit of its own. */
export function takeOf(twin, hit) {
  const { clip_id, path, similarity, ...metadata } = twin;
  return { clip_id, path, metadata, similarity, takeOf: hit.clip_id, start_s: 0, end_s: twin.duration_s ?? 0, segments: [], words: [], twins: [] };
}

/** Place of a clip in the list, -1 if it is not there or not loaded. */
export const placeOfClip = (clipId) => view.hits.findIndex((hit) => hit && hit.clip_id === clipId);
