// What is looked for, which is also the URL, and what is shown.

import { emit } from "./events.js";

const LENGTHS = { short: "duration<3", middle: "duration>=3 and duration<=30", long: "duration>30" };
const CHANNELS = { 1: "channels=1", 2: "channels=2", more: "channels>2" };
export const PAGE_SIZE = 40;

const empty = () => ({ q: "", like: [], unlike: [], sound: "", length: "", channels: "", tags: [], where: "" });

export const sounds = new Map(); // key -> File: sounds of this visit; a URL can name them but not hold them
export const state = empty(); // read it; change it with change()
export const view = {
  hits: [], // what the list shows, in order
  shown: PAGE_SIZE, // how many hits the page shows
  focused: -1, // place of the current row
  collection: { clips: 0, upload_max_bytes: Infinity },
};

export function toUrl() {
  const url = new URLSearchParams();
  for (const [key, value] of Object.entries(state)) {
    for (const one of [value].flat()) if (one) url.append(key, one);
  }
  return url.size ? `?${url}` : location.pathname;
}

export function readUrl() {
  const url = new URLSearchParams(location.search);
  for (const [key, value] of Object.entries(empty())) state[key] = Array.isArray(value) ? url.getAll(key) : url.get(key) ?? "";
  view.shown = PAGE_SIZE;
}

/** Change what is looked for: the URL, the controls and the list follow. Resolves when the list has. */
export function change(changes, { push = true } = {}) {
  Object.assign(state, changes);
  view.shown = PAGE_SIZE;
  if (toUrl() !== location.pathname + location.search && toUrl() !== location.search) {
    history[push ? "pushState" : "replaceState"](null, "", toUrl());
  }
  emit("state");
  return emit("query");
}

/** "rain -thunder -"car horn"" -> words to look for, and words to avoid. */
export function splitWords(text) {
  const avoid = [];
  const rest = text.replace(/(^|\s)-(?:"([^"]+)"?|([^\s"-][^\s]*))/g, (_, space, quoted, word) => {
    avoid.push((quoted ?? word).trim());
    return space;
  });
  return { words: rest.replace(/\s+/g, " ").trim(), avoid: avoid.filter(Boolean) };
}

/** All filters as one expression of the server's filter language. */
export function whereText() {
  const parts = [LENGTHS[state.length], CHANNELS[state.channels]];
  parts.push(...state.tags.map((tag) => `tag="${tag.replace(/["\\]/g, "")}"`));
  if (state.where.trim()) parts.push(`(${state.where.trim()})`);
  return parts.filter(Boolean).join(" and ");
}

export const noFilters = () => ({ length: "", channels: "", tags: [], where: "" });
export const asksSomething = () => Boolean(splitWords(state.q).words || state.like.length || state.sound);
export const hasFilters = () => Boolean(whereText());
